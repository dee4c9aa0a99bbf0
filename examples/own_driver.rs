//! A complete driver in one file: queues inside this process. `docs/write-a-driver.md` walks through it.
//!
//! `cargo run --example own_driver` shows it at work; `cargo test --test own_driver` runs the conformance suite on it.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use oslo_messaging::driver::{
    Address, Binding, Capabilities, Capability, Exchange, ExchangeKind, IncomingMessage, Lifetime, Listener, Message,
    Origin, PublishOptions, QueueCounts, QueuePlan, Settle, Source, Subscription, Transport,
};
use oslo_messaging::{
    Bus, Context, Deadline, Endpoint, Error, ErrorKind, Event, Executed, Failure, Health, NotificationEndpoint,
    NotificationListener, Notifier, Priority, Result, RpcClient, RpcServer, State, Target,
};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::coop;
use tokio::time::Instant;
use uuid::Uuid;

/// How many messages a queue keeps for readers that do not come: nothing here grows without bound.
const LIMIT: usize = 10_000;

/// The bus. Clones are the same one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hub(Arc<Mutex<Broker>>);

/// Everything on the bus. Each change of it is one step under the lock, under which nothing is awaited.
#[derive(Debug, Default)]
struct Broker {
    queues: BTreeMap<Arc<str>, Queue>,
    readers: BTreeMap<u64, Reader>,
    last_id: u64,
}

#[derive(Debug)]
struct Queue {
    lifetime: Lifetime,
    bindings: HashSet<Binding>,
    /// In the order in which they were published; what is given back takes up its place again.
    ready: BTreeMap<u64, Entry>,
}

/// One queue's copy of a message.
#[derive(Debug)]
struct Entry {
    message: Arc<Message>,
    queue: Arc<str>,
    dies: Option<Instant>,
}

/// The hub's side of a listener.
#[derive(Debug)]
struct Reader {
    connection: u64,
    subscription: Subscription,
    queues: Vec<Arc<str>>,
    stopped: bool,
    served: u64,
    /// What was handed over and is not settled.
    held: BTreeMap<u64, Entry>,
    /// The part of it that was not polled yet.
    fresh: VecDeque<u64>,
    bell: Arc<Notify>,
}

/// What becomes of a message in hand. What is rejected is as gone as what is done with: the hub has no policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Gone,
    GivenBack,
}

impl Hub {
    /// Opens a connection.
    pub(crate) fn transport(&self) -> HubTransport {
        let connection = self.lock().next_id();
        HubTransport { hub: self.clone(), connection, health: watch::Sender::new(Health::new(State::Ready)) }
    }

