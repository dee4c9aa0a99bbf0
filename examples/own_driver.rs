//! A complete driver in one file: a hub of queues inside this process. `docs/write-a-driver.md` walks through it.
//!
//! `cargo run --example own_driver`; the conformance suite runs on it with `cargo test --test own_driver`.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use oslo_messaging::{
    Address, Bus, Capabilities, Capability, Connector, Context, Deadline, Endpoint, Error, ErrorKind, Event,
    ExchangeKind, Health, IncomingMessage, Lifetime, Listener, Message, NotificationEndpoint, NotificationListener,
    Notifier, Origin, Priority, PublishOptions, QueuePlan, Registry, Result, RpcClient, RpcServer, Settle, Source,
    State, Subscription, Target, Transport, TransportUrl,
};
use serde_json::json;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::coop;
use tokio::time::Instant;
use uuid::Uuid;

/// How many messages a queue keeps for readers that do not come. Nothing here grows without bound.
const LIMIT: usize = 10_000;

/// The bus. Clones are the same one; it lasts as long as one of them, or a transport, is alive.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hub(Arc<Mutex<Queues>>);

/// Everything on the bus. Every change of it is one step under the lock, and nothing is awaited under it.
#[derive(Debug, Default)]
struct Queues {
    queues: BTreeMap<Arc<str>, Queue>,
    readers: BTreeMap<u64, Reader>,
    last_id: u64,
}

#[derive(Debug)]
struct Queue {
    plan: QueuePlan,
    /// By the order in which they were published, which what is given back takes up again.
    ready: BTreeMap<u64, Entry>,
    /// Its readers, the next to be served first.
    turns: VecDeque<u64>,
}

/// A message in a queue or in a reader's hands.
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
    settle: Settle,
    window: usize,
    queues: Vec<Arc<str>>,
    stopped: bool,
    /// Handed over, not polled yet.
    handed: VecDeque<(u64, Entry)>,
    /// Polled and unsettled.
    in_hand: BTreeMap<u64, Entry>,
    bell: Arc<Notify>,
}

/// What a look at a reader brings: messages, each with its place if it is still to be settled.
enum Look {
    Messages(Vec<(Arc<Message>, Option<u64>)>),
    Nothing,
    Drained,
}

/// What becomes of a message in hand. Nobody can look at what is rejected here, so it is as gone as what is done with.
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

    /// What a program that ended in order has not left here, one line each.
    pub(crate) fn leftovers(&self) -> Vec<String> {
        let state = self.lock();
        let readers = state.readers.values().map(|reader| format!("a reader of {:?}", reader.queues));
        let full = state.queues.values().filter(|queue| !queue.ready.is_empty() || queue.is_private());
        readers.chain(full.map(|queue| format!("{} in {}", queue.ready.len(), queue.plan.name))).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Queues> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn is_private(&self) -> bool {
        self.plan.lifetime == Lifetime::Private
    }

    fn takes(&self, to: &Address) -> bool {
        let (exchange, key) = (to.exchange(), to.routing_key());
        let mut bindings = self.plan.bindings.iter().filter(|binding| binding.exchange == exchange);
        match exchange.kind {
            ExchangeKind::Default => self.plan.name == key,
            ExchangeKind::Topic => bindings.any(|binding| binding.routing_key == key),
            ExchangeKind::Fanout => bindings.next().is_some(),
        }
    }

    /// Whether there is no room, once what has expired is gone.
    fn is_full(&mut self) -> bool {
        if self.ready.len() >= LIMIT {
            self.ready.retain(|_, entry| !entry.is_dead());
        }
        self.ready.len() >= LIMIT
    }
}

impl Entry {
    fn is_dead(&self) -> bool {
        self.dies.is_some_and(|dies| dies <= Instant::now())
    }
}

impl Reader {
    fn has_room(&self) -> bool {
        self.handed.len() + self.in_hand.len() < self.window
    }
}

