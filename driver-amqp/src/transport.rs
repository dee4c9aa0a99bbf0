//! The driver: two connections, the lanes on one, the subscriptions on the other.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::StreamExt;
use lapin::Event;
use oslo_messaging::{
    Address, Capabilities, Capability, Deadline, Error, ErrorKind, ExchangeKind, Executed, Health, Listener, Message,
    PublishOptions, Result, State, Subscription, Transport, TransportUrl,
};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::unconstrained;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use crate::config::AmqpConfig;
use crate::connection::Connection;
use crate::counters::{Counters, Counts};
use crate::declared::{Declared, Needs};
use crate::endpoints::endpoints;
use crate::lane::{Lane, Shared};
use crate::listener::AmqpListener;
use crate::names::short;
use crate::parcel::{Job, Parcel, Ticket};
use crate::properties;
use crate::status::Status;
use crate::tasks::Tasks;
use crate::topology::Declarer;

/// How many parcels may wait in front of one lane.
const LANE_INBOX: usize = 256;

/// A connection to RabbitMQ: one socket for publishing and one for consuming, so that an alarm of the broker stops the
/// one and not the other.
#[derive(Debug)]
pub struct AmqpTransport {
    config: AmqpConfig,
    publishing: Arc<Connection>,
    consuming: Arc<Connection>,
    status: Arc<Status>,
    counts: Arc<Counts>,
    lanes: Vec<mpsc::Sender<Job>>,
    declared: Arc<Declared>,
    tasks: Arc<Tasks>,
    _lanes_and_watchers: Vec<AbortOnDropHandle<()>>,
}

impl AmqpTransport {
    /// Connects to the first host of `url` that takes us, starting with a random one.
    ///
    /// Must be called inside a tokio runtime, which then also carries the heartbeats: it must not be blocked.
    ///
    /// # Errors
    /// `Config` for a scheme or an option that this build cannot serve, and for an unknown virtual host; `Denied` for
    /// the credentials; `Disconnected` if no host can be reached; `Timeout` if none answers.
    ///
    /// # Cancellation
    /// A dropped future leaves no connection behind.
    pub async fn connect(url: &TransportUrl, config: AmqpConfig, deadline: Deadline) -> Result<Self> {
        let config = config.with_query(url)?;
        let mut failures = Vec::new();
        let endpoints = endpoints(url)?;
        for (index, endpoint) in endpoints.iter().enumerate() {
            // A host that never answers must leave the others their share of the time.
            let hosts = u32::try_from(endpoints.len() - index).unwrap_or(u32::MAX);
            let share = Deadline::after(deadline.remaining() / hosts);
            let both = async {
                let publishing = Connection::open(endpoint, &config, share).await?;
                Ok((publishing, Connection::open(endpoint, &config, share).await?))
            };
            match both.await {
                Ok((publishing, consuming)) => return Ok(Self::over(config, publishing, consuming)),
                Err(error) => failures.push(error),
            }
        }
        Err(summed_up(failures))
    }

    /// What went over the wire so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counts.read()
    }

    fn over(config: AmqpConfig, publishing: Connection, consuming: Connection) -> Self {
        let (publishing, consuming) = (Arc::new(publishing), Arc::new(consuming));
        let status = Arc::new(Status::ready());
        let counts = Arc::new(Counts::default());
        let mut tasks = Vec::new();
        for (connection, other, publishes) in [(&publishing, &consuming, true), (&consuming, &publishing, false)] {
            let watching = watch_over(Arc::clone(connection), Arc::clone(other), Arc::clone(&status), publishes);
            tasks.push(AbortOnDropHandle::new(tokio::spawn(watching)));
        }
        let declared = Arc::new(Declared::new(Arc::clone(&consuming), config.clone(), Arc::clone(&status)));
        let shared = Shared {
            connection: Arc::clone(&publishing),
            config: config.clone(),
            status: Arc::clone(&status),
            counts: Arc::clone(&counts),
            declared: Arc::clone(&declared),
        };
        // The last lane is for fanouts: their exchanges come and go, and a publish to one that is gone costs the channel.
        let lanes = (0..=config.lanes.max(1)).map(|_| {
            let (sender, inbox) = mpsc::channel(LANE_INBOX);
            tasks.push(AbortOnDropHandle::new(tokio::spawn(Lane::new(shared.clone(), inbox).run())));
            sender
        });
        let lanes = lanes.collect();
        Self {
            config,
            publishing,
            consuming,
            status,
            counts,
            lanes,
            declared,
            tasks: Arc::default(),
            _lanes_and_watchers: tasks,
        }
    }

    /// Hands `parcel` to its lane, and waits for its fate.
    async fn send(&self, parcel: Arc<Parcel>, ticket: &Arc<Ticket>, deadline: Deadline) -> Result<()> {
        let turn = self.declared.turn(&parcel.needs, deadline).await?;
        let lost = || Error::new(ErrorKind::Disconnected, "publish").transient();
        let (fate, told) = oneshot::channel();
        let lane = self.lane(&parcel);
        let job = Job { parcel, fate, ticket: Arc::clone(ticket), sends: 0 };
        // Without tokio's budget, which would let later publishes of the same task go first.
        unconstrained(lane.send(job)).await.map_err(|_| lost())?;
        drop(turn);
        told.await.unwrap_or_else(|_| Err(lost().with_executed(Executed::Maybe)))
    }

    fn lane(&self, parcel: &Parcel) -> &mpsc::Sender<Job> {
        let (fanouts, others) = self.lanes.split_last().expect("there is a lane for fanouts");
        if parcel.exchange.kind == ExchangeKind::Fanout {
            return fanouts;
        }
        let mut hasher = DefaultHasher::new();
        (&parcel.exchange.name, parcel.routing_key.as_str()).hash(&mut hasher);
        let index = usize::try_from(hasher.finish() % others.len() as u64).expect("it is less than a length");
        &others[index]
    }

    fn check_size(&self, message: &Message) -> Result<()> {
        if message.body.len() <= self.config.max_message_size {
            return Ok(());
        }
        Err(Error::new(ErrorKind::TooLarge, "publish")
            .with("bytes", message.body.len())
            .with("limit", self.config.max_message_size))
    }

    /// What the end of a deadline means: an alarm of the broker, or just time.
    fn overdue(&self, executed: Executed) -> Error {
        match self.status.blocked() {
            Some(reason) => Error::new(ErrorKind::Blocked, "publish").transient().with("reason", reason),
            None => Error::timeout("publish"),
        }
        .with_executed(executed)
    }
}

