//! The task that publishes on one channel, whose only user it is.
//!
//! lapin numbers a publish and queues its frames in two steps,
//! so a channel that tasks share can resolve a confirm for the wrong publish: each channel has one owner.
//! A publish is polled once when it is taken, which fixes its order; then all wait for their confirms concurrently.
//! When a caller gives up, its publish stays here until its confirm arrives,
//! because lapin keeps a confirm that is never awaited.
//! Returned messages do not pass through lapin:
//! the frame reader records each before lapin sees the confirm that follows it.

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
use crate::publish::channel_renewal::ChannelRenewal;
use crate::publish::confirm::{Confirm, Outcome, refused, send_and_await_confirm};
use crate::publish::destinations::{Destinations, Prerequisite};
use crate::publish::disposition::WriteState;
use crate::publish::job::PublishJob;
use crate::publish::pending_declaration::PendingDeclaration;
use crate::publish::resend::{ChannelFailures, Resend};
use crate::publish::unconfirmed::{Sequence, Unconfirmed};

/// How long to wait before the next send after the link failed and before its loss is visible.
/// Without it, a job that fails at once would be retried in a busy loop until the supervisor has noted the loss.
const REST: Duration = Duration::from_millis(50);

/// Publishes the jobs of its callers on one channel, in order, and resolves each with the broker's answer.
/// One task owns it and runs [`run`](Self::run). No other task touches its channel.
pub(crate) struct Publisher {
    /// For the configuration, the counters and the current link.
    inner: Arc<Inner>,
    /// What was declared; shared with the callers and the other publishers.
    destinations: Arc<Destinations>,
    /// Jobs in the order in which callers passed them on.
    /// At most 256 wait here; further callers wait for room.
    jobs: mpsc::Receiver<PublishJob>,
    /// The state of the link as this task last saw it.
    state: watch::Receiver<LinkState>,
    /// The channel, with its link; `None` until the next publish opens one. In confirm mode.
    /// It stays after a loss until `clear_up` has resolved what is unconfirmed.
    channel: Option<(Arc<Link>, Channel)>,
    /// Whether a refusal suggests another channel.
    renewal: ChannelRenewal,
    /// The confirms that are awaited, one future per publish.
    in_flight: FuturesUnordered<BoxFuture<'static, (Sequence, Outcome)>>,
    /// The jobs of these publishes, by sequence number.
    unconfirmed: Unconfirmed,
    /// Publishes that did not reach the broker, in their order, behind the one whose declaration has just ended.
    /// They go before `jobs`. Kept across links: a job leaves only with a result or when it is sent.
    held: VecDeque<PublishJob>,
    /// The publish whose destination is being declared. It goes before `held`.
    declaring: Option<PendingDeclaration>,
    /// When the broker last ended a block; confirms are overdue only after that.
    /// At first the time at which the publisher was made.
    unblocked: Instant,
    /// Nothing is sent before this instant: 50 ms after a channel or a declaration failed.
    rest: Option<Instant>,
}

/// What a publisher does next, by the state of its link and channel.
/// Decided from the state alone, without waiting, so that one place fixes the priorities.
enum Step {
    /// The transport is closed: resolve everything and end.
    Close,
    /// The link of the channel is not the current one, so its unconfirmed publishes must be resolved first.
    LeaveLostLink,
    /// The channel refused something, and everything on it is confirmed: take another.
    /// A new channel learns the present leader of a replicated queue, see `channel_renewal`.
    ReplaceChannel,
    /// Send this job on this link. It may still wait for a declaration or a channel.
    Send(Arc<Link>, PublishJob),
    /// Nothing to do until something happens. New jobs are taken if there is a link that `accepting` names.
    Wait { accepting: Option<Arc<Link>> },
}

/// What a waiting publisher woke up for. The order of the branches in `wait` decides between several.
enum Wakeup {
    /// lapin resolved the confirm of this publish.
    Outcome(Sequence, Outcome),
    /// The state of the current link changed, or was set again.
    LinkChanged,
    /// The pending declaration ended; the generation is that of the link on which it was made.
    Declared(Result<Generation>),
    /// `None`: every sender is dropped.
    Job(Option<PublishJob>),
    /// `rest` has passed, so jobs may be sent again.
    RestOver,
    /// The channel did not drain in time, and is kept.
    DrainOver,
    /// The oldest unconfirmed publish is older than `confirm_timeout`.
    /// Every publish of the channel then fails, executed `Maybe`.
    ConfirmOverdue,
}

