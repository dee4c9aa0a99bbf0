//! A lane: the one task that publishes on one channel.
//!
//! lapin numbers a publish and queues its frames in two steps, so a channel shared by tasks can hand a confirm to the
//! wrong publisher: each channel has one owner. Publishes are polled once when they are taken, which fixes their order,
//! and then wait for their confirms side by side. A caller that gives up leaves its publish here: its confirm is awaited
//! all the same, because a return that belongs to it may travel on another's.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::task::Poll;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use lapin::message::BasicReturnMessage;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::ShortString;
use lapin::{Channel, Confirmation};
use oslo_messaging::{Deadline, Error, ErrorKind, Executed, Health, Result};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};
use tracing::warn;

use crate::barrier::{Barrier, Sequence};
use crate::config::AmqpConfig;
use crate::connection::Connection;
use crate::counters::{Counts, count};
use crate::declared::Declared;
use crate::parcel::{Job, Parcel};
use crate::ready::Ready;
use crate::salvage::{Failures, Salvage};
use crate::status::Status;
use crate::wreck::Sent;

/// What became of one publish.
enum Outcome {
    /// The broker cannot have the whole message.
    NotSent(lapin::Error),
    Confirmed(Box<Confirmation>),
    Unknown(lapin::Error),
}

/// What all lanes of a transport share.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    pub(crate) connection: Arc<Connection>,
    pub(crate) config: AmqpConfig,
    pub(crate) status: Arc<Status>,
    pub(crate) counts: Arc<Counts>,
    pub(crate) declared: Arc<Declared>,
}

pub(crate) struct Lane {
    shared: Shared,
    inbox: mpsc::Receiver<Job>,
    state: watch::Receiver<Health>,
    channel: Option<Channel>,
    in_flight: FuturesUnordered<BoxFuture<'static, (Sequence, Outcome)>>,
    ready: Ready,
    barrier: Barrier,
    /// The publishes whose fate is open, with the time they were sent.
    open: BTreeMap<Sequence, (Job, Instant)>,
    /// The open mandatory ones. An id comes twice if a message is sent again while its first publish is still out.
    by_id: HashMap<String, VecDeque<Sequence>>,
    /// What goes before the inbox: publishes that did not arrive, in their order.
    again: VecDeque<Job>,
    /// Since when the broker could confirm: it confirms nothing while it is blocked.
    unblocked: Instant,
}

impl Lane {
    pub(crate) fn new(shared: Shared, inbox: mpsc::Receiver<Job>) -> Self {
        Self {
            state: shared.status.subscribe(),
            shared,
            inbox,
            channel: None,
            in_flight: FuturesUnordered::new(),
            ready: Ready::default(),
            barrier: Barrier::default(),
            open: BTreeMap::new(),
            by_id: HashMap::new(),
            again: VecDeque::new(),
            unblocked: Instant::now(),
        }
    }

    /// Publishes until every sender is gone.
    pub(crate) async fn run(mut self) {
        loop {
            let blocked = self.shared.status.blocked().is_some();
            let out = self.open.len().max(self.in_flight.len());
            let room = out < self.shared.config.publish_window && !blocked;
            if room && let Some(job) = self.again.pop_front() {
                self.send(job).await;
                continue;
            }
            let overdue = self.overdue().filter(|_| !blocked);
            tokio::select! {
                biased;
                Some((sequence, outcome)) = self.in_flight.next(), if !self.in_flight.is_empty() => {
                    self.complete(sequence, outcome).await;
                }
                job = self.inbox.recv(), if room => match job {
                    Some(job) => self.send(job).await,
                    None => return,
                },
                _ = self.state.changed() => if self.shared.status.blocked().is_none() {
                    self.unblocked = Instant::now();
                },
                () = sleep_until(overdue.unwrap_or_else(Instant::now)), if overdue.is_some() => self.give_up(),
            }
        }
    }

