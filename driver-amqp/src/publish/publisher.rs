//! A lane: the one task that publishes on one channel.
//!
//! lapin numbers a publish and queues its frames in two steps, so a channel shared by tasks can hand a confirm to the
//! wrong publisher: each channel has one owner. Publishes are polled once when they are taken, which fixes their order,
//! and then wait for their confirms side by side. A caller that gives up leaves its publish here: its confirm is awaited
//! all the same, since lapin keeps what nobody waits for. Returned messages do not come through lapin: the frame reader
//! notes each before lapin sees the confirm that follows it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use lapin::options::ConfirmSelectOptions;
use oslo_messaging::{Deadline, Error, ErrorKind, Executed, Result};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tracing::warn;

use crate::connection::channel::Channel;
use crate::counters::count;
use crate::frames::Returned;
use crate::link::Link;
use crate::link::current::LinkState;
use crate::link::inner::Inner;
use crate::link::state_machine::Generation;
use crate::properties::check_frame;
use crate::publish::channel_closed::SendState;
use crate::publish::channel_renewal::ChannelRenewal;
use crate::publish::confirm::{Confirm, Outcome, publish, refused};
use crate::publish::destinations::{Destinations, Prerequisite};
use crate::publish::job::PublishJob;
use crate::publish::pending_declaration::PendingDeclaration;
use crate::publish::resend::{ChannelFailures, Resend};
use crate::publish::unconfirmed::{Sequence, Unconfirmed};

/// How long a lane rests whose link does not work, and is not yet seen to be gone.
const REST: Duration = Duration::from_millis(50);

pub(crate) struct Publisher {
    inner: Arc<Inner>,
    destinations: Arc<Destinations>,
    inbox: mpsc::Receiver<PublishJob>,
    state: watch::Receiver<LinkState>,
    /// The channel, and the link that it is on.
    channel: Option<(Arc<Link>, Channel)>,
    renewal: ChannelRenewal,
    in_flight: FuturesUnordered<BoxFuture<'static, (Sequence, Outcome)>>,
    open: Unconfirmed,
    /// What goes before the inbox: publishes that did not arrive, in their order.
    again: VecDeque<PublishJob>,
    /// The publish whose needs are being declared, which goes before `again`.
    declaring: Option<PendingDeclaration>,
    /// Since when the broker could confirm: it confirms nothing while it is blocked.
    unblocked: Instant,
    /// Until when nothing is sent, because nothing can be.
    rest: Option<Instant>,
}

impl Publisher {
    pub(crate) fn new(inner: Arc<Inner>, destinations: Arc<Destinations>, inbox: mpsc::Receiver<PublishJob>) -> Self {
        Self {
            state: inner.current.watch(),
            inner,
            destinations,
            inbox,
            channel: None,
            renewal: ChannelRenewal::new(Instant::now()),
            in_flight: FuturesUnordered::new(),
            open: Unconfirmed::default(),
            again: VecDeque::new(),
            declaring: None,
            unblocked: Instant::now(),
            rest: None,
        }
    }

    /// Publishes until every sender is gone, or the transport is closed.
    pub(crate) async fn run(mut self) {
        loop {
            let state = self.state.borrow_and_update().clone();
            if let LinkState::Closed = state {
                return self.close().await;
            }
            if self.channel.as_ref().is_some_and(|(link, _)| !is_of(&state, link)) {
                self.clear_up(ChannelFailures::default()).await;
                continue;
            }
            let blocked = matches!(state, LinkState::Blocked(..));
            let out = self.open.len().max(self.in_flight.len());
            let awaited = self.renewal.awaited();
            if awaited.is_some() && out == 0 {
                self.start_over();
                continue;
            }
            let held_back = awaited.or(self.rest).is_some() || self.declaring.is_some();
            let link = match &state {
                LinkState::Ready(link) if out < self.inner.config.publish_window && !held_back => Some(link),
                _ => None,
            };
            if let Some(link) = link
                && let Some(job) = self.again.pop_front()
            {
                self.send(link, job).await;
                continue;
            }
            let overdue = self.overdue().filter(|_| !blocked);
            tokio::select! {
                biased;
                Some((sequence, outcome)) = self.in_flight.next(), if !self.in_flight.is_empty() => {
                    self.complete(sequence, outcome).await;
                }
                _ = self.state.changed() => if blocked {
                    self.unblocked = Instant::now();
                },
                declared = PendingDeclaration::done(&mut self.declaring) => self.declared(declared),
                job = self.inbox.recv(), if link.is_some() => match (job, link) {
                    (Some(job), Some(link)) => self.send(link, job).await,
                    _ => return,
                },
                () = sleep_until(self.rest.unwrap_or_else(Instant::now)), if self.rest.is_some() => self.rest = None,
                () = sleep_until(awaited.unwrap_or_else(Instant::now)), if awaited.is_some() => {
                    self.renewal.put_off(Instant::now());
                }
                () = sleep_until(overdue.unwrap_or_else(Instant::now)), if overdue.is_some() => self.give_up(),
            }
        }
    }