impl Queues {
    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// Makes the queue of `plan`, or adds what feeds it to the queue of that name.
    fn declare(&mut self, plan: QueuePlan) -> Arc<str> {
        let name: Arc<str> = plan.name.as_str().into();
        let empty = QueuePlan { bindings: Vec::new(), ..plan.clone() };
        let new = || Queue { plan: empty, ready: BTreeMap::new(), turns: VecDeque::new() };
        let known = &mut self.queues.entry(Arc::clone(&name)).or_insert_with(new).plan.bindings;
        known.extend(plan.bindings.into_iter().filter(|binding| !known.contains(binding)).collect::<Vec<_>>());
        name
    }

    /// Puts a copy into every queue that takes it, or into none.
    fn publish(&mut self, to: &Address, message: Message, mandatory: bool) -> Result<()> {
        let mut takers = Vec::new();
        for (name, queue) in self.queues.iter_mut().filter(|(_, queue)| queue.takes(to)) {
            if queue.is_full() {
                return Err(Error::new(ErrorKind::Refused, "publish").transient().with("full queue", name));
            }
            takers.push(Arc::clone(name));
        }
        if mandatory && takers.is_empty() {
            return Err(Error::new(ErrorKind::Undeliverable, "publish").with("to", to));
        }
        let dies = message.expiration.map(|life| Instant::now() + life);
        let origin = Arc::new(Origin { exchange: to.exchange().name, routing_key: to.routing_key() });
        let message = message.with_origin(origin);
        for queue in takers {
            let (place, copy) = (self.next_id(), message.clone().with_queue(Arc::clone(&queue)));
            self.put(place, Entry { message: Arc::new(copy), queue, dies });
        }
        Ok(())
    }

    /// Puts `entry` at its place, and hands over what can be handed over. Without its queue it is gone.
    fn put(&mut self, place: u64, entry: Entry) {
        let name = Arc::clone(&entry.queue);
        if let Some(queue) = self.queues.get_mut(&name) {
            queue.ready.insert(place, entry);
            self.serve(&name);
        }
    }

    /// Hands what is ready in a queue to its readers in turn, as long as one has room.
    fn serve(&mut self, name: &Arc<str>) {
        let Some(queue) = self.queues.get_mut(name) else { return };
        while let Some(turn) = queue.turns.iter().position(|id| self.readers[id].has_room()) {
            let Some((place, entry)) = queue.ready.pop_first() else { return };
            if entry.is_dead() {
                continue;
            }
            let id = queue.turns.remove(turn).expect("a position is a place in the queue");
            queue.turns.push_back(id);
            let reader = self.readers.get_mut(&id).expect("a queue's readers exist");
            reader.handed.push_back((place, entry));
            reader.bell.notify_one();
        }
    }

    fn serve_all(&mut self, queues: &[Arc<str>]) {
        queues.iter().for_each(|queue| self.serve(queue));
    }

    /// Makes the queues of `plans` and a reader of them, and serves it at once.
    fn subscribe(&mut self, plans: Vec<QueuePlan>, reader: Reader) -> u64 {
        let (id, queues) = (self.next_id(), plans.into_iter().map(|plan| self.declare(plan)).collect::<Vec<_>>());
        self.readers.insert(id, Reader { queues: queues.clone(), ..reader });
        for name in &queues {
            self.queues.get_mut(name).expect("it was just declared").turns.push_back(id);
        }
        self.serve_all(&queues);
        id
    }

    /// Takes up to `max` of what was handed over; `None` if the reader has ended.
    fn take(&mut self, id: u64, max: usize) -> Option<Look> {
        let reader = self.readers.get_mut(&id)?;
        if reader.handed.is_empty() {
            return Some(if reader.stopped { Look::Drained } else { Look::Nothing });
        }
        let (mut taken, settled) = (Vec::new(), reader.settle == Settle::BeforeHandover);
        for (place, entry) in reader.handed.drain(..max.min(reader.handed.len())) {
            taken.push((Arc::clone(&entry.message), (!settled).then_some(place)));
            if !settled {
                reader.in_hand.insert(place, entry);
            }
        }
        let queues = reader.queues.clone();
        self.serve_all(&queues);
        Some(Look::Messages(taken))
    }

