//! [`FakeTransport`]: a connection to the broker. A cut or a close ends it for good, except after an interruption.

use std::sync::Arc;

use async_trait::async_trait;
use oslo_messaging::driver::{
    Address, Capabilities, Capability, Lifetime, Listener, Message, PublishOptions, QueueCounts, Subscription,
    Transport,
};
use oslo_messaging::{Deadline, Error, ErrorKind, Executed, Health, Result, State};
use tokio::sync::watch;
use tokio::task::coop;
use uuid::Uuid;

use crate::listener::FakeListener;
use crate::names;
use crate::properties;
use crate::shared::Shared;
use crate::state::BrokerState;
use crate::state::connection::{Admission, EndReason};
use crate::state::destination::Destination;
use crate::state::id::Id;

/// A connection to a [`FakeBroker`](crate::FakeBroker), which lives at least as long as any transport of it.
/// [`FakeBroker::transport`](crate::FakeBroker::transport) opens one, and each one is a connection of its own.
///
/// Dropping it closes it and ends its listeners: their unsettled messages are
/// requeued, and their private queues start to expire.
///
/// Publishes, subscriptions and settlements take effect at once, under the lock of the broker;
/// only an alarm or a fault makes a publish wait.
#[derive(Debug)]
pub struct FakeTransport {
    pub(crate) broker: Arc<Shared>,
    /// The broker's side of this transport, which keeps the reason of its end until the transport is dropped.
    pub(crate) connection: Id,
    /// Receives `Blocked`, `Lost` and `Closed` from the broker.
    pub(crate) health: watch::Receiver<Health>,
}

impl FakeTransport {
    /// Registers a connection with the broker, which shows it as `Ready`, or as `Blocked` during an alarm.
    pub(crate) fn open(broker: Arc<Shared>) -> Self {
        let (connection, health) = broker.with(BrokerState::connect);
        Self { broker, connection, health }
    }

    pub(crate) fn id(&self) -> Id {
        self.connection
    }

    /// Waits until no alarm is raised.
    ///
    /// Fails with `Blocked` at the deadline, and with `Closed` or `Disconnected` if the connection has ended.
    async fn wait_for_admission(&self, deadline: Deadline) -> Result<()> {
        const OPERATION: &str = "publish";
        let mut health = self.health.clone();
        while self.broker.with(|state| state.admit(self.connection, OPERATION))? == Admission::Blocked {
            let free = health.wait_for(|health| !matches!(health.state, State::Blocked { .. }));
            let waited = deadline.run(OPERATION, free).await.map(drop);
            if waited.is_err() {
                return Err(self.blocked(OPERATION));
            }
        }
        Ok(())
    }

    /// Takes and publishes the message unless an alarm is raised; returns whether it did.
    ///
    /// Checks and publishes under one lock, so that no alarm can be raised in between.
    fn try_publish(
        &self,
        state: &mut BrokerState,
        to: &Destination,
        message: &mut Option<Message>,
        mandatory: bool,
    ) -> Result<bool> {
        match state.admit(self.connection, "publish")? {
            Admission::Blocked => Ok(false),
            Admission::Open => {
                let message = message.take().expect("a published message is not published again");
                state.publish(self.connection, to, message, mandatory).map(|()| true)
            }
        }
    }

    /// Declares what a publish to `to` would, and sends nothing. An alarm does
    /// not hold it up, as it does not a subscription.
    fn declare(&self, to: &Destination) -> Result<()> {
        self.broker.with(|state| {
            state.admit(self.connection, "declare")?;
            state.declare_destination(self.connection, to)
        })
    }

    /// The error of a publish that an alarm held up until its deadline: transient, with the reason of the alarm.
    fn blocked(&self, operation: &'static str) -> Error {
        let error = Error::new(ErrorKind::Blocked, operation).with_executed(Executed::No).transient();
        match &self.health.borrow().state {
            State::Blocked { reason } => error.with_context("reason", reason),
            _ => error,
        }
    }
}

#[async_trait]
impl Transport for FakeTransport {
    /// Everything that RabbitMQ supports.
    fn capabilities(&self) -> Capabilities {
        [
            Capability::ServerAddress,
            Capability::Fanout,
            Capability::Mandatory,
            Capability::Expiration,
            Capability::Requeue,
            Capability::RedeliveredFlag,
            Capability::Retention,
            Capability::EnsureQueue,
            Capability::Pools,
            Capability::Confirms,
        ]
        .into_iter()
        .collect()
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.health.clone()
    }

