//! The driver's [`Transport`]: one current link,
//! the publishers and listeners that use it, and the supervisor that replaces it.
//!
//! The transport owns every task of the driver except lapin's own and those of listeners:
//! the supervisor, the queue checks, one task per publishing channel, and the settlers.
//! All of them end with `close`, or are aborted when the transport is dropped.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use oslo_messaging::config::TransportUrl;
use oslo_messaging::driver::{
    Address, Capabilities, Capability, ExchangeKind, Listener, Message, PublishOptions, QueueCounts, Subscription,
    Transport,
};
use oslo_messaging::{Deadline, Error, ErrorKind, Executed, Health, Result, State};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::unconstrained;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, warn};

use crate::backoff::Backoff;
use crate::config::AmqpConfig;
use crate::connection::hosts::Hosts;
use crate::consume::session::Session;
use crate::consume::subscription_opener::SubscriptionOpener;
use crate::counters::Counters;
use crate::link::Link;
use crate::link::current::LinkState;
use crate::link::inner::Inner;
use crate::link::supervisor::Supervisor;
use crate::listener::AmqpListener;
use crate::publish::checked_publish::CheckedPublish;
use crate::publish::destinations::{Destinations, Prerequisite};
use crate::publish::job::{AbandonFlag, PublishJob};
use crate::publish::publisher::Publisher;
use crate::short_string::check_name;
use crate::topology::Declarer;
use crate::topology::name_lease::is_taken;

/// How many publishes may wait for one publisher before callers wait for room.
/// Publishes that were sent and wait for their confirms do not count here; `publish_window` limits those.
const PUBLISHER_JOBS: usize = 256;
/// How long closing waits until the decisions of receivers are written.
/// A settler batches acknowledgements for at most 5 ms.
const SETTLING: Duration = Duration::from_secs(1);

/// With less time left than this the first connection is not retried: the error would only hide the one before it.
const LAST_TRY: Duration = Duration::from_millis(100);

/// A connection to RabbitMQ: one socket for publishing and one for everything else,
/// so that a resource alarm blocks publishes alone.
/// When either is lost, both are replaced. Dropping the transport closes the sockets without an AMQP close.
#[derive(Debug)]
pub struct AmqpTransport {
    /// Shared with everything that works for this transport.
    /// Listeners hold it too, so it may outlive the transport.
    inner: Arc<Inner>,
    /// Where the publishers take their jobs from; the last one is for fanouts.
    /// Each has one owner task, because lapin's publish is not atomic on a shared channel.
    publishers: Vec<mpsc::Sender<PublishJob>>,
    /// What was declared on which link, shared by callers and publishers.
    destinations: Arc<Destinations>,
    /// The tasks of the supervisor, the queue checks and the publishers. Empty after `close`, which awaits them.
    tasks: Mutex<Vec<AbortOnDropHandle<()>>>,
}

impl AmqpTransport {
    /// Connects to the first host of `url` that accepts, in random order.
    /// Every host gets an equal share of the time that is left.
    /// Errors that may pass, such as a broker that is still starting, are retried until the deadline.
    /// From then on the transport reconnects by itself, to each host in turn, until it is closed.
    ///
    /// Must be called inside a tokio runtime, which also runs the heartbeats:
    /// blocking it loses the connection, and dropping it closes the transport.
    ///
    /// # Errors
    /// `Config` for an unsupported scheme or option, and for an unknown virtual host;
    /// `Denied` for rejected credentials: neither is retried.
    /// `Disconnected` if no host can be reached by the deadline,
    /// or all are at their connection limit; `Timeout` if none answers.
    ///
    /// # Cancellation
    /// A dropped future leaves no connection behind.
    pub async fn connect(url: &TransportUrl, config: AmqpConfig, deadline: Deadline) -> Result<Self> {
        let config = config.with_query(url)?;
        // After the query, which may have changed any setting.
        config.check()?;
        config.warn_of_idle();
        let mut hosts = Hosts::of(url, &config)?;
        let link = first_link(&mut hosts, &config, deadline).await?;
        Ok(Self::over(config, hosts, &Arc::new(link)))
    }