    /// Puts one parcel on the wire, unless its caller has gone before it got this far.
    async fn send(&mut self, mut job: Job) {
        if job.fate.is_closed() {
            return;
        }
        if let Err(error) = self.shared.status.check("publish") {
            let _ = job.fate.send(Err(error));
            return;
        }
        let channel = match self.channel().await {
            Ok(channel) => channel,
            // A broker that does not answer is waited for; who does not want to wait has a deadline.
            Err(error) if error.kind() == ErrorKind::Timeout => return self.again.push_front(job),
            Err(error) => {
                let _ = job.fate.send(Err(error));
                return;
            }
        };
        if !job.ticket.send() {
            return;
        }
        job.sends += 1;
        count(&self.shared.counts.publishes, 1);
        let sequence = self.barrier.issue(job.parcel.mandatory);
        let mut publish: BoxFuture<'static, _> = Box::pin(publish(channel, Arc::clone(&job.parcel), sequence));
        if job.parcel.mandatory {
            self.by_id.entry(job.parcel.id.clone()).or_default().push_back(sequence);
        }
        self.open.insert(sequence, (job, Instant::now()));
        // The first poll numbers the message and queues its frames, in the order in which parcels came.
        match futures_util::poll!(publish.as_mut()) {
            Poll::Ready((sequence, outcome)) => self.complete(sequence, outcome).await,
            Poll::Pending => self.in_flight.push(publish),
        }
    }

    /// Takes in one outcome and whatever else is ready, and tells those whose fate is certain now: before everything that
    /// is ready was taken in, a return may lie in an outcome that was not (see [`Barrier`]).
    async fn complete(&mut self, sequence: Sequence, outcome: Outcome) {
        let mut next = Some((sequence, outcome));
        while let Some((sequence, outcome)) = next {
            let failures = match outcome {
                Outcome::Confirmed(confirmation) => {
                    self.confirmed(sequence, *confirmation);
                    next = self.ready.next(&mut self.in_flight);
                    continue;
                }
                Outcome::NotSent(error) => Failures::first(sequence, Sent::Never, error),
                Outcome::Unknown(error) => Failures::first(sequence, Sent::Unknown, error),
            };
            return self.clear_up(failures).await;
        }
        for certain in self.barrier.release() {
            self.tell(certain, Ok(()));
        }
    }

    fn confirmed(&mut self, sequence: Sequence, confirmation: Confirmation) {
        count(&self.shared.counts.confirms, 1);
        let held = self.barrier.complete(sequence);
        let (returned, nack) = match confirmation {
            Confirmation::Ack(returned) => (returned, false),
            Confirmation::Nack(returned) => (returned, true),
            // Not on a channel in confirm mode, which ours are; what it would mean is that nobody knows.
            Confirmation::NotRequested => {
                let unknown = Error::new(ErrorKind::Refused, "publish").with_executed(Executed::Maybe);
                return self.tell(sequence, Err(unknown.with("reason", "the channel does not confirm")));
            }
        };
        if let Some(returned) = returned {
            self.returned(&returned);
        }
        if nack {
            let refused = Error::new(ErrorKind::Refused, "publish").transient();
            self.tell(sequence, Err(refused.with("reason", "the broker could not take the message")));
        } else if !held {
            self.tell(sequence, Ok(()));
        }
    }

    /// Tells the publisher that the returned message names, whichever confirm it came with.
    fn returned(&mut self, returned: &BasicReturnMessage) {
        count(&self.shared.counts.returns, 1);
        let id = returned.delivery.properties.message_id().as_ref().map(ShortString::as_str).unwrap_or_default();
        let Some(sequence) = self.by_id.get(id).and_then(|sequences| sequences.front().copied()) else {
            warn!(id, "the broker returned a message that nobody here has sent");
            return;
        };
        let error = Error::new(ErrorKind::Undeliverable, "publish")
            .with("exchange", &returned.delivery.exchange)
            .with("routing key", &returned.delivery.routing_key)
            .with("broker", format_args!("{} {}", returned.reply_code, returned.reply_text));
        self.tell(sequence, Err(error));
    }

