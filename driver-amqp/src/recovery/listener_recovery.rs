//! The task that puts a listener back: after a loss on the next link, after a cancellation on the same channel, or on another
//! if the consumer's start is not told there.

use std::sync::Arc;

use oslo_messaging::{Deadline, Error, Result};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};

use crate::attempts::Tries;
use crate::backoff::Pause;
use crate::consume::consumer_channel::Place;
use crate::consume::session::Resumed;
use crate::consume::subscription_opener::Opener;
use crate::counters::count;
use crate::link::resubscribe_barrier::Entry;
use crate::link::state_machine::Generation;
use crate::queue_checks::Check;
use crate::recovery::action::{Fate, fate};
use crate::recovery::lost_consumers::Missing;
use crate::recovery::queue_check::is_sound;
use crate::recovery::restored::{Found, Loss, Revived};
use crate::topology::name_lease::is_taken;

/// Watches over one listener.
pub(crate) struct Keeper {
    opener: Opener,
    place: Place,
    entry: Entry,
    complaints: mpsc::UnboundedReceiver<Loss>,
    found: Arc<Found>,
    session: u64,
    /// Those to open the whole session.
    tries: Tries,
    /// What the session has lost of its consumers.
    missing: Missing,
    check: Check,
    /// Since when somebody else reads what is ours: perhaps we ourselves, on a connection that the broker still believes in.
    taken: Option<Instant>,
}

impl Keeper {
    /// Watches over a listener whose first session is at `place`.
    pub(crate) fn new(
        opener: Opener,
        place: Place,
        complaints: mpsc::UnboundedReceiver<Loss>,
        found: Arc<Found>,
    ) -> Self {
        let entry = opener.inner.barrier.enter(opener.part(), place.link.generation);
        let (tries, missing) = (Tries::new(), Missing::default());
        let check = opener.inner.queue_checks.enter(opener.queues());
        Self { opener, place, entry, complaints, found, session: 0, tries, missing, check, taken: None }
    }

    /// Puts back what is lost, until something cannot be, or the transport is closed.
    pub(crate) async fn run(mut self) {
        let end = loop {
            let inner = Arc::clone(&self.opener.inner);
            let outcome = tokio::select! {
                biased;
                () = inner.current.left(self.place.link.generation) => self.start_over(None).await,
                complaint = self.complaints.recv() => match complaint {
                    Some(Loss::Session(session)) if session == self.session => self.start_over(None).await,
                    Some(Loss::Consumer(session, index)) if session == self.session => {
                        warn!(
                            part = self.opener.part(),
                            queue = self.opener.queues().get(index).map(|queue| queue.name.clone()),
                            "the broker ended a consumer and it is subscribed again: its queue was deleted or moved, or a \
                             message was held longer than the queue's consumer timeout (consumer_timeout of the broker, 30 \
                             minutes by default) and is handed out again"
                        );
                        let config = &self.opener.inner.config;
                        self.missing.lose(index, |tries| Pause::Soon(tries).dice(config));
                        Ok(())
                    }
                    Some(_) => Ok(()),
                    None => return,
                },
                index = self.missing.due() => self.resume(index).await,
                () = self.check.wanted() => self.check_up().await,
            };
            if let Err(error) = outcome {
                break error;
            }
        };
        self.found.put(self.session, Err(end));
    }

    /// Looks whether everything is still there, and starts over where the broker has forgotten a consumer.
    async fn check_up(&mut self) -> Result<()> {
        let inner = Arc::clone(&self.opener.inner);
        let sound = tokio::select! {
            biased;
            // Whoever has a loss to see to is not to wait for a check.
            () = inner.current.left(self.place.link.generation) => true,
            sound = is_sound(&mut self.check, &self.opener, &self.place, &self.missing) => sound,
        };
        if sound || !self.place.is_connected() {
            return Ok(());
        }
        // Its name is given once on a channel.
        self.place.leave();
        self.start_over(None).await
    }

    /// Puts everything back, since the session is lost.
    async fn start_over(&mut self, before: Option<Fate>) -> Result<()> {
        self.tries.lost();
        self.reopen(before).await
    }

