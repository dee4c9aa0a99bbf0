//! The task that puts a listener back: after a loss on the next link, after a cancellation on the same channel, or on another
//! if the consumer's start is not told there.

use std::sync::Arc;

use oslo_messaging::{Deadline, Error, Result};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};

use crate::attempts::Attempts;
use crate::backoff::Backoff;
use crate::consume::consumer_channel::ConsumerChannel;
use crate::consume::session::RestoredConsumer;
use crate::consume::subscription_opener::SubscriptionOpener;
use crate::counters::count;
use crate::link::resubscribe_barrier::BarrierMember;
use crate::link::state_machine::Generation;
use crate::queue_checks::QueueCheck;
use crate::recovery::action::{RecoveryAction, action_for};
use crate::recovery::lost_consumers::LostConsumers;
use crate::recovery::queue_check::is_sound;
use crate::recovery::restored::{LossReport, Restored, RestoredQueue};
use crate::topology::name_lease::is_taken;

/// Watches over one listener.
pub(crate) struct ListenerRecovery {
    opener: SubscriptionOpener,
    channel: ConsumerChannel,
    member: BarrierMember,
    losses: mpsc::UnboundedReceiver<LossReport>,
    found: Arc<RestoredQueue>,
    session: u64,
    /// Those to open the whole session.
    attempts: Attempts,
    /// What the session has lost of its consumers.
    lost_consumers: LostConsumers,
    check: QueueCheck,
    /// Since when somebody else reads what is ours: perhaps we ourselves, on a connection that the broker still believes in.
    taken: Option<Instant>,
}

impl ListenerRecovery {
    /// Watches over a listener whose first session is at `place`.
    pub(crate) fn new(
        opener: SubscriptionOpener,
        channel: ConsumerChannel,
        losses: mpsc::UnboundedReceiver<LossReport>,
        found: Arc<RestoredQueue>,
    ) -> Self {
        let member = opener.inner.barrier.register(opener.part(), channel.link.generation);
        let (attempts, lost_consumers) = (Attempts::new(), LostConsumers::default());
        let check = opener.inner.queue_checks.register(opener.queues());
        Self { opener, channel, member, losses, found, session: 0, attempts, lost_consumers, check, taken: None }
    }

    /// Puts back what is lost, until something cannot be, or the transport is closed.
    pub(crate) async fn run(mut self) {
        let end = loop {
            let inner = Arc::clone(&self.opener.inner);
            let outcome = tokio::select! {
                biased;
                () = inner.current.replaced(self.channel.link.generation) => self.restart(None).await,
                loss = self.losses.recv() => match loss {
                    Some(LossReport::Session(session)) if session == self.session => self.restart(None).await,
                    Some(LossReport::Consumer(session, index)) if session == self.session => {
                        warn!(
                            part = self.opener.part(),
                            queue = self.opener.queues().get(index).map(|queue| queue.name.clone()),
                            "the broker cancelled a consumer; the listener resubscribes it: its queue was deleted or moved, or \
                             a message stayed unacknowledged longer than the consumer timeout (consumer_timeout of the \
                             broker, 30 minutes by default) and is redelivered"
                        );
                        let config = &self.opener.inner.config;
                        self.lost_consumers.add(index, |attempts| Backoff::Exponential(attempts).random_delay(config));
                        Ok(())
                    }
                    Some(_) => Ok(()),
                    None => return,
                },
                index = self.lost_consumers.due() => self.restore_consumer(index).await,
                () = self.check.due() => self.check_queues().await,
            };
            if let Err(error) = outcome {
                break error;
            }
        };
        self.found.put(self.session, Err(end));
    }

    /// Looks whether everything is still there, and starts over where the broker has forgotten a consumer.
    async fn check_queues(&mut self) -> Result<()> {
        let inner = Arc::clone(&self.opener.inner);
        let sound = tokio::select! {
            biased;
            // Whoever has a loss to see to is not to wait for a check.
            () = inner.current.replaced(self.channel.link.generation) => true,
            sound = is_sound(&mut self.check, &self.opener, &self.channel, &self.lost_consumers) => sound,
        };
        if sound || !self.channel.is_connected() {
            return Ok(());
        }
        // Its name is given once on a channel.
        self.channel.leave();
        self.restart(None).await
    }

    /// Puts everything back, since the session is lost.
    async fn restart(&mut self, last_action: Option<RecoveryAction>) -> Result<()> {
        self.attempts.lost();
        self.reopen(last_action).await
    }