    /// The channel is gone, and takes everything with it that was out on it. All of it ends at once; then each publish is
    /// told what is known of it, and what did not arrive goes first on the next channel, in the old order.
    async fn clear_up(&mut self, mut failures: Failures) {
        let soon = Deadline::after(self.shared.config.request_timeout);
        while let Ok(Some((sequence, outcome))) = soon.run("publish", self.in_flight.next()).await {
            match outcome {
                Outcome::Confirmed(confirmation) => self.confirmed(sequence, *confirmation),
                Outcome::NotSent(error) => failures.add(sequence, Sent::Never, error),
                Outcome::Unknown(error) => failures.add(sequence, Sent::Unknown, error),
            }
        }
        let out = self.start_over();
        let mut again = Salvage::new(&self.shared, failures).sort(out).await;
        again.append(&mut self.again);
        self.again = again;
    }

    /// Ends every publish on a channel whose oldest confirm is overdue.
    fn give_up(&mut self) {
        let out = self.start_over();
        warn!(publishes = out.len(), "the broker does not confirm: a publishing channel is given up");
        for (_, job) in out {
            let error = Error::timeout("publish").with_executed(Executed::Maybe);
            let _ = job.fate.send(Err(error.with("reason", "the broker did not confirm in time")));
        }
    }

    /// Forgets the channel, and gives out what was open on it.
    fn start_over(&mut self) -> Vec<(Sequence, Job)> {
        self.channel = None;
        self.in_flight = FuturesUnordered::new();
        self.barrier = Barrier::default();
        self.by_id.clear();
        std::mem::take(&mut self.open).into_iter().map(|(sequence, (job, _))| (sequence, job)).collect()
    }

    fn tell(&mut self, sequence: Sequence, fate: Result<()>) {
        let Some((job, _)) = self.open.remove(&sequence) else { return };
        if job.parcel.mandatory
            && let Some(sequences) = self.by_id.get_mut(&job.parcel.id)
        {
            sequences.retain(|open| *open != sequence);
            if sequences.is_empty() {
                self.by_id.remove(&job.parcel.id);
            }
        }
        if matches!(&fate, Err(error) if error.executed() == Executed::No) {
            job.ticket.give_back();
        }
        // A caller that has given up does not listen any more.
        let _ = job.fate.send(fate);
    }

    /// The channel, even if it is gone: what was out on it must be cleared up before there is another.
    async fn channel(&mut self) -> Result<Channel> {
        if let Some(channel) = &self.channel {
            return Ok(channel.clone());
        }
        let Shared { connection, config, .. } = &self.shared;
        let deadline = Deadline::after(config.request_timeout);
        let channel = connection.channel(deadline).await?;
        let select = channel.confirm_select(ConfirmSelectOptions::default());
        connection.ask("select confirms", deadline, select).await?;
        Ok(self.channel.insert(channel).clone())
    }

    /// When the oldest open publish is overdue.
    fn overdue(&self) -> Option<Instant> {
        let (_, (_, sent)) = self.open.first_key_value()?;
        Some((*sent).max(self.unblocked) + self.shared.config.confirm_timeout)
    }
}

/// One publish to its confirm. Up to the first await it queues the frames; the first await ends when they are written.
async fn publish(channel: Channel, parcel: Arc<Parcel>, sequence: Sequence) -> (Sequence, Outcome) {
    let options = BasicPublishOptions { mandatory: parcel.mandatory, ..BasicPublishOptions::default() };
    let (exchange, key) = (parcel.exchange_name.clone(), parcel.routing_key.clone());
    let properties = parcel.properties.clone();
    let outcome = match channel.basic_publish(exchange, key, options, &parcel.body, properties).await {
        Err(error) => Outcome::NotSent(error),
        Ok(confirm) => match confirm.await {
            Ok(confirmation) => Outcome::Confirmed(Box::new(confirmation)),
            Err(error) => Outcome::Unknown(error),
        },
    };
    (sequence, outcome)
}