    /// The message is in its queues when this returns.
    ///
    /// # Errors
    /// `Timeout` if the deadline has passed before; `TooLarge`, `Denied` or `Topology` as
    /// RabbitMQ refuses; `Undeliverable` for a mandatory message without a queue; `Blocked` at
    /// the deadline during an alarm; `Closed` or `Disconnected`.
    ///
    /// # Cancellation
    /// A cancelled publish that waits for an alarm is not sent. One that a fault delays arrives.
    async fn publish(&self, to: &Address, message: Message, options: &PublishOptions) -> Result<()> {
        // Without this a publisher in a loop would never yield to other tasks, since nothing below waits.
        coop::consume_budget().await;
        if options.deadline.has_passed() {
            return Err(Error::timeout("publish").with_executed(Executed::No).with_context("to", to));
        }
        let destination = Destination::new(to, options);
        properties::check_publish(&destination, &message, self.broker.max_message_size)?;
        if options.declare_only {
            return self.declare(&destination);
        }
        if self.broker.faults.is_armed() {
            self.wait_for_admission(options.deadline).await?;
            if let Some(fault) = self.broker.faults.next(to, &message) {
                // Boxed, so that the future of a publish without a fault reserves no space for it.
                return Box::pin(self.publish_with_fault(fault, destination, message, options)).await;
            }
        }
        let mut message = Some(message);
        while !self.broker.with(|state| self.try_publish(state, &destination, &mut message, options.mandatory))? {
            self.wait_for_admission(options.deadline).await?;
        }
        Ok(())
    }

    /// Declares and consumes under one lock: the queues exist and are bound when this returns.
    ///
    /// # Errors
    /// `Timeout` if the deadline has passed; `TooLarge`, `Denied` or `Topology` for its names and queues; `Closed` or
    /// `Disconnected`. A queue that was declared before the error stays.
    async fn subscribe(&self, subscription: &Subscription, deadline: Deadline) -> Result<Box<dyn Listener>> {
        const OPERATION: &str = "subscribe";
        if deadline.has_passed() {
            return Err(Error::timeout(OPERATION).with_executed(Executed::No));
        }
        let unique = Uuid::new_v4().simple().to_string();
        let plans = subscription.queues(&unique);
        plans.iter().try_for_each(names::check_plan)?;
        let (channel, mailbox) = self.broker.with(|state| {
            state.check_connection(self.connection, OPERATION)?;
            let queues: Vec<Id> =
                plans.iter().map(|plan| state.declare_plan(self.connection, plan)).collect::<Result<_>>()?;
            let channel = state.open_channel(self.connection, subscription);
            for (queue, plan) in queues.into_iter().zip(&plans) {
                state.consume(queue, channel, plan.lifetime == Lifetime::Private);
            }
            Ok::<_, Error>((channel, Arc::clone(&state.channels[&channel].mailbox)))
        })?;
        let address = subscription.address(&unique);
        Ok(Box::new(FakeListener { broker: Arc::clone(&self.broker), channel, mailbox, address }))
    }

    /// Counts ready messages and consumers of the queue of `address`; `None` if it does not exist. Does not declare it.
    ///
    /// # Errors
    /// `Unsupported` for a fanout, which has no queue of its own; `Timeout`, `Closed` or `Disconnected`.
    async fn inspect(&self, address: &Address, deadline: Deadline) -> Result<Option<QueueCounts>> {
        const OPERATION: &str = "inspect";
        if deadline.has_passed() {
            return Err(Error::timeout(OPERATION).with_executed(Executed::No));
        }
        if matches!(address, Address::Fanout { .. }) {
            return Err(Error::unsupported(OPERATION).with_context("address", address));
        }
        let name = address.routing_key();
        self.broker.with(|state| {
            state.check_connection(self.connection, OPERATION)?;
            let found = state.queue_states().into_iter().find(|queue| queue.name == name);
            let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
            Ok(found.map(|queue| QueueCounts::new(count(queue.consumers), count(queue.ready))))
        })
    }

    /// Ends every listener of the transport, whose polls then fail with `Closed`. Takes effect also if it returns
    /// `Timeout`. Closing twice succeeds.
    async fn close(&self, deadline: Deadline) -> Result<()> {
        self.broker.with(|state| state.disconnect(self.connection, &EndReason::Closed));
        if deadline.has_passed() { Err(Error::timeout("close")) } else { Ok(()) }
    }
}

impl Drop for FakeTransport {
    /// Closes the connection, which the broker then forgets. Watchers of the health keep the last state.
    fn drop(&mut self) {
        self.broker.with(|state| {
            state.disconnect(self.connection, &EndReason::Closed);
            state.connections.remove(&self.connection);
        });
    }
}
