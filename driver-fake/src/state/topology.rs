//! Declaring, binding, consuming and deleting queues and exchanges.

use std::sync::Arc;

use oslo_messaging::driver::{Exchange as ExchangeName, ExchangeKind, Lifetime, QueuePlan};
use oslo_messaging::{Error, ErrorKind, Executed, Result};
use tokio::time::Instant;

use crate::state::BrokerState;
use crate::state::destination::{Destination, QueueDeclaration};
use crate::state::exchange::Exchange;
use crate::state::id::{ConsumerId, Id};
use crate::state::queue::Queue;

impl BrokerState {
    /// Declares the exchange of a publish and, if its address asks for one, the queue.
    ///
    /// Fails with `Topology` if the exchange exists with another kind, or the queue is exclusive to another program.
    pub(crate) fn declare_destination(&mut self, connection: Id, to: &Destination) -> Result<()> {
        const OPERATION: &str = "publish";
        self.declare_exchange(&to.exchange, OPERATION)?;
        match to.queue {
            QueueDeclaration::None => {}
            QueueDeclaration::Plain => {
                self.declare_queue(connection, &to.key, Lifetime::Shared, OPERATION)?;
            }
            QueueDeclaration::Bound => {
                let queue = self.declare_queue(connection, &to.key, Lifetime::Shared, OPERATION)?;
                self.bind(queue, &to.exchange.name, &to.key);
            }
        }
        Ok(())
    }

    /// Declares the exchanges and the queue of `plan`, then binds them. What was declared before an error stays.
    ///
    /// Fails with `Topology`, as [`declare_destination`](Self::declare_destination) does.
    pub(crate) fn declare_plan(&mut self, connection: Id, plan: &QueuePlan) -> Result<Id> {
        const OPERATION: &str = "subscribe";
        for binding in &plan.bindings {
            self.declare_exchange(&binding.exchange, OPERATION)?;
        }
        let queue = self.declare_queue(connection, &plan.name, plan.lifetime, OPERATION)?;
        for binding in &plan.bindings {
            self.bind(queue, &binding.exchange.name, &binding.routing_key);
        }
        Ok(queue)
    }

    /// Creates an exchange, or adopts an existing one of the same kind.
    ///
    /// Fails with `Topology` if it exists with another kind.
    pub(crate) fn declare_exchange(&mut self, exchange: &ExchangeName, operation: &'static str) -> Result<()> {
        if exchange.kind == ExchangeKind::Default {
            return Ok(());
        }
        match self.exchanges.get(exchange.name.as_str()) {
            None => {
                self.exchanges.insert(exchange.name.as_str().into(), Exchange::new(exchange.kind));
                Ok(())
            }
            Some(existing) if existing.kind == exchange.kind => Ok(()),
            Some(existing) => Err(Error::new(ErrorKind::Topology, operation)
                .with_executed(Executed::No)
                .with_context("exchange", &exchange.name)
                .with_context("declared_as", format!("{:?}", exchange.kind))
                .with_context("exists_as", format!("{:?}", existing.kind))),
        }
    }

    /// Creates a queue, or adopts the existing one and reports in the health of the connection how it differs.
    ///
    /// Fails with `Topology` if the existing queue is exclusive to another program.
    pub(crate) fn declare_queue(
        &mut self,
        connection: Id,
        name: &str,
        lifetime: Lifetime,
        operation: &'static str,
    ) -> Result<Id> {
        let Some(id) = self.queue_ids.get(name).copied() else {
            return Ok(self.create_queue(name, lifetime));
        };
        let queue = self.queues.get(&id).expect("a name leads to a queue");
        if queue.exclusive {
            return Err(Error::new(ErrorKind::Topology, operation)
                .with_executed(Executed::No)
                .with_context("queue", name)
                .with_context("reason", "it is exclusive to another connection"));
        }
        if queue.lifetime != lifetime {
            let difference = match queue.lifetime {
                Lifetime::Private => format!("queue '{name}' expires without a consumer; the declared one would stay"),
                Lifetime::Shared => format!("queue '{name}' stays without a consumer; the declared one would expire"),
            };
            if let Some(connection) = self.connections.get(&connection) {
                connection.report_drift(difference);
            }
        }
        // A declaration is a use and restarts the expiry, as in RabbitMQ.
        if self.expiring.iter().any(|(_, expiring)| *expiring == id) {
            self.start_expiry(id);
        }
        Ok(id)
    }

