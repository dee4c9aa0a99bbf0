//! The task that resubscribes a listener after each kind of loss:
//!
//! | lost | recovered on | by |
//! |---|---|---|
//! | the link | the next link | [`resubscribe`](ListenerRecovery::resubscribe) |
//! | the channel | a new channel of the same link | the same, after a wait |
//! | one consumer | the same channel | [`restore_consumer`](ListenerRecovery::restore_consumer) |
//! | a queue, without a cancellation | the same channel, or a new one | [`check_queues`](ListenerRecovery::check_queues) |
//!
//! An error of an attempt is judged in one place, [`judge`](ListenerRecovery::judge):
//! it says what to do before the next attempt, or ends the listener.

use std::sync::Arc;

use oslo_messaging::{Deadline, Error, Result};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};

use crate::backoff::Backoff;
use crate::consume::consumer_channel::ConsumerChannel;
use crate::consume::session::{RestoredConsumer, Session};
use crate::consume::subscription_opener::SubscriptionOpener;
use crate::counters::count;
use crate::link::Link;
use crate::link::resubscribe_barrier::BarrierMember;
use crate::queue_checks::QueueCheck;
use crate::recovery::action::{RecoveryAction, action_for};
use crate::recovery::attempts::RecoveryAttempts;
use crate::recovery::lost_consumers::LostConsumers;
use crate::recovery::queue_check::is_sound;
use crate::recovery::restored::{LossReport, Restored, RestoredQueue};
use crate::topology::name_lease::is_taken;

/// Resubscribes one listener until it is dropped, an error ends it, or the transport closes.
/// One task does all of it, so two losses are never recovered at the same time.
pub(crate) struct ListenerRecovery {
    /// Only this task renames the queues.
    opener: SubscriptionOpener,
    /// The channel of the session in use, on which single consumers are restored.
    channel: ConsumerChannel,
    /// Publishers wait for it after a reconnect, until it has tried once.
    member: BarrierMember,
    /// Ends when the listener is stopped or dropped, and the task with it.
    losses: mpsc::UnboundedReceiver<LossReport>,
    /// Where the listener takes results from.
    restored: Arc<RestoredQueue>,
    /// The number of the session in use: a late report about an earlier one is ignored.
    session: u64,
    /// The attempts to open a whole session. The count starts again after a session lived for more than 30 s.
    attempts: RecoveryAttempts,
    /// Empty after each new session.
    lost_consumers: LostConsumers,
    /// Must know the queues after a rename.
    check: QueueCheck,
    /// Since when the broker says that a queue of ours has another consumer.
    /// It may be our own predecessor, on a connection that the broker has not given up yet.
    taken_since: Option<Instant>,
}

/// What the task woke up for: a loss, a lost consumer whose wait is over, or a check.
enum Wakeup {
    /// The link of the session is not the current one.
    LinkReplaced,
    /// The listener reports a loss; `None` once it is dropped.
    Loss(Option<LossReport>),
    /// The next attempt to restore the consumer of this index is due.
    ConsumerDue(usize),
    /// A check of the queues was requested, and the last one ended at least 10 s ago.
    CheckDue,
}

impl ListenerRecovery {
    /// For a listener whose first session uses `channel`.
    /// Registers the listener; dropping the task removes it again.
    pub(crate) fn new(
        opener: SubscriptionOpener,
        channel: ConsumerChannel,
        losses: mpsc::UnboundedReceiver<LossReport>,
        restored: Arc<RestoredQueue>,
    ) -> Self {
        let member = opener.inner.barrier.register(opener.part(), channel.link.generation);
        let check = opener.inner.queue_checks.register(opener.queues());
        Self {
            opener,
            channel,
            member,
            losses,
            restored,
            session: 0,
            attempts: RecoveryAttempts::new(),
            lost_consumers: LostConsumers::default(),
            check,
            taken_since: None,
        }
    }

    /// Recovers what is lost until the listener is dropped.
    /// The error that ends the listener goes to it through the [`RestoredQueue`].
    pub(crate) async fn run(mut self) {
        let end = loop {
            let recovered = match self.wait().await {
                Wakeup::LinkReplaced => self.resubscribe(None).await,
                Wakeup::Loss(None) => return,
                Wakeup::Loss(Some(LossReport::Session(session))) if session == self.session => {
                    self.resubscribe(None).await
                }
                Wakeup::Loss(Some(LossReport::Consumer(session, index))) if session == self.session => {
                    self.note_lost_consumer(index);
                    Ok(())
                }
                // About an earlier session, which is gone anyway.
                Wakeup::Loss(Some(_)) => Ok(()),
                Wakeup::ConsumerDue(index) => self.restore_consumer(index).await,
                Wakeup::CheckDue => self.check_queues().await,
            };
            if let Err(error) = recovered {
                break error;
            }
        };
        self.restored.put(self.session, Err(end));
    }