impl Publisher {
    /// A publisher without a channel. [`run`](Self::run) opens one on demand.
    pub(crate) fn new(inner: Arc<Inner>, destinations: Arc<Destinations>, jobs: mpsc::Receiver<PublishJob>) -> Self {
        Self {
            state: inner.current.watch(),
            inner,
            destinations,
            jobs,
            channel: None,
            renewal: ChannelRenewal::new(Instant::now()),
            in_flight: FuturesUnordered::new(),
            unconfirmed: Unconfirmed::default(),
            held: VecDeque::new(),
            declaring: None,
            unblocked: Instant::now(),
            rest: None,
        }
    }

    /// Publishes until every sender of jobs is dropped or the transport closes. It then ends by itself.
    ///
    /// Before it ends it resolves every job that it has, so no caller waits for a publisher that is gone.
    ///
    /// Dropping the future drops the jobs; their callers get `Closed`, executed `Maybe`.
    pub(crate) async fn run(mut self) {
        loop {
            let state = self.state.borrow_and_update().clone();
            match self.next_step(&state) {
                Step::Close => return self.close().await,
                Step::LeaveLostLink => self.clear_up(ChannelFailures::of_lost_connection()).await,
                // Nothing is unconfirmed, so nothing is lost with the channel.
                Step::ReplaceChannel => drop(self.leave_channel()),
                Step::Send(link, job) => self.send(&link, job).await,
                Step::Wait { accepting } => {
                    let blocked = matches!(state, LinkState::Blocked(..));
                    let wakeup = self.wait(accepting.is_some(), blocked).await;
                    match (wakeup, accepting) {
                        (Wakeup::Outcome(sequence, outcome), _) => self.complete(sequence, outcome).await,
                        // The broker confirms nothing while it blocks the connection, so confirms are not overdue.
                        (Wakeup::LinkChanged, _) if blocked => self.unblocked = Instant::now(),
                        (Wakeup::LinkChanged, _) => {}
                        (Wakeup::Declared(declared), _) => self.declared(declared),
                        (Wakeup::Job(Some(job)), Some(link)) => self.send(&link, job).await,
                        // Not expected, since a job is taken only for a link; it waits for the next one.
                        (Wakeup::Job(Some(job)), None) => self.held.push_back(job),
                        (Wakeup::Job(None), _) => return,
                        (Wakeup::RestOver, _) => self.rest = None,
                        (Wakeup::DrainOver, _) => self.renewal.put_off(Instant::now()),
                        (Wakeup::ConfirmOverdue, _) => self.give_up(),
                    }
                }
            }
        }
    }

    /// Decides what to do in `state`; takes the job out of `held` if that is to send it.
    ///
    /// A closed transport comes first, then a lost link, then a replaced channel.
    /// New jobs come last, so that failed ones keep their place in the order.
    fn next_step(&mut self, state: &LinkState) -> Step {
        if let LinkState::Closed = state {
            return Step::Close;
        }
        if self.channel.as_ref().is_some_and(|(link, _)| !is_current(state, link)) {
            return Step::LeaveLostLink;
        }
        let unconfirmed = self.unconfirmed.len().max(self.in_flight.len());
        let draining = self.renewal.draining_until().is_some();
        if draining && unconfirmed == 0 {
            return Step::ReplaceChannel;
        }
        // Confirms are still taken in meanwhile.
        let held_back = draining || self.rest.is_some() || self.declaring.is_some();
        let LinkState::Ready(link) = state else { return Step::Wait { accepting: None } };
        // Also for jobs of `held`: a resend must not exceed the window either.
        if held_back || unconfirmed >= self.inner.config.publish_window {
            return Step::Wait { accepting: None };
        }
        match self.held.pop_front() {
            Some(job) => Step::Send(Arc::clone(link), job),
            None => Step::Wait { accepting: Some(Arc::clone(link)) },
        }
    }