    /// Puts one publish on the wire, unless its caller has gone before it got this far.
    async fn send(&mut self, link: &Arc<Link>, mut job: PublishJob) {
        if job.result.is_closed() {
            return;
        }
        if job.declared != link.generation && job.publish.prerequisite != Prerequisite::None {
            // Nothing else is sent meanwhile, but confirms are heard, and so is a loss.
            self.declaring =
                Some(PendingDeclaration::start(&self.destinations, self.inner.config.request_timeout, job));
            return;
        }
        if let Err(error) = check_frame(job.publish.header_bytes, link.publishing.frame_max()) {
            let _ = job.result.send(Err(error));
            return;
        }
        let channel = match self.channel(link).await {
            Ok(channel) => channel,
            Err(error) => return self.unprepared(job, error),
        };
        if !job.abandon_flag.mark_sent() {
            return;
        }
        job.attempts += 1;
        let encoded = Arc::clone(&job.publish);
        let sequence = self.open.add(job, Instant::now());
        let mut publish: BoxFuture<'static, _> = Box::pin(publish(channel, encoded, sequence));
        // The first poll numbers the message and queues its frames, in the order in which parcels came.
        let polled = futures_util::poll!(publish.as_mut());
        // On a channel that is gone lapin queues nothing.
        if !matches!(&polled, Poll::Ready((_, Outcome::NotSent(_)))) {
            count(&self.inner.counts.publishes, 1);
        }
        match polled {
            Poll::Ready((sequence, outcome)) => self.complete(sequence, outcome).await,
            Poll::Pending => self.in_flight.push(publish),
        }
    }

    /// Goes on with the job whose needs were declared, or were not.
    fn declared(&mut self, declared: Result<Generation>) {
        let Some(mut job) = self.declaring.take().map(PendingDeclaration::stop) else { return };
        match declared {
            Ok(generation) => {
                job.declared = generation;
                self.again.push_front(job);
            }
            Err(error) => self.unprepared(job, error),
        }
    }