    /// Settles what `reader` holds; `None` if that reader has ended, and what it held was given back.
    fn settle(&mut self, reader: u64, place: u64, fate: Fate) -> Option<()> {
        let reader = self.readers.get_mut(&reader)?;
        let (entry, queues) = (reader.in_hand.remove(&place)?, reader.queues.clone());
        if fate == Fate::GivenBack {
            self.put(place, entry);
        }
        self.serve_all(&queues);
        Some(())
    }

    /// Hands nothing more to a reader; what it has stays its own.
    fn stop(&mut self, id: u64) {
        let Some(reader) = self.readers.get_mut(&id) else { return };
        reader.stopped = true;
        reader.bell.notify_one();
        for name in &reader.queues {
            if let Some(queue) = self.queues.get_mut(name) {
                queue.turns.retain(|turn| *turn != id);
            }
        }
    }

    /// Ends a reader: its own queues go, and what it has goes back to the others.
    fn end(&mut self, id: u64) {
        self.stop(id);
        let Some(reader) = self.readers.remove(&id) else { return };
        for name in &reader.queues {
            self.queues.retain(|other, queue| other != name || !queue.is_private());
        }
        for (place, entry) in reader.handed.into_iter().chain(reader.in_hand) {
            self.put(place, entry);
        }
    }

    fn end_all_of(&mut self, connection: u64) {
        let of = |reader: &Reader| reader.connection == connection;
        let ids: Vec<_> = self.readers.iter().filter(|(_, reader)| of(reader)).map(|(id, _)| *id).collect();
        ids.into_iter().for_each(|id| self.end(id));
    }
}

/// A connection to a [`Hub`]. Dropping it closes it, and ends its listeners.
#[derive(Debug)]
pub(crate) struct HubTransport {
    hub: Hub,
    connection: u64,
    health: watch::Sender<Health>,
}

impl HubTransport {
    /// The bus, if there is time left and the connection is open.
    fn open(&self, operation: &'static str, deadline: Deadline) -> Result<MutexGuard<'_, Queues>> {
        let queues = self.hub.lock();
        // Looked at under the lock, under which `close` sets it: nothing is made after a close has cleaned up.
        if self.health.borrow().state == State::Closed {
            return Err(Error::closed(operation));
        }
        if deadline.has_passed() { Err(Error::timeout(operation)) } else { Ok(queues) }
    }

    fn end(&self) {
        let mut queues = self.hub.lock();
        self.health.send_replace(Health::new(State::Closed));
        queues.end_all_of(self.connection);
    }
}

#[async_trait]
impl Transport for HubTransport {
    fn capabilities(&self) -> Capabilities {
        [
            Capability::ServerAddress,
            Capability::Fanout,
            Capability::Mandatory,
            Capability::Expiration,
            Capability::Requeue,
            Capability::Retention,
            Capability::EnsureQueue,
            Capability::Confirms,
            // No RedeliveredFlag: nobody counts how often a message was handed over.
            // No Pools: a full queue refuses publishes, and that of a pool whose members are gone would refuse them all.
        ]
        .into_iter()
        .collect()
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }

    async fn publish(&self, to: &Address, message: Message, options: &PublishOptions) -> Result<()> {
        coop::consume_budget().await; // A busy publisher lets its neighbours run.
        let mut queues = self.open("publish", options.deadline)?;
        let made = match to {
            Address::Queue { name } => Some(Source::Queue { name: name.clone() }),
            Address::Notification { .. } if options.ensure_queue => {
                Some(Source::Notifications { addresses: vec![to.clone()], pool: None })
            }
            _ => None,
        };
        for plan in made.into_iter().flat_map(|source| Subscription::new(source).queues("")) {
            queues.declare(plan);
        }
        queues.publish(to, message, options.mandatory)
    }