    /// Waits for the next event. Outcomes come before new jobs: they free the window, and tell of a lost channel.
    ///
    /// The order of the branches is their priority.
    async fn wait(&mut self, accepting: bool, blocked: bool) -> Wakeup {
        let draining_until = self.renewal.draining_until();
        let overdue = self.confirm_deadline().filter(|_| !blocked);
        let at = |instant: Option<Instant>| sleep_until(instant.unwrap_or_else(Instant::now));
        tokio::select! {
            biased;
            Some((sequence, outcome)) = self.in_flight.next(), if !self.in_flight.is_empty() => {
                Wakeup::Outcome(sequence, outcome)
            }
            _ = self.state.changed() => Wakeup::LinkChanged,
            declared = PendingDeclaration::done(&mut self.declaring) => Wakeup::Declared(declared),
            job = self.jobs.recv(), if accepting => Wakeup::Job(job),
            () = at(self.rest), if self.rest.is_some() => Wakeup::RestOver,
            () = at(draining_until), if draining_until.is_some() => Wakeup::DrainOver,
            () = at(overdue), if overdue.is_some() => Wakeup::ConfirmOverdue,
        }
    }

    /// Writes one publish, unless its caller has given up.
    /// Returns once its frames are queued, not confirmed.
    ///
    /// If the prerequisite is not declared on this link,
    /// the job becomes the pending declaration, and nothing else is sent meanwhile.
    /// The abandon flag is set right before lapin gets the message; from then on the outcome can be `Maybe`.
    async fn send(&mut self, link: &Arc<Link>, mut job: PublishJob) {
        if job.result.is_closed() {
            return;
        }
        if job.declared != link.generation && job.publish.prerequisite != Prerequisite::None {
            // Not awaited here: confirms and a loss of the link must still be handled.
            self.declaring =
                Some(PendingDeclaration::start(&self.destinations, self.inner.config.request_timeout, job));
            return;
        }
        // The limit may differ from that of the link on which the caller checked it.
        if let Err(error) = check_frame(job.publish.header_bytes, link.publishing.frame_max()) {
            let _ = job.result.send(Err(error));
            return;
        }
        // Before the abandon flag: a caller that gives up while a channel opens has not sent anything.
        let channel = match self.channel(link).await {
            Ok(channel) => channel,
            Err(error) => return self.unprepared(job, error),
        };
        if !job.abandon_flag.mark_taken() {
            return;
        }
        // After the flag: a job that its caller abandoned is not an attempt.
        job.attempts += 1;
        let encoded = Arc::clone(&job.publish);
        let sequence = self.unconfirmed.add(job, Instant::now());
        let mut publish: BoxFuture<'static, _> = Box::pin(send_and_await_confirm(channel, encoded, sequence));
        // The first poll numbers the message and queues its frames, so the order of jobs is the order on the wire.
        let polled = futures_util::poll!(publish.as_mut());
        // On a closed channel lapin queues nothing.
        if !matches!(&polled, Poll::Ready((_, Outcome::NotWritten(_)))) {
            count(&self.inner.counts.publishes, 1);
        }
        match polled {
            Poll::Ready((sequence, outcome)) => self.complete(sequence, outcome).await,
            Poll::Pending => self.in_flight.push(publish),
        }
    }

    /// Continues with the job whose declaration has ended.
    /// A declared job goes to the front of `held`, so its order does not change.
    fn declared(&mut self, declared: Result<Generation>) {
        let Some(mut job) = self.declaring.take().map(PendingDeclaration::stop) else { return };
        match declared {
            Ok(generation) => {
                job.declared = generation;
                self.held.push_front(job);
            }
            Err(error) => self.unprepared(job, error),
        }
    }