#[async_trait]
impl Transport for AmqpTransport {
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
        self.status.subscribe()
    }

    async fn publish(&self, to: &Address, message: Message, options: &PublishOptions) -> Result<()> {
        self.status.check("publish")?;
        self.check_size(&message)?;
        if options.deadline.has_passed() {
            return Err(self.overdue(Executed::No));
        }
        let (exchange, needs) = (to.exchange(), Needs::of(to, options.ensure_queue));
        let parcel = Arc::new(Parcel {
            exchange_name: short("exchange", &exchange.name)?,
            routing_key: short("routing key", &to.routing_key())?,
            // Where the publisher makes the queue, nothing may fall beside it.
            mandatory: options.mandatory || needs.has_queue(),
            properties: properties::of(&message, self.publishing.frame_max())?,
            id: message.id,
            body: message.body,
            exchange,
            needs,
        });
        let ticket = Arc::new(Ticket::default());
        let publishing = async {
            let sent = self.send(Arc::clone(&parcel), &ticket, options.deadline).await;
            match sent {
                // The queue was there when we declared it, and somebody has deleted it since.
                Err(error) if error.kind() == ErrorKind::Undeliverable && parcel.needs.has_queue() => {
                    self.declared.forget(&parcel.needs);
                    self.send(Arc::clone(&parcel), &ticket, options.deadline).await
                }
                sent => sent,
            }
        };
        match options.deadline.run("publish", publishing).await {
            Ok(published) => published,
            Err(_) => Err(self.overdue(ticket.abandon())),
        }
    }

    async fn subscribe(&self, subscription: &Subscription, deadline: Deadline) -> Result<Box<dyn Listener>> {
        self.status.check("subscribe")?;
        let unique = Uuid::new_v4().simple().to_string();
        let queues = subscription.queues(&unique);
        for queue in &queues {
            // Before the first is declared, so that nothing is left behind by a name that cannot be.
            short("queue", &queue.name)?;
        }
        let opening = async {
            let mut declarer = Declarer::new(&self.consuming, &self.config, &self.status, deadline);
            for queue in &queues {
                declarer.queue(queue).await?;
            }
            let address = subscription.address(&unique);
            AmqpListener::open(&self.consuming, subscription, &queues, address, &self.counts, &self.tasks, deadline)
                .await
        };
        let listener = deadline.run("subscribe", opening).await??;
        Ok(Box::new(listener))
    }

    async fn close(&self, deadline: Deadline) -> Result<()> {
        if matches!(self.status.check("close"), Err(error) if error.kind() == ErrorKind::Closed) {
            return Ok(());
        }
        self.status.enter(State::Closed);
        let (publishing, consuming) = tokio::join!(self.publishing.close(deadline), self.consuming.close(deadline));
        publishing.and(consuming)
    }
}

/// Keeps the status of a transport true to what happens on one of its connections. When that is gone, so is the other:
/// a server that hears and cannot answer is worse than one that is seen to be gone.
async fn watch_over(connection: Arc<Connection>, other: Arc<Connection>, status: Arc<Status>, publishes: bool) {
    let mut events = connection.events();
    let mut reason = "the connection is gone".to_owned();
    // An event from before we listened is not told, but what it did is seen.
    while connection.is_connected() {
        match events.next().await {
            Some(Event::ConnectionBlocked(reason)) if publishes => status.enter(State::Blocked { reason }),
            Some(Event::ConnectionUnblocked) if publishes => status.enter(State::Ready),
            Some(Event::Error(error)) => reason = error.to_string(),
            Some(_) => {}
            None => break,
        }
    }
    status.enter(State::Lost { reason });
    other.abandon();
}

/// One error for all hosts: the last one's, with what the others said.
fn summed_up(mut failures: Vec<Error>) -> Error {
    let Some(last) = failures.pop() else {
        return Error::new(ErrorKind::Config, "connect").with("reason", "the URL names no host");
    };
    failures.into_iter().fold(last, |last, other| last.with("another host", other))
}