    /// Opens the subscription again, on whatever link there is; `before` is what had to be done about an error last_action.
    async fn reopen(&mut self, mut last_action: Option<RecoveryAction>) -> Result<()> {
        let inner = Arc::clone(&self.opener.inner);
        loop {
            let link = inner.current.link("poll").await?;
            if link.generation == self.channel.link.generation || last_action.is_some() {
                // The broker has ended the channel alone, or refused us: not again at once.
                self.rest(last_action.take(), link.generation).await;
            }
            let link = inner.current.link("poll").await?;
            let patience = self.opener.inner.config.request_timeout;
            if self.opener.inner.quota.is_tight() {
                // Not all listeners may fit: those that were here first come back first.
                let _ = timeout(patience, self.member.wait_for_earlier(link.generation)).await;
            }
            let deadline = Deadline::after(patience);
            // Noted as tried once it can be taken or is known to ail, so that nobody is told too early that all are back.
            match self.opener.open(&link, deadline).await {
                Ok(session) => {
                    self.channel = session.channel();
                    self.session += 1;
                    self.lost_consumers = LostConsumers::default();
                    self.attempts.back();
                    self.found.put(self.session, Ok(Restored::Session(Box::new(session), self.opener.address())));
                    self.note_restored();
                    self.member.mark_tried(link.generation);
                    return Ok(());
                }
                Err(error) if inner.current.lost_with(&link, &error).await => self.member.mark_tried(link.generation),
                Err(error) => {
                    last_action = Some(self.action_after(&error, link.is_settling())?);
                    self.member.mark_tried(link.generation);
                }
            }
        }
    }

    /// Attempts to put one consumer back; if its channel is gone as well, puts everything back.
    async fn restore_consumer(&mut self, index: usize) -> Result<()> {
        if !self.channel.is_connected() {
            return self.restart(None).await;
        }
        let deadline = Deadline::after(self.opener.inner.config.request_timeout);
        let reading = match self.opener.declare(&self.channel.link, index, deadline).await {
            Ok(reading) => reading,
            Err(_) if !self.channel.is_connected() => return self.restart(None).await,
            Err(error) => return self.put_off(index, &error),
        };
        let consuming = self.channel.consume(&reading, deadline);
        match deadline.run("subscribe", consuming).await.and_then(|told| told) {
            Ok(consumer) => {
                self.lost_consumers.restored(index);
                let restored = RestoredConsumer { index, consumer, queue: reading };
                self.found.put(self.session, Ok(Restored::Consumer(Box::new(restored), self.opener.address())));
                self.note_restored();
                Ok(())
            }
            Err(_) if !self.channel.is_connected() => self.restart(None).await,
            Err(error) => {
                // It may consume all the same, and two readers of one queue would share its messages. What the broker handed
                // over before we saw another reader stays with this one as long as it lives.
                let action = self.action_after(&error, self.channel.link.is_settling())?;
                self.channel.leave();
                self.restart(Some(action)).await
            }
        }
    }

    /// Leaves a consumer for later, whose queue cannot be declared.
    fn put_off(&mut self, index: usize, error: &Error) -> Result<()> {
        let action = self.action_after(error, self.channel.link.is_settling())?;
        let reason = (action != RecoveryAction::Rename).then(|| error.to_string());
        let config = &self.opener.inner.config;
        self.lost_consumers.put_off(index, reason, |attempts| backoff(Some(action), attempts).random_delay(config));
        Ok(())
    }

    /// Waits before the next try, unless the link goes meanwhile.
    async fn rest(&mut self, last_action: Option<RecoveryAction>, generation: Generation) {
        let backoff = backoff(last_action, self.attempts.next());
        tokio::select! {
            () = self.opener.inner.current.replaced(generation) => {}
            () = sleep(backoff.random_delay(&self.opener.inner.config)) => {}
        }
    }

    /// What to do about an error, on a link that is `settling` or not.
    ///
    /// # Errors
    /// The error, if there is nothing to do.
    fn action_after(&mut self, error: &Error, settling: bool) -> Result<RecoveryAction> {
        let settling = settling || is_taken(error) && self.is_waiting_for_a_name();
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

    fn is_waiting_for_a_name(&mut self) -> bool {
        self.taken.get_or_insert_with(Instant::now).elapsed() < self.opener.inner.config.patience_for_a_name()
    }

    fn note_restored(&mut self) {
        self.taken = None;
        match self.lost_consumers.reason() {
            Some(reason) => self.member.set_unhealthy(reason.to_owned()),
            None => self.member.clear_unhealthy(),
        }
        // Last, so that who sees it sees no alarm that is over.
        count(&self.opener.inner.counts.recoveries, 1);
        info!(address = %self.opener.address(), "a listener resubscribed");
    }
}

/// How long to wait after so many attempts, the last of which had this action: longer where somebody has to mend something.
fn backoff(last_action: Option<RecoveryAction>, attempts: u32) -> Backoff {
    if last_action == Some(RecoveryAction::RetrySlowly) {
        Backoff::Slow(attempts)
    } else {
        Backoff::Exponential(attempts)
    }
}