    async fn subscribe(&self, subscription: &Subscription, deadline: Deadline) -> Result<Box<dyn Listener>> {
        if matches!(&subscription.source, Source::Notifications { pool: Some(_), .. }) {
            return Err(Error::unsupported("subscribe to a pool"));
        }
        let unique = Uuid::new_v4().simple().to_string();
        let reader = Reader {
            connection: self.connection,
            settle: subscription.settle,
            window: subscription.window.get().into(),
            queues: Vec::new(),
            stopped: false,
            handed: VecDeque::new(),
            in_hand: BTreeMap::new(),
            bell: Arc::default(),
        };
        let (bell, address) = (Arc::clone(&reader.bell), subscription.address(&unique));
        let id = self.open("subscribe", deadline)?.subscribe(subscription.queues(&unique), reader);
        Ok(Box::new(HubListener { hub: self.hub.clone(), id, bell, address }))
    }

    async fn close(&self, deadline: Deadline) -> Result<()> {
        self.end();
        in_time("close", deadline)
    }
}

impl Drop for HubTransport {
    fn drop(&mut self) {
        self.end();
    }
}

/// The outcome of what has had its effect already: it may still come too late for its caller.
fn in_time(operation: &'static str, deadline: Deadline) -> Result<()> {
    if deadline.has_passed() { Err(Error::timeout(operation)) } else { Ok(()) }
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
            let look = self.hub.lock().take(self.id, max.get());
            match look.ok_or_else(|| Error::closed("poll"))? {
                Look::Messages(taken) => return Ok(Some(taken.into_iter().map(|taken| self.hand(taken)).collect())),
                Look::Drained => return Ok(None),
                // A bell that rings between the look and the wait is kept for it.
                Look::Nothing => self.bell.notified().await,
            }
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

impl HubListener {
    fn hand(&self, (message, place): (Arc<Message>, Option<u64>)) -> Box<dyn IncomingMessage> {
        Box::new(InHand { message, hold: place.map(|place| (self.hub.clone(), self.id, place)) })
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
    /// Where it is held, until it is settled.
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
        // Of a reader that has ended, the hub took it back already.
        let _ = self.settle("requeue", Fate::GivenBack);
    }
}

/// Leads every `hub:` URL to one hub.
#[derive(Debug)]
struct HubConnector(Hub);

#[async_trait]
impl Connector for HubConnector {
    fn schemes(&self) -> &[&str] {
        &["hub"]
    }

    async fn connect(&self, url: &TransportUrl, deadline: Deadline) -> Result<Arc<dyn Transport>> {
        if let Some(option) = url.query().keys().next() {
            return Err(Error::new(ErrorKind::Config, "connect").with("unknown option", option));
        }
        in_time("connect", deadline)?;
        Ok(Arc::new(self.0.transport()))
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let soon = || Deadline::after(Duration::from_secs(5));
    let registry = Registry::new().with(HubConnector(Hub::default()));
    let bus = Bus::connect("hub://", &registry, soon()).await?;
    let context = Context::new();

    let clock = Endpoint::new(()).method("now", async |_, _, (): ()| Ok::<_, Infallible>("noon"));
    let server = RpcServer::builder(&bus, Target::topic("clock").server("tower")).endpoint(clock).start(soon()).await?;
    let now: String = RpcClient::new(&bus, Target::topic("clock")).call(&context, "now", &()).await?;
    println!("call: it is {now}");

    let (heard, mut events) = mpsc::channel(1);
    let ear = NotificationEndpoint::new(heard).on(
        Priority::Info,
        "*",
        async |heard: Arc<mpsc::Sender<String>>, event: Event<String>| {
            heard.send(event.payload).await.expect("the example listens until its end");
            Ok::<_, Infallible>(())
        },
    );
    let listener =
        NotificationListener::builder(&bus).target(Target::topic("bells")).endpoint(ear).start(soon()).await?;
    let notifier = Notifier::over("tower", oslo_messaging::MessagingSink::new(&bus).topics(["bells"]));
    notifier.info(&context, "clock.struck", &json!("twelve")).await?;
    println!("event: it struck {}", events.recv().await.unwrap_or_default());

    listener.wait(soon()).await?;
    server.wait(soon()).await?;
    bus.close(soon()).await
}