    /// Waits for the next event. A replaced link comes first: it supersedes everything else.
    ///
    /// Cancellation loses nothing: every source keeps what it has.
    async fn wait(&mut self) -> Wakeup {
        let Self { opener, channel, losses, lost_consumers, check, .. } = self;
        tokio::select! {
            biased;
            () = opener.inner.current.replaced(channel.link.generation) => Wakeup::LinkReplaced,
            loss = losses.recv() => Wakeup::Loss(loss),
            index = lost_consumers.due() => Wakeup::ConsumerDue(index),
            () = check.due() => Wakeup::CheckDue,
        }
    }

    /// The first attempt waits too, so a consumer that is cancelled again and again causes no busy loop.
    /// The log names the usual causes, because the broker gives no reason.
    fn note_lost_consumer(&mut self, index: usize) {
        warn!(
            part = self.opener.part(),
            queue = self.opener.queues().get(index).map(|queue| queue.name.clone()),
            "the broker cancelled a consumer; the listener resubscribes it: its queue was deleted or moved, or a message \
             stayed unacknowledged longer than the consumer timeout (consumer_timeout of the broker, 30 minutes by \
             default) and is redelivered"
        );
        let config = &self.opener.inner.config;
        self.lost_consumers.add(index, |attempts| Backoff::Exponential(attempts).random_delay(config));
    }

    /// Checks the queues and declares what is missing; resubscribes where the broker has lost a consumer.
    ///
    /// Fails with the error that ends the listener, which includes `Closed`.
    async fn check_queues(&mut self) -> Result<()> {
        let inner = Arc::clone(&self.opener.inner);
        let sound = tokio::select! {
            biased;
            // The next wakeup handles the loss; a check must not delay it.
            () = inner.current.replaced(self.channel.link.generation) => true,
            sound = is_sound(&mut self.check, &self.opener, &self.channel, &self.lost_consumers) => sound,
        };
        if sound || !self.channel.is_connected() {
            return Ok(());
        }
        // A consumer tag can be used once per channel, so another channel is needed.
        self.channel.leave();
        self.resubscribe(None).await
    }

    /// Opens the whole subscription again, on the current link or the next, until it succeeds.
    /// `last_action` is what an error has required before; it decides how long to wait first.
    ///
    /// Each attempt takes at most `request_timeout`.
    /// The barrier is marked after each one, so publishers wait for one attempt and not for success.
    ///
    /// Fails with the error that ends the listener; with `Closed` once the transport is closed.
    async fn resubscribe(&mut self, mut last_action: Option<RecoveryAction>) -> Result<()> {
        let inner = Arc::clone(&self.opener.inner);
        // Once per loss, however many attempts follow.
        self.attempts.lost();
        loop {
            let link = inner.current.link("poll").await?;
            if link.generation == self.channel.link.generation || last_action.is_some() {
                // The broker closed only the channel, or refused the last attempt: do not try again at once.
                self.rest(last_action.take(), &link).await;
            }
            let link = inner.current.link("poll").await?;
            if inner.quota.is_tight() {
                // Not all listeners may fit into the channel limit: the oldest resubscribe first.
                let _ = timeout(inner.config.request_timeout, self.member.wait_for_earlier(link.generation)).await;
            }
            let opened = self.opener.open(&link, Deadline::after(inner.config.request_timeout)).await;
            let resubscribed = match opened {
                Ok(session) => {
                    self.use_session(session);
                    true
                }
                Err(error) if inner.current.lost_with(&link, &error).await => false,
                Err(error) => {
                    last_action = Some(self.judge(&error, link.is_fresh())?);
                    false
                }
            };
            // After the result is visible in the health: the barrier lets publishers resume.
            self.member.mark_tried(link.generation);
            if resubscribed {
                return Ok(());
            }
        }
    }

    /// Hands a new session to the listener, under the next number.
    /// Reports about the old session are ignored from here on.
    fn use_session(&mut self, session: Session) {
        self.channel = session.channel();
        self.session += 1;
        // The new session has a consumer for each queue.
        self.lost_consumers = LostConsumers::default();
        self.attempts.back();
        self.restored.put(self.session, Ok(Restored::Session(Box::new(session), self.opener.address())));
        self.note_restored();
    }