    /// Opens the subscription again, on whatever link there is; `before` is what had to be done about an error before.
    async fn reopen(&mut self, mut before: Option<Fate>) -> Result<()> {
        let inner = Arc::clone(&self.opener.inner);
        loop {
            let link = inner.current.link("poll").await?;
            if link.generation == self.place.link.generation || before.is_some() {
                // The broker has ended the channel alone, or refused us: not again at once.
                self.rest(before.take(), link.generation).await;
            }
            let link = inner.current.link("poll").await?;
            let patience = self.opener.inner.config.request_timeout;
            if self.opener.inner.quota.is_tight() {
                // Not all listeners may fit: those that were here first come back first.
                let _ = timeout(patience, self.entry.turn(link.generation)).await;
            }
            let deadline = Deadline::after(patience);
            // Noted as tried once it can be taken or is known to ail, so that nobody is told too early that all are back.
            match self.opener.open(&link, deadline).await {
                Ok(session) => {
                    self.place = session.place();
                    self.session += 1;
                    self.missing = Missing::default();
                    self.tries.back();
                    self.found.put(self.session, Ok(Revived::Session(Box::new(session), self.opener.address())));
                    self.back();
                    self.entry.tried(link.generation);
                    return Ok(());
                }
                Err(error) if inner.current.lost_with(&link, &error).await => self.entry.tried(link.generation),
                Err(error) => {
                    before = Some(self.cope(&error, link.is_settling())?);
                    self.entry.tried(link.generation);
                }
            }
        }
    }

    /// Tries to put one consumer back; if its channel is gone as well, puts everything back.
    async fn resume(&mut self, index: usize) -> Result<()> {
        if !self.place.is_connected() {
            return self.start_over(None).await;
        }
        let deadline = Deadline::after(self.opener.inner.config.request_timeout);
        let reading = match self.opener.declare(&self.place.link, index, deadline).await {
            Ok(reading) => reading,
            Err(_) if !self.place.is_connected() => return self.start_over(None).await,
            Err(error) => return self.put_off(index, &error),
        };
        let consuming = self.place.consume(&reading, deadline);
        match deadline.run("subscribe", consuming).await.and_then(|told| told) {
            Ok(consumer) => {
                self.missing.found(index);
                let resumed = Resumed { index, consumer, queue: reading };
                self.found.put(self.session, Ok(Revived::Consumer(Box::new(resumed), self.opener.address())));
                self.back();
                Ok(())
            }
            Err(_) if !self.place.is_connected() => self.start_over(None).await,
            Err(error) => {
                // It may consume all the same, and two readers of one queue would share its messages. What the broker handed
                // over before we saw another reader stays with this one as long as it lives.
                let fate = self.cope(&error, self.place.link.is_settling())?;
                self.place.leave();
                self.start_over(Some(fate)).await
            }
        }
    }

    /// Leaves a consumer for later, whose queue cannot be declared.
    fn put_off(&mut self, index: usize, error: &Error) -> Result<()> {
        let fate = self.cope(error, self.place.link.is_settling())?;
        let ailment = (fate != Fate::Rename).then(|| error.to_string());
        let config = &self.opener.inner.config;
        self.missing.put_off(index, ailment, |tries| pause(Some(fate), tries).dice(config));
        Ok(())
    }

    /// Waits before the next try, unless the link goes meanwhile.
    async fn rest(&mut self, before: Option<Fate>, generation: Generation) {
        let pause = pause(before, self.tries.next());
        tokio::select! {
            () = self.opener.inner.current.left(generation) => {}
            () = sleep(pause.dice(&self.opener.inner.config)) => {}
        }
    }

    /// What to do about an error, on a link that is `settling` or not.
    ///
    /// # Errors
    /// The error, if there is nothing to do.
    fn cope(&mut self, error: &Error, settling: bool) -> Result<Fate> {
        let settling = settling || is_taken(error) && self.is_waiting_for_a_name();
        let fate = fate(error, self.opener.blames(error), settling);
        warn!(%error, ?fate, "a listener cannot come back");
        match fate {
            Fate::End => return Err(error.clone()),
            Fate::Rename => {
                self.opener.rename()?;
                self.check.renamed(self.opener.queues());
            }
            Fate::Again | Fate::Mend => self.entry.ails(error.to_string()),
        }
        Ok(fate)
    }

    fn is_waiting_for_a_name(&mut self) -> bool {
        self.taken.get_or_insert_with(Instant::now).elapsed() < self.opener.inner.config.patience_for_a_name()
    }

    fn back(&mut self) {
        self.taken = None;
        match self.missing.ailment() {
            Some(reason) => self.entry.ails(reason.to_owned()),
            None => self.entry.well(),
        }
        // Last, so that who sees it sees no alarm that is over.
        count(&self.opener.inner.counts.revivals, 1);
        info!(address = %self.opener.address(), "a listener is back");
    }
}

/// How long to wait after so many tries, the last of which had this fate: longer where somebody has to mend something.
fn pause(before: Option<Fate>, tries: u32) -> Pause {
    if before == Some(Fate::Mend) { Pause::Long(tries) } else { Pause::Soon(tries) }
}