    /// Counts of what this transport alone has sent, received, lost and recovered so far.
    /// Each count is read on its own, so two counts of one snapshot may differ by work that is under way.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.inner.counts.read()
    }

    /// Starts the tasks of a transport whose first link is open: supervisor, queue checks and publishers.
    /// Must run inside of a tokio runtime. Starts `publish_channels`
    /// publishers, at least one, and one more for fanouts.
    fn over(config: AmqpConfig, hosts: Hosts, link: &Arc<Link>) -> Self {
        let inner = Arc::new(Inner::new(config, link, hosts.quota()));
        let supervisor = Supervisor::new(Arc::clone(&inner), hosts, link);
        let mut tasks = vec![AbortOnDropHandle::new(tokio::spawn(supervisor.run()))];
        let checks = Arc::clone(&inner.queue_checks).run(inner.closing.clone());
        tasks.push(AbortOnDropHandle::new(tokio::spawn(checks)));
        let destinations = Arc::new(Destinations::new(Arc::clone(&inner)));
        // The last publisher is for fanouts: their exchanges come and go, and a publish to a missing
        // exchange closes the channel.
        let publishers = (0..=inner.config.publish_channels.max(1)).map(|_| {
            let (sender, jobs) = mpsc::channel(PUBLISHER_JOBS);
            tasks.push(AbortOnDropHandle::new(tokio::spawn(
                Publisher::new(Arc::clone(&inner), Arc::clone(&destinations), jobs).run(),
            )));
            sender
        });
        let publishers = publishers.collect();
        Self { inner, publishers, destinations, tasks: Mutex::new(tasks) }
    }

    /// Hands `publish` to its publisher and waits for the result.
    /// The caller takes its turn before it passes the job on, so publishes to one destination reach the publisher
    /// in the order in which they began, also while the destination is being declared.
    ///
    /// Fails with the publisher's error; `Closed`, executed `No`, if the publisher has ended;
    /// the same, executed `Maybe`, if it ended while it had the job.
    /// After a cancellation, a job that was passed on stays.
    /// The publisher skips it if its result has no receiver any more.
    async fn send(
        &self,
        publish: Arc<CheckedPublish>,
        abandon_flag: &Arc<AbandonFlag>,
        deadline: Deadline,
    ) -> Result<()> {
        let turn = self.destinations.turn(&publish.prerequisite, deadline).await?;
        let closed = || Error::closed("publish").with_executed(Executed::No);
        let (result, answer) = oneshot::channel();
        let publisher = self.publisher(&publish);
        let job = PublishJob {
            publish,
            result,
            abandon_flag: Arc::clone(abandon_flag),
            attempts: 0,
            declared: turn.declared,
        };
        // Without tokio's cooperative budget, which would let a later publish of the same task overtake this
        // one.
        unconstrained(publisher.send(job)).await.map_err(|_| closed())?;
        // The publisher has the job, so the next caller cannot overtake it any more.
        drop(turn);
        answer.await.unwrap_or_else(|_| Err(closed().with_executed(Executed::Maybe)))
    }

    /// Declares the destination of a publish that has `declare_only` set.
    /// A destination that was declared on this link costs no request.
    ///
    /// Fails with the declaration's error; at the deadline with `Blocked`, `Disconnected` or `Timeout`, executed `No`.
    async fn declare(&self, prerequisite: &Prerequisite, deadline: Deadline) -> Result<()> {
        let declared = deadline.run("declare", self.destinations.turn(prerequisite, deadline)).await;
        let overdue = |_| self.inner.current.deadline_error("declare", Executed::No);
        declared.map_err(overdue)?.map(drop)
    }

    /// The choice is a hash of the exchange and the routing key,
    /// so a destination always has the same channel, which keeps its order.
    /// While the channel limit is known, all publishes share the first publisher.
    fn publisher(&self, publish: &CheckedPublish) -> &mpsc::Sender<PublishJob> {
        if self.inner.quota.is_tight() {
            // Every publisher takes a channel, and the broker has none to spare.
            return &self.publishers[0];
        }
        let (fanouts, others) = self.publishers.split_last().expect("there is a publisher for fanouts");
        if publish.exchange.kind == ExchangeKind::Fanout {
            return fanouts;
        }
        let mut hasher = DefaultHasher::new();
        (&publish.exchange.name, publish.routing_key.as_str()).hash(&mut hasher);
        let index = usize::try_from(hasher.finish() % others.len() as u64).expect("it is less than a length");
        &others[index]
    }

    /// Opens a subscription on the current link, and on the next one if that is lost meanwhile.
    /// While the channel limit is tight, it first lets the existing
    /// listeners resubscribe, for at most `request_timeout`.
    /// A queue that has another consumer is retried for `name_release_timeout`,
    /// and a stream whose replica is starting until the deadline.
    ///
    /// Fails with the broker's error; with `Closed` if the transport closes meanwhile.
    async fn open(&self, opener: &SubscriptionOpener, deadline: Deadline) -> Result<Session> {
        let config = &self.inner.config;
        let (started, mut attempts) = (Instant::now(), 0);
        loop {
            // In each round: the link may have been replaced while the last attempt waited.
            let link = self.inner.current.link("subscribe").await?;
            if self.inner.quota.is_tight() {
                // A new listener must not take a channel that an existing one needs to resubscribe.
                let _ = timeout(config.request_timeout, self.inner.barrier.wait_for_all(link.generation)).await;
            }
            match opener.open(&link, deadline).await {
                Err(error) if self.inner.current.lost_with(&link, &error).await => {}
                // The consumer may be our predecessor's, whose connection the broker has not given
                // up yet.
                Err(error) if is_taken(&error) && started.elapsed() < config.name_release_timeout() => {
                    sleep(Backoff::Exponential(attempts).random_delay(config)).await;
                    attempts += 1;
                }
                // The local replica of a stream that was declared a moment ago starts by itself.
                Err(error) if error.kind() == ErrorKind::Topology && error.is_transient() => {
                    let backoff = Backoff::Exponential(attempts).random_delay(config);
                    if backoff >= deadline.remaining() {
                        return Err(error);
                    }
                    debug!(%error, "a subscription failed for now; the driver retries it");
                    sleep(backoff).await;
                    attempts += 1;
                }
                outcome => return outcome,
            }
        }
    }

    /// Takes the tasks out, so that a second close finds none to await.
    fn tasks(&self) -> Vec<AbortOnDropHandle<()>> {
        std::mem::take(&mut self.tasks.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl Transport for AmqpTransport {
    /// The same for every configuration, and for every release of RabbitMQ that the driver supports.
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

    /// The receiver always has the current state. It outlives the transport, whose last state is `Closed`.
    fn health(&self) -> watch::Receiver<Health> {
        self.inner.health.subscribe()
    }

    /// Returns once the broker has confirmed the message, or with `declare_only` once its destination is declared.
    /// A body over `max_message_size` and headers over the frame limit are refused before anything is sent.
    /// The body is compressed before its size is checked.
    ///
    /// # Errors
    /// `Undeliverable`, executed `No`, if the broker returned the message;
    /// transient if a queue of this transport should have received it, or the link has just been replaced.
    /// `Refused` for a nack. `TooLarge`, `Denied`, `Topology` and `Closed`.
    /// `Disconnected`, executed `Maybe`, if the connection was lost after the message was sent;
    /// `Timeout`, executed `Maybe`, if it was not confirmed for `confirm_timeout`.
    /// At the deadline `Blocked`, `Disconnected` or `Timeout`; executed is `Maybe` if the message was sent.
    ///
    /// # Cancellation
    /// The message is sent if its publisher has taken it already. Otherwise it is skipped.
    async fn publish(&self, to: &Address, message: Message, options: &PublishOptions) -> Result<()> {
        let current = &self.inner.current;
        current.check_open("publish")?;
        if options.declare_only {
            return self.declare(&Prerequisite::of(to, options.ensure_queue), options.deadline).await;
        }
        let publish = Arc::new(CheckedPublish::new(&self.inner, to, message, options)?);
        let abandon_flag = Arc::new(AbandonFlag::default());
        let publishing = async {
            let sent = self.send(Arc::clone(&publish), &abandon_flag, options.deadline).await;
            match sent {
                // The queue was deleted after it was declared: declare it again, once.
                Err(error) if error.kind() == ErrorKind::Undeliverable && publish.prerequisite.has_queue() => {
                    self.destinations.forget(&publish.prerequisite);
                    self.send(Arc::clone(&publish), &abandon_flag, options.deadline).await
                }
                sent => sent,
            }
        };
        match options.deadline.run("publish", publishing).await {
            Ok(Err(error)) if error.kind() == ErrorKind::Undeliverable => {
                // Requests a check of the listener that should have the queue, whatever the error becomes.
                let has_own_listener = self.inner.queue_checks.suspect_route(to);
                // The consumer may be reconnecting as we are, so a retry may succeed.
                Err(if has_own_listener || current.is_fresh() { error.transient() } else { error })
            }
            Ok(published) => published,
            Err(_) => Err(current.deadline_error("publish", abandon_flag.abandon())),
        }
    }

    /// Returns once every consumer of the subscription has started.
    /// A queue that another process consumes under a stable name is retried for two heartbeats.
    /// While the channel limit is tight, existing listeners resubscribe first.
    ///
    /// # Errors
    /// The broker's; `Closed`; at the deadline `Disconnected` without a link, otherwise `Timeout`, executed `No`.
    ///
    /// # Cancellation
    /// Leaves no consumer behind. Declared queues stay.
    async fn subscribe(&self, subscription: &Subscription, deadline: Deadline) -> Result<Box<dyn Listener>> {
        let current = &self.inner.current;
        current.check_open("subscribe")?;
        let opener = SubscriptionOpener::new(Arc::clone(&self.inner), subscription.clone())?;
        for queue in opener.queues() {
            // Before anything is declared: an invalid name must leave nothing behind.
            check_name("queue", &queue.name)?;
        }
        let session = match deadline.run("subscribe", self.open(&opener, deadline)).await {
            Ok(outcome) => outcome?,
            // A subscription runs no method, so nothing was executed.
            Err(_) => {
                return Err(current.state().unblocked_deadline_error("subscribe").with_executed(Executed::No));
            }
        };
        Ok(Box::new(AmqpListener::new(opener, session)))
    }

    /// By a passive declare, so it creates nothing.
    /// A queue that is missing or has no consumer has its listeners checked.
    /// The counts are the broker's: ready messages, without those that a consumer holds unacknowledged.
    ///
    /// # Errors
    /// `Unsupported` for a fanout, which has no single queue,
    /// and for a reply queue of another process; `Closed`; the broker's.
    async fn inspect(&self, address: &Address, deadline: Deadline) -> Result<Option<QueueCounts>> {
        const OPERATION: &str = "inspect";
        let Inner { current, queue_checks, .. } = &*self.inner;
        current.check_open(OPERATION)?;
        let queue = address.routing_key();
        match address {
            Address::Fanout { .. } => return Err(Error::unsupported(OPERATION).with_context("address", address)),
            // A passive declare counts as a use of the queue, and would keep it from expiring.
            Address::Direct { .. } if !queue_checks.reads(&queue) => {
                return Err(Error::unsupported(OPERATION).with_context("address", address));
            }
            _ => {}
        }
        let looking = async {
            let link = current.link(OPERATION).await?;
            Declarer::new(&link, &self.inner, deadline).look(&queue).await
        };
        let looked = deadline.run(OPERATION, looking).await;
        let looked = looked.unwrap_or_else(|_| Err(current.state().unblocked_deadline_error(OPERATION)));
        let found = looked.map_err(|error| error.with_executed(Executed::No))?;
        if found.is_none_or(|found| found.consumers == 0) {
            queue_checks.suspect_queue(&queue);
        }
        Ok(found)
    }

    /// In this order: users see `Closed`; settlers write for at most 1 s; every connection closes; the tasks end.
    /// A second call returns at once. Listeners that are still open end with `Closed`;
    /// their private queues stay until they expire.
    ///
    /// # Errors
    /// `Timeout` if the broker does not answer by the deadline. The sockets are shut even then.
    ///
    /// # Cancellation
    /// The transport stays `Closed`. Dropping it then shuts the sockets.
    async fn close(&self, deadline: Deadline) -> Result<()> {
        if self.inner.current.check_open("close").is_err() {
            return Ok(());
        }
        let link = self.inner.current.state().link().cloned();
        if let Some(link) = &link {
            // Before the users of the channels see `Closed` and drop them.
            link.keep_channels();
        }
        self.inner.current.set(LinkState::Closed);
        self.inner.health.set_link_state(State::Closed);
        // After the state: a task that wakes up must see that the transport is closed.
        self.inner.closing.cancel();
        // Decisions of receivers go out before the AMQP close. What the broker does not take, it redelivers.
        let _ = deadline.min(Deadline::after(SETTLING)).run("close", self.inner.settlers.finish()).await;
        let closed = match link {
            Some(link) => link.close(deadline).await,
            None => Ok(()),
        };
        // The sockets are shut, so the tasks have nothing to wait for. One that has not ended by the
        // deadline is aborted.
        for task in self.tasks() {
            let _ = deadline.run("close", task).await;
        }
        closed
    }
}

/// Without an AMQP close. Whatever still waits fails with `Closed`.
impl Drop for AmqpTransport {
    /// Without this, callers that wait for a link would wait until their deadlines.
    fn drop(&mut self) {
        self.inner.current.set(LinkState::Closed);
        self.inner.health.set_link_state(State::Closed);
    }
}

/// Tries every host in turn, in rounds with growing waits,
/// until one accepts, no error is temporary, or the deadline is near.
/// Every host gets an equal share of what is left in a round.
/// If one failure is not transient, the waits of the rounds are long, because it may be a rejected login.
///
/// Fails with the last failure, which has those of the other hosts in its context.
/// If the deadline cut the last round off, that is the failure of the round before.
async fn first_link(hosts: &mut Hosts, config: &AmqpConfig, deadline: Deadline) -> Result<Link> {
    let mut earlier: Option<Error> = None;
    for round in 0_u32.. {
        let mut failures = Vec::new();
        for tried in 0..hosts.len() {
            // A host that never answers must leave the others their share of the time.
            let left = u32::try_from(hosts.len() - tried).unwrap_or(u32::MAX);
            // Recomputed for each host, so time that one host did not use is left to the others.
            let share = Deadline::after(deadline.remaining() / left);
            match Link::open(hosts.next(), config, 1, share).await {
                Ok(link) => return Ok(link),
                Err(error) => failures.push(error),
            }
        }
        let passing = failures.iter().filter(|failure| failure.is_transient()).count();
        // A rejected login is an entry in the broker's security log, so those retries wait longer.
        let backoff = if passing == failures.len() { Backoff::Exponential(round) } else { Backoff::Slow(round) };
        // One error for the caller and one line in the log, however many hosts there are.
        let failure = summed_up(failures);
        if passing == 0 || deadline.remaining() < LAST_TRY {
            // An attempt that the deadline cut off explains less than the one before.
            let cut_short = failure.kind() == ErrorKind::Timeout;
            return Err(earlier.filter(|_| cut_short).unwrap_or(failure));
        }
        if round == 0 {
            warn!(error = %failure, "the driver cannot connect to the broker yet; it retries until the deadline");
        }
        earlier = Some(failure);
        // However long the waits have grown, the last attempts lie close to the deadline.
        sleep(backoff.random_delay(config).min(deadline.remaining() / 2)).await;
    }
    Err(summed_up(Vec::new()))
}

/// One error for all hosts: the last one's, with the others in its context. `Config` if there are none.
fn summed_up(mut failures: Vec<Error>) -> Error {
    let Some(last) = failures.pop() else {
        return Error::new(ErrorKind::Config, "connect").with_context("reason", "the URL names no host");
    };
    failures.into_iter().fold(last, |last, other| last.with_context("other_host", other))
}