    /// What becomes of a job that cannot be sent.
    fn unprepared(&mut self, job: PublishJob, error: Error) {
        // A broker that does not answer is waited for, and so is a new link; who does not want to wait has a deadline.
        if matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Disconnected) {
            self.rest = Some(Instant::now() + REST);
            return self.again.push_front(job);
        }
        let _ = job.result.send(Err(error));
    }

    /// The channel on `link`. Nothing is out while it is opened.
    async fn channel(&mut self, link: &Arc<Link>) -> Result<Channel> {
        // Even if it is gone: what was out on it must be cleared up before there is another.
        if let Some((_, channel)) = &self.channel {
            return Ok(channel.clone());
        }
        let deadline = Deadline::after(self.inner.config.request_timeout);
        let channel = link.publishing.channel(deadline).await?;
        let select = channel.confirm_select(ConfirmSelectOptions::default());
        link.publishing.ask("select confirms", deadline, select).await?;
        self.channel = Some((Arc::clone(link), channel.clone()));
        self.renewal = ChannelRenewal::new(Instant::now());
        Ok(channel)
    }

    /// Takes in one outcome, and what else is ready.
    async fn complete(&mut self, sequence: Sequence, outcome: Outcome) {
        let mut next = Some((sequence, outcome));
        while let Some((sequence, outcome)) = next {
            let failures = match outcome {
                Outcome::Confirmed(confirm) => {
                    self.confirmed(sequence, confirm);
                    next = self.in_flight.next().now_or_never().flatten();
                    continue;
                }
                Outcome::NotSent(error) => ChannelFailures::first(sequence, SendState::NotSent, error),
                Outcome::Unknown(error) => ChannelFailures::first(sequence, SendState::MaybeSent, error),
            };
            return self.clear_up(failures).await;
        }
    }

    fn confirmed(&mut self, sequence: Sequence, confirm: Confirm) {
        count(&self.inner.counts.confirms, 1);
        // A return comes before the confirm of its message, so it was noted before lapin saw the confirm.
        self.take_in_returns();
        let fate = match confirm {
            Confirm::Ack => Ok(()),
            Confirm::Nack => {
                self.renewal.refused(Instant::now());
                Err(refused(self.open.get(sequence).map_or(Executed::Maybe, |job| job.publish.if_refused)))
            }
            // Not on a channel in confirm mode, which ours are; what it would mean is that nobody knows.
            Confirm::NotRequested => {
                let unknown = Error::new(ErrorKind::Refused, "publish").with_executed(Executed::Maybe);
                Err(unknown.with("reason", "the channel is not in confirm mode"))
            }
        };
        self.tell(sequence, fate);
    }

    /// Fails the publishes whose messages were returned since this was asked last.
    fn take_in_returns(&mut self) {
        let Some((link, channel)) = &self.channel else { return };
        for returned in link.publishing.notices().take_returned(channel.id()) {
            self.returned(&returned);
        }
    }

    fn returned(&mut self, returned: &Returned) {
        count(&self.inner.counts.returns, 1);
        let id = returned.message_id.as_str();
        let Some((sequence, publish)) = self.open.named(id) else {
            warn!(id, code = returned.code, "the broker returned a message that no publish waits for; it is ignored");
            return;
        };
        let error = Error::new(ErrorKind::Undeliverable, "publish")
            .with("exchange", &publish.exchange_name)
            .with("routing_key", &publish.routing_key)
            .with("broker", format_args!("{} {}", returned.code, returned.text));
        self.tell(sequence, Err(error));
    }

    /// The channel is gone, and takes everything with it that was out on it. All of it ends at once; then each publish is
    /// told what is known of it, and what did not arrive goes first on the next channel, in the old order.
    async fn clear_up(&mut self, mut failures: ChannelFailures) {
        let started = Instant::now();
        // Of a channel the broker tells, and may take its time; of a connection there is nobody left to tell.
        while let Some(patience) = failures.patience(&self.inner.config).checked_sub(started.elapsed()) {
            let Ok(Some((sequence, outcome))) = timeout(patience, self.in_flight.next()).await else { break };
            match outcome {
                Outcome::Confirmed(confirm) => self.confirmed(sequence, confirm),
                Outcome::NotSent(error) => failures.add(sequence, SendState::NotSent, error),
                Outcome::Unknown(error) => failures.add(sequence, SendState::MaybeSent, error),
            }
        }
        let host = self.host();
        let out = self.start_over();
        let mut again = Resend::new(&self.inner, &self.destinations, host, failures).sort(out);
        // Whatever was being declared is declared on the next link.
        again.extend(self.declaring.take().map(PendingDeclaration::stop));
        again.append(&mut self.again);
        self.again = again;
    }

    /// Tells everybody that it is over.
    async fn close(mut self) {
        self.clear_up(ChannelFailures::default()).await;
        self.inbox.close();
        while let Some(job) = self.again.pop_front().or_else(|| self.inbox.try_recv().ok()) {
            let _ = job.result.send(Err(Error::closed("publish")));
        }
    }

    /// Ends every publish on a channel whose oldest confirm is overdue.
    fn give_up(&mut self) {
        let host = self.host();
        let out = self.start_over();
        warn!(
            host,
            publishes = out.len(),
            "the broker did not confirm publishes in time; the publisher fails them and opens a new channel"
        );
        for (_, job) in out {
            let error = Error::timeout("publish").with_executed(Executed::Maybe);
            let error = error.with("reason", "the broker did not confirm in time").with("host", &host);
            let _ = job.result.send(Err(error));
        }
    }

    /// The broker of the channel.
    fn host(&self) -> String {
        self.channel.as_ref().map_or_else(String::new, |(link, _)| link.host.clone())
    }

    /// Forgets the channel, and gives out what is open on it.
    fn start_over(&mut self) -> Vec<(Sequence, PublishJob)> {
        self.take_in_returns();
        self.channel = None;
        self.renewal = ChannelRenewal::new(Instant::now());
        self.in_flight = FuturesUnordered::new();
        self.open.take()
    }

    fn tell(&mut self, sequence: Sequence, fate: Result<()>) {
        let Some(job) = self.open.remove(sequence) else { return };
        if matches!(&fate, Err(error) if error.executed() == Executed::No) {
            job.abandon_flag.mark_unsent();
        }
        // A caller that has given up does not listen any more.
        let _ = job.result.send(fate);
    }

    /// When the oldest open publish is overdue.
    fn overdue(&self) -> Option<Instant> {
        // One of centuries is never over.
        self.open.oldest()?.max(self.unblocked).checked_add(self.inner.config.confirm_timeout)
    }
}

/// Whether `link` is the one of the moment.
fn is_of(state: &LinkState, link: &Link) -> bool {
    state.publishing().is_some_and(|now| now.generation == link.generation)
}