    /// What a program that ended in order does not leave here, one line each.
    pub(crate) fn leftovers(&self) -> Vec<String> {
        let broker = self.lock();
        let readers = broker.readers.values().map(|reader| format!("a reader of {:?}", reader.queues));
        let full = broker.queues.iter().filter(|(_, queue)| !queue.ready.is_empty());
        readers.chain(full.map(|(name, queue)| format!("{} messages in {name}", queue.ready.len()))).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Broker> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Broker {
    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// Makes the queue of `plan`, or adds its bindings to the queue of that name. Its own name always leads to it.
    fn declare(&mut self, QueuePlan { name, lifetime, bindings, .. }: QueuePlan) -> Arc<str> {
        let own = Binding::new(Exchange::default_exchange(), name.clone());
        let (name, new) = (Arc::from(name), || Queue { lifetime, bindings: HashSet::new(), ready: BTreeMap::new() });
        let queue = self.queues.entry(Arc::clone(&name)).or_insert_with(new);
        queue.bindings.extend(bindings.into_iter().chain([own]));
        name
    }

    /// Puts a copy into every queue that takes it, or into none.
    fn publish(&mut self, to: &Address, message: Message, mandatory: bool) -> Result<()> {
        let (exchange, key, now) = (to.exchange(), to.routing_key(), Instant::now());
        let any_key = exchange.kind == ExchangeKind::Fanout;
        let leads = |binding: &Binding| binding.exchange == exchange && (any_key || binding.routing_key == key);
        let mut takers = Vec::new();
        for (name, queue) in self.queues.iter_mut().filter(|(_, queue)| queue.bindings.iter().any(leads)) {
            if queue.ready.len() >= LIMIT {
                queue.ready.retain(|_, entry| entry.dies.is_none_or(|dies| dies > now));
            }
            if queue.ready.len() >= LIMIT {
                return Err(Error::new(ErrorKind::Refused, "publish")
                    .with_executed(Executed::No)
                    .transient()
                    .with_context("full queue", name));
            }
            takers.push(Arc::clone(name));
        }
        if mandatory && takers.is_empty() {
            return Err(Error::new(ErrorKind::Undeliverable, "publish")
                .with_executed(Executed::No)
                .with_context("to", to));
        }
        let dies = message.expiration.map(|life| now + life);
        let message = message.with_origin(Arc::new(Origin::new(exchange.name, key)));
        for queue in takers {
            let (place, message) = (self.next_id(), Arc::new(message.clone().with_queue(Arc::clone(&queue))));
            self.put(place, Entry { message, queue, dies });
        }
        Ok(())
    }

    /// Puts `entry` at its place in its queue. If the queue is gone, so is the entry.
    fn put(&mut self, place: u64, entry: Entry) {
        let name = Arc::clone(&entry.queue);
        if let Some(queue) = self.queues.get_mut(&name) {
            queue.ready.insert(place, entry);
            self.serve(&[name]);
        }
    }

    /// Hands what is ready in each queue to its readers: always to the one with room that was served longest ago.
    fn serve(&mut self, names: &[Arc<str>]) {
        for name in names {
            let Some(queue) = self.queues.get_mut(name) else { continue };
            // Its window counts for each of its queues, so that a busy topic does not shut out what is sent to it alone.
            let held = |reader: &Reader| reader.held.values().filter(|entry| entry.queue == *name).count();
            let has_room = |reader: &Reader| held(reader) < reader.subscription.window.get().into();
            let takes = |reader: &&mut Reader| !reader.stopped && has_room(reader) && reader.queues.contains(name);
            while let Some(reader) = self.readers.values_mut().filter(takes).min_by_key(|reader| reader.served) {
                let Some((place, entry)) = queue.ready.pop_first() else { break };
                if entry.dies.is_some_and(|dies| dies <= Instant::now()) {
                    continue;
                }
                self.last_id += 1;
                reader.served = self.last_id;
                reader.held.insert(place, entry);
                reader.fresh.push_back(place);
                reader.bell.notify_one();
            }
        }
    }

    fn subscribe(&mut self, connection: u64, subscription: &Subscription, unique: &str) -> (u64, Arc<Notify>) {
        let (id, subscription, bell) = (self.next_id(), subscription.clone(), Arc::<Notify>::default());
        let queues: Vec<_> = subscription.queues(unique).into_iter().map(|plan| self.declare(plan)).collect();
        let (names, held, fresh, ring) = (queues.clone(), BTreeMap::new(), VecDeque::new(), Arc::clone(&bell));
        let reader = Reader { connection, subscription, queues, stopped: false, served: id, held, fresh, bell };
        self.readers.insert(id, reader);
        self.serve(&names);
        (id, ring)
    }

    /// Takes up to `max` of what is fresh: some, none yet, or the end.
    fn take(&mut self, hub: &Hub, id: u64, max: usize) -> Result<Option<Vec<Box<dyn IncomingMessage>>>> {
        let reader = self.readers.get_mut(&id).ok_or_else(|| Error::closed("poll"))?;
        // What was not acknowledged before the stop is not acknowledged after it: the end of the reader gives it back.
        let nothing = reader.fresh.is_empty() || reader.subscription.settle == Settle::BeforeHandover;
        if reader.stopped && nothing {
            return Ok(None);
        }
        let (count, queues) = (max.min(reader.fresh.len()), reader.queues.clone());
        let take = |place| {
            let (message, hold) = match reader.subscription.settle {
                Settle::ByReceiver => (Arc::clone(&reader.held[&place].message), Some((hub.clone(), id, place))),
                Settle::BeforeHandover => (reader.held.remove(&place).expect("what is fresh is held").message, None),
            };
            Box::new(InHand { message, hold }) as _
        };
        let taken = reader.fresh.drain(..count).map(take).collect();
        self.serve(&queues);
        Ok(Some(taken))
    }

    /// Settles what a reader holds; `None` if that reader has ended, and what it held was given back.
    fn settle(&mut self, reader: u64, place: u64, fate: Fate) -> Option<()> {
        let reader = self.readers.get_mut(&reader)?;
        let (entry, queues) = (reader.held.remove(&place)?, reader.queues.clone());
        if fate == Fate::GivenBack {
            self.put(place, entry);
        }
        self.serve(&queues);
        Some(())
    }

    /// Hands nothing more to a reader; what it has stays its own.
    fn stop(&mut self, id: u64) {
        let Some(reader) = self.readers.get_mut(&id) else { return };
        reader.stopped = true;
        reader.bell.notify_one();
    }

    /// Ends a reader: its private queues go, and what it has goes back to the others.
    fn end(&mut self, id: u64) {
        self.stop(id);
        let Some(reader) = self.readers.remove(&id) else { return };
        self.queues.retain(|name, queue| queue.lifetime == Lifetime::Shared || !reader.queues.contains(name));
        for (place, entry) in reader.held {
            self.put(place, entry);
        }
    }
}

/// A connection to a [`Hub`].
#[derive(Debug)]
pub(crate) struct HubTransport {
    hub: Hub,
    connection: u64,
    health: watch::Sender<Health>,
}

impl HubTransport {
    /// The bus, if the connection is open and there is time left.
    fn open(&self, operation: &'static str, deadline: Deadline) -> Result<MutexGuard<'_, Broker>> {
        let broker = self.hub.lock();
        // Looked at under the lock under which `close` sets it: nothing is made after a close has cleaned up.
        if self.health.borrow().state == State::Closed {
            return Err(Error::closed(operation).with_executed(Executed::No));
        }
        in_time(operation, deadline).map(|()| broker)
    }
}

fn in_time(operation: &'static str, deadline: Deadline) -> Result<()> {
    if deadline.has_passed() { Err(Error::timeout(operation).with_executed(Executed::No)) } else { Ok(()) }
}

#[async_trait]
impl Transport for HubTransport {
    fn capabilities(&self) -> Capabilities {
        use Capability::{Confirms, EnsureQueue, Expiration, Fanout, Mandatory, Requeue, Retention, ServerAddress};
        // No RedeliveredFlag: the hub does not count deliveries. No Pools: a full queue refuses
        // publishes, so a pool whose members are gone would in the end stop every publisher of its topics.
        [ServerAddress, Fanout, Mandatory, Expiration, Requeue, Retention, EnsureQueue, Confirms].into_iter().collect()
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }

    async fn publish(&self, to: &Address, message: Message, options: &PublishOptions) -> Result<()> {
        coop::consume_budget().await; // A busy publisher lets its neighbours run.
        let mut broker = self.open("publish", options.deadline)?;
        if matches!(to, Address::Queue { .. }) || matches!(to, Address::Notification { .. } if options.ensure_queue) {
            let bindings = vec![Binding::new(to.exchange(), to.routing_key())];
            broker.declare(QueuePlan::new(to.routing_key(), Lifetime::Shared, bindings));
        }
        if options.declare_only {
            return Ok(());
        }
        broker.publish(to, message, options.mandatory)
    }

    async fn subscribe(&self, subscription: &Subscription, deadline: Deadline) -> Result<Box<dyn Listener>> {
        if matches!(&subscription.source, Source::Notifications { pool: Some(_), .. }) {
            return Err(Error::unsupported("subscribe to a pool"));
        }
        let unique = Uuid::new_v4().simple().to_string();
        let (id, bell) = self.open("subscribe", deadline)?.subscribe(self.connection, subscription, &unique);
        Ok(Box::new(HubListener { hub: self.hub.clone(), id, bell, address: subscription.address(&unique) }))
    }

    async fn inspect(&self, address: &Address, deadline: Deadline) -> Result<Option<QueueCounts>> {
        if matches!(address, Address::Fanout { .. }) {
            return Err(Error::unsupported("inspect").with_context("address", address));
        }
        let (broker, name) = (self.open("inspect", deadline)?, address.routing_key());
        let reads = |reader: &&Reader| !reader.stopped && reader.queues.iter().any(|queue| **queue == *name);
        let consumers = broker.readers.values().filter(reads).count();
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        let found = broker.queues.get(name.as_str());
        Ok(found.map(|queue| QueueCounts::new(count(consumers), count(queue.ready.len()))))
    }

    async fn close(&self, deadline: Deadline) -> Result<()> {
        let mut broker = self.hub.lock();
        self.health.send_replace(Health::new(State::Closed));
        while let Some((&id, _)) = broker.readers.iter().find(|(_, reader)| reader.connection == self.connection) {
            broker.end(id);
        }
        in_time("close", deadline)
    }
}

#[derive(Debug)]
struct HubListener {
    hub: Hub,
    id: u64,
    bell: Arc<Notify>,
    address: Address,
}

#[async_trait]
impl Listener for HubListener {
    fn address(&self) -> &Address {
        &self.address
    }

    async fn poll(&mut self, max: NonZeroUsize) -> Result<Option<Vec<Box<dyn IncomingMessage>>>> {
        coop::consume_budget().await; // Before the look: what was taken is never held across an await.
        loop {
            let taken = self.hub.lock().take(&self.hub, self.id, max.get())?;
            if taken.as_ref().is_none_or(|taken| !taken.is_empty()) {
                return Ok(taken);
            }
            self.bell.notified().await; // Rung between the look and this, it is kept.
        }
    }

    async fn stop(&mut self, deadline: Deadline) -> Result<()> {
        self.hub.lock().stop(self.id);
        in_time("stop", deadline)
    }

    async fn close(self: Box<Self>, deadline: Deadline) -> Result<()> {
        drop(self);
        in_time("close", deadline)
    }
}

impl Drop for HubListener {
    fn drop(&mut self) {
        self.hub.lock().end(self.id);
    }
}

#[derive(Debug)]
struct InHand {
    message: Arc<Message>,
    /// Who holds it where, until it is settled.
    hold: Option<(Hub, u64, u64)>,
}

impl InHand {
    fn settle(&mut self, operation: &'static str, fate: Fate) -> Result<()> {
        let Some((hub, reader, place)) = self.hold.take() else { return Ok(()) };
        hub.lock().settle(reader, place, fate).ok_or_else(|| Error::closed(operation))
    }
}

#[async_trait]
impl IncomingMessage for InHand {
    fn message(&self) -> &Message {
        &self.message
    }

    fn redelivered(&self) -> bool {
        false
    }

    async fn acknowledge(mut self: Box<Self>) -> Result<()> {
        self.settle("acknowledge", Fate::Gone)
    }

    async fn requeue(mut self: Box<Self>) -> Result<()> {
        self.settle("requeue", Fate::GivenBack)
    }

    async fn reject(mut self: Box<Self>) -> Result<()> {
        self.settle("reject", Fate::Gone)
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        let _ = self.settle("requeue", Fate::GivenBack); // After the end of its reader it is back already.
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let soon = || Deadline::after(Duration::from_secs(5));
    let hub = Hub::default();
    let bus = Bus::new(hub.transport());
    let clock = Endpoint::new(()).method("now", async |_, _, (): ()| Ok::<_, Failure>("noon"));
    let server = RpcServer::builder(&bus, Target::topic("clock").server("tower")).endpoint(clock).start(soon()).await?;
    let now: String = RpcClient::new(&bus, Target::topic("clock")).call(&Context::new(), "now", &()).await?;
    println!("call: it is {now}");

    let (heard, mut strokes) = mpsc::channel::<String>(1);
    let hear =
        async |to: Arc<mpsc::Sender<_>>, event: Event<_>| to.send(event.payload).await.map_err(Failure::internal);
    let ear = NotificationEndpoint::new(heard).on(Priority::Info, "clock.*", hear);
    let listening = NotificationListener::builder(&bus).target(Target::topic("notifications")).endpoint(ear);
    let listener = listening.start(soon()).await?;
    Notifier::new(&bus, "tower").info(&Context::new(), "clock.struck", &"twelve").await?;
    println!("event: it struck {}", strokes.recv().await.unwrap_or_default());

    listener.shutdown(soon()).await?;
    server.shutdown(soon()).await?;
    bus.close(soon()).await.inspect(|()| println!("left behind: {:?}", hub.leftovers()))
}