    /// Keeps a job that failed before it was sent, if another attempt may help, and otherwise fails it.
    ///
    /// A `Timeout` or `Disconnected` delays it by 50 ms.
    /// Any other error is final, because the caller gets the broker's reason.
    fn unprepared(&mut self, job: PublishJob, error: Error) {
        // The caller has a deadline, so an unanswered request or a lost link only delays the job.
        if matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Disconnected) {
            self.rest = Some(Instant::now() + REST);
            return self.held.push_front(job);
        }
        let _ = job.result.send(Err(error));
    }

    /// The channel on `link`, opened and put into confirm mode if there is none. Nothing is unconfirmed while it opens.
    ///
    /// Fails with `Refused` at the channel limit; `Timeout`; `Disconnected`.
    /// The channel is then dropped, and the next call opens another.
    async fn channel(&mut self, link: &Arc<Link>) -> Result<Channel> {
        // Also a closed one: its unconfirmed publishes must be cleared up before another opens.
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

    /// Handles one outcome, and every other that is ready. The first failure clears up the channel.
    /// Successes are taken in a batch, without a turn of the loop for each.
    async fn complete(&mut self, sequence: Sequence, outcome: Outcome) {
        let mut next = Some((sequence, outcome));
        while let Some((sequence, outcome)) = next {
            let failures = match outcome {
                Outcome::Confirmed(confirm) => {
                    self.confirmed(sequence, confirm);
                    // Without a turn of the loop, which would clone the state for each confirm.
                    next = self.in_flight.next().now_or_never().flatten();
                    continue;
                }
                Outcome::NotWritten(error) => ChannelFailures::first(sequence, WriteState::NotWritten, error),
                Outcome::Written(error) => ChannelFailures::first(sequence, WriteState::Written, error),
            };
            return self.clear_up(failures).await;
        }
    }

    /// A nack is `Refused`; what it says about the execution depends on the address.
    /// An ack of a returned message finds it resolved already.
    fn confirmed(&mut self, sequence: Sequence, confirm: Confirm) {
        count(&self.inner.counts.confirms, 1);
        // A return precedes the confirm of its message, so the frame reader recorded it before lapin saw the confirm.
        self.take_in_returns();
        let result = match confirm {
            Confirm::Ack => Ok(()),
            Confirm::Nack => {
                self.renewal.refused(Instant::now());
                Err(refused(self.unconfirmed.get(sequence).map_or(Executed::Maybe, |job| job.publish.if_refused)))
            }
            // Never on a channel in confirm mode. If it happens, the outcome is unknown.
            Confirm::NotRequested => {
                let unknown = Error::new(ErrorKind::Refused, "publish").with_executed(Executed::Maybe);
                Err(unknown.with_context("reason", "the channel is not in confirm mode"))
            }
        };
        self.resolve(sequence, result);
    }

    /// Fails the publishes whose messages were returned since the last call.
    /// To be called before a confirm is applied, because the return of a message precedes its confirm.
    fn take_in_returns(&mut self) {
        let Some((link, channel)) = &self.channel else { return };
        for returned in link.publishing.notices().take_returned(channel.id()) {
            self.returned(&returned);
        }
    }

    /// Matches it by its message id, because a return carries no delivery tag (AMQP 0-9-1, basic.return).
    /// Without a match it is counted and ignored.
    fn returned(&mut self, returned: &Returned) {
        count(&self.inner.counts.returns, 1);
        let id = returned.message_id.as_str();
        let Some((sequence, publish)) = self.unconfirmed.named(id) else {
            warn!(id, code = returned.code, "the broker returned a message that no publish waits for; it is ignored");
            return;
        };
        let error = Error::new(ErrorKind::Undeliverable, "publish")
            .with_executed(Executed::No)
            .with_context("exchange", &publish.exchange.name)
            .with_context("routing_key", &publish.routing_key)
            .with_context("broker", format_args!("{} {}", returned.code, returned.text));
        self.resolve(sequence, Err(error));
    }

    /// Ends a lost channel: waits for the outcomes of its unconfirmed publishes, resolves those
    /// whose result is known or unknowable, and puts those that did not arrive in front of `held`, in their order.
    ///
    /// It waits for at most the patience of the failures, counted from the start.
    /// What has no outcome by then counts as possibly delivered.
    async fn clear_up(&mut self, mut failures: ChannelFailures) {
        let started = Instant::now();
        // The broker explains why it closed a channel, which may take a request; of a lost connection no answer comes.
        while let Some(patience) = failures.patience(&self.inner.config).checked_sub(started.elapsed()) {
            let Ok(Some((sequence, outcome))) = timeout(patience, self.in_flight.next()).await else { break };
            match outcome {
                Outcome::Confirmed(confirm) => self.confirmed(sequence, confirm),
                Outcome::NotWritten(error) => failures.add(sequence, WriteState::NotWritten, error),
                Outcome::Written(error) => failures.add(sequence, WriteState::Written, error),
            }
        }
        let host = self.host();
        let unconfirmed = self.leave_channel();
        let mut held = Resend::new(&self.inner, &self.destinations, host, failures).select(unconfirmed);
        // The pending declaration starts again on the next link.
        held.extend(self.declaring.take().map(PendingDeclaration::stop));
        // Behind them: these were taken from `jobs` later.
        held.append(&mut self.held);
        self.held = held;
    }

    /// Fails every job with `Closed`. First resolves what is unconfirmed,
    /// so that a message that the broker has is not reported as not sent.
    async fn close(mut self) {
        self.clear_up(ChannelFailures::of_lost_connection()).await;
        // Callers that wait for room among the jobs fail at once.
        self.jobs.close();
        while let Some(job) = self.held.pop_front().or_else(|| self.jobs.try_recv().ok()) {
            let _ = job.result.send(Err(Error::closed("publish").with_executed(Executed::No)));
        }
    }

    /// Fails every unconfirmed publish with `Timeout`, executed `Maybe`, and leaves the channel.
    /// The old channel is dropped, and the broker may still deliver what was sent on it.
    fn give_up(&mut self) {
        let host = self.host();
        let out = self.leave_channel();
        warn!(
            host,
            publishes = out.len(),
            "the broker did not confirm publishes in time; the publisher fails them and opens a new channel"
        );
        for (_, job) in out {
            let error = Error::timeout("publish").with_executed(Executed::Maybe);
            let error = error.with_context("reason", "the broker did not confirm in time").with_context("host", &host);
            let _ = job.result.send(Err(error));
        }
    }

    /// The host of the channel, for errors and logs; empty without a channel.
    fn host(&self) -> String {
        self.channel.as_ref().map_or_else(String::new, |(link, _)| link.host.clone())
    }

    /// Drops the channel and returns its unconfirmed publishes. The next publish opens another.
    ///
    /// Takes the returns in first: a message that was returned is `Undeliverable`, not unknown.
    /// The in-flight futures are dropped with the channel, so lapin keeps none of their confirms.
    fn leave_channel(&mut self) -> Vec<(Sequence, PublishJob)> {
        self.take_in_returns();
        self.channel = None;
        self.renewal = ChannelRenewal::new(Instant::now());
        self.in_flight = FuturesUnordered::new();
        // Numbering starts again with the next channel, as it does in lapin.
        self.unconfirmed.take()
    }

    /// Sends the result of one publish to its caller. An unknown sequence is ignored:
    /// a returned message is resolved once by its return and again by its confirm.
    fn resolve(&mut self, sequence: Sequence, result: Result<()>) {
        let Some(job) = self.unconfirmed.remove(sequence) else { return };
        if matches!(&result, Err(error) if error.executed() == Executed::No) {
            job.abandon_flag.mark_released();
        }
        // The receiver is gone if the caller has given up.
        let _ = job.result.send(result);
    }

    /// When the oldest unconfirmed publish is overdue: `confirm_timeout` after it was sent.
    ///
    /// Time under a resource alarm does not count, because the broker
    /// confirms nothing then. `None` if nothing is unconfirmed.
    fn confirm_deadline(&self) -> Option<Instant> {
        // A timeout of centuries overflows, and then never ends.
        self.unconfirmed.oldest()?.max(self.unblocked).checked_add(self.inner.config.confirm_timeout)
    }
}

/// Whether publishes may still be sent on `link`, because it is the current link.
/// A link on which listeners resubscribe is not current for publishing, although its channels work.
fn is_current(state: &LinkState, link: &Link) -> bool {
    state.publishing().is_some_and(|now| now.generation == link.generation)
}