    /// Attempts to restore one consumer on its channel; if the channel is closed too, resubscribes everything.
    ///
    /// A failed declaration delays only this consumer. A failed consume closes the channel.
    ///
    /// Fails with the error that ends the listener, which includes `Closed`.
    async fn restore_consumer(&mut self, index: usize) -> Result<()> {
        if !self.channel.is_connected() {
            return self.resubscribe(None).await;
        }
        let deadline = Deadline::after(self.opener.inner.config.request_timeout);
        let plan = match self.opener.declare(&self.channel.link, index, deadline).await {
            Ok(plan) => plan,
            Err(_) if !self.channel.is_connected() => return self.resubscribe(None).await,
            Err(error) => return self.postpone_consumer(index, &error),
        };
        let starting = self.channel.consume(&plan, deadline);
        let started = self.channel.connection().run_until(deadline, "subscribe", starting).await;
        match started.and_then(|consumer| consumer) {
            Ok(consumer) => {
                self.lost_consumers.restored(index);
                let restored = RestoredConsumer { index, consumer, queue: plan };
                self.restored.put(self.session, Ok(Restored::Consumer(Box::new(restored), self.opener.address())));
                self.note_restored();
                Ok(())
            }
            Err(_) if !self.channel.is_connected() => self.resubscribe(None).await,
            Err(error) => {
                // The broker may have started the consumer all the same, and a second one would share its messages.
                // So the channel is closed, which ends whatever consumes on it.
                let action = self.judge(&error, self.channel.link.is_fresh())?;
                self.channel.leave();
                self.resubscribe(Some(action)).await
            }
        }
    }

    /// Schedules another attempt for a consumer whose queue cannot be declared.
    ///
    /// The reason stays with the consumer, so the recovery of another consumer does not clear it from the health.
    ///
    /// Fails with the error that ends the listener, if [`judge`](Self::judge) finds one.
    fn postpone_consumer(&mut self, index: usize, error: &Error) -> Result<()> {
        let action = self.judge(error, self.channel.link.is_fresh())?;
        let reason = (action != RecoveryAction::Rename).then(|| error.to_string());
        let config = &self.opener.inner.config;
        self.lost_consumers.put_off(index, reason, |attempts| backoff(Some(action), attempts).random_delay(config));
        Ok(())
    }

    /// Waits before the next attempt, or until `link` is replaced.
    /// A new link ends the wait, because the broker may be another one.
    async fn rest(&mut self, last_action: Option<RecoveryAction>, link: &Link) {
        let backoff = backoff(last_action, self.attempts.next());
        tokio::select! {
            () = self.opener.inner.current.replaced(link.generation) => {}
            () = sleep(backoff.random_delay(&self.opener.inner.config)) => {}
        }
    }

    /// Decides what to do after `error`, logs it, and reports the listener as unhealthy if it stays unsubscribed.
    ///
    /// Every error of an attempt passes here once, so the log has one line per failed attempt.
    ///
    /// Fails with `error` itself, if it ends the listener; with `Config` if there is no other name to take.
    fn judge(&mut self, error: &Error, settling: bool) -> Result<RecoveryAction> {
        let settling = settling || is_taken(error) && self.may_still_be_ours();
        let action = action_for(error, self.opener.blames(error), settling);
        warn!(part = self.opener.part(), %error, "a listener could not resubscribe; {}", action.next_step());
        match action {
            RecoveryAction::GiveUp => return Err(error.clone()),
            RecoveryAction::Rename => {
                self.opener.rename()?;
                self.check.set_queues(self.opener.queues());
            }
            RecoveryAction::Retry | RecoveryAction::RetrySlowly => self.member.set_unhealthy(error.to_string()),
        }
        Ok(action)
    }

    /// Whether the other consumer of our queue may be our own, on a connection that the broker has not given up yet.
    /// Counted from the first such error; two heartbeats is the time in which a broker notices a dead peer.
    fn may_still_be_ours(&mut self) -> bool {
        self.taken_since.get_or_insert_with(Instant::now).elapsed() < self.opener.inner.config.name_release_timeout()
    }

    /// A consumer that is still lost keeps the listener unhealthy. Anything else clears it from the health.
    fn note_restored(&mut self) {
        self.taken_since = None;
        match self.lost_consumers.reason() {
            Some(reason) => self.member.set_unhealthy(reason.to_owned()),
            None => self.member.clear_unhealthy(),
        }
        // Last: a reader of the counter must not find a health report that is out of date.
        count(&self.opener.inner.counts.recoveries, 1);
        info!(address = %self.opener.address(), "a listener resubscribed");
    }
}

/// How long to wait after so many attempts: longer where only an operator can help.
/// The options of the configuration set the usual waits, but not the long ones.
fn backoff(last_action: Option<RecoveryAction>, attempts: u32) -> Backoff {
    if last_action == Some(RecoveryAction::RetrySlowly) {
        Backoff::Slow(attempts)
    } else {
        Backoff::Exponential(attempts)
    }
}