    /// A private queue starts to expire at once, since it has no consumer yet.
    pub(crate) fn create_queue(&mut self, name: &str, lifetime: Lifetime) -> Id {
        let id = self.next_id();
        let name: Arc<str> = name.into();
        self.queue_ids.insert(Arc::clone(&name), id);
        self.queues.insert(id, Queue::new(id, name, lifetime));
        self.start_expiry(id);
        id
    }

    /// Binds a queue to an exchange and remembers that for the deletion of the queue.
    fn bind(&mut self, queue: Id, exchange: &str, key: &str) {
        let Some((name, _)) = self.exchanges.get_key_value(exchange) else { return };
        let name = Arc::clone(name);
        let queue = self.queues.get_mut(&queue).expect("it was just declared");
        if let Some(exchange) = self.exchanges.get_mut(exchange) {
            exchange.bind(key, queue.id);
        }
        if !queue.bound_to.contains(&name) {
            queue.bound_to.push(name);
        }
    }

    /// Adds a consumer of the queue to `channel`, which delivers what is ready. A private queue no longer expires.
    pub(crate) fn consume(&mut self, queue_id: Id, channel: Id, owns_queue: bool) {
        let consumer = self.channels.get_mut(&channel).expect("it was just opened").add_consumer(queue_id, owns_queue);
        let queue = self.queues.get_mut(&queue_id).expect("it was just declared");
        queue.consumers += 1;
        queue.add_available(ConsumerId { channel, index: consumer });
        if let Some(at) = queue.expires.take() {
            self.expiring.remove(&(at, queue_id));
        }
        self.deliver_ready(queue_id);
    }

    /// Removes a consumer from its queue. A private queue starts to expire when its last consumer is removed.
    pub(crate) fn detach(&mut self, queue_id: Id, consumer: ConsumerId) {
        let Some(queue) = self.queues.get_mut(&queue_id) else { return };
        queue.remove_available(consumer);
        queue.consumers -= 1;
        if queue.consumers == 0 {
            self.start_expiry(queue_id);
        }
    }

    /// Deletes a queue with its messages and bindings. A fanout exchange is deleted with its last
    /// binding, as the reference declares it auto-delete.
    ///
    /// Consumers of the queue stay in their channels and receive nothing more.
    pub(crate) fn delete_queue(&mut self, id: Id) {
        let Some(queue) = self.queues.remove(&id) else { return };
        self.queue_ids.remove(&queue.name);
        if let Some(at) = queue.expires {
            self.expiring.remove(&(at, id));
        }
        for name in queue.bound_to {
            let Some(exchange) = self.exchanges.get_mut(&name) else { continue };
            exchange.unbind(id);
            if exchange.kind == ExchangeKind::Fanout && exchange.is_unbound() {
                self.exchanges.remove(&name);
            }
        }
    }

    /// Sets when a private queue is deleted, counted from now; has no effect on a shared one.
    fn start_expiry(&mut self, id: Id) {
        let Some(queue) = self.queues.get_mut(&id) else { return };
        if queue.lifetime == Lifetime::Shared {
            return;
        }
        if let Some(at) = queue.expires.take() {
            self.expiring.remove(&(at, id));
        }
        // A time that the clock cannot represent never comes.
        queue.expires = Instant::now().checked_add(self.config.queue_expiry);
        self.expiring.extend(queue.expires.map(|at| (at, id)));
    }
}
