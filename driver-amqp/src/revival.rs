//! The task that puts a listener back: after a loss on the next link, after a cancellation on the same channel.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lapin::Consumer;
use oslo_messaging::{Address, Deadline, Error, QueuePlan, Result};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep};
use tokio_util::task::AbortOnDropHandle;
use tracing::{info, warn};

use crate::backoff::Pause;
use crate::counters::count;
use crate::fate::{Fate, fate};
use crate::opener::Opener;
use crate::roll::Entry;
use crate::session::{Place, Session};

/// How long a channel must have lived before the next loss counts as the first.
const TRUSTED: Duration = Duration::from_secs(30);

/// What was put back.
#[derive(Debug)]
pub(crate) enum Revived {
    Session(Session, Address),
    /// A consumer of the session that is in use.
    Consumer {
        index: usize,
        consumer: Consumer,
        queue: QueuePlan,
        address: Address,
    },
}

/// What the listener has lost.
#[derive(Debug)]
enum Loss {
    /// Its channel: of this number, lest a late complaint end the next one.
    Session(u64),
    /// One consumer of it.
    Consumer(u64, usize),
}

/// Where a listener finds what was put back. Dropping it ends the task.
#[derive(Debug)]
pub(crate) struct Revival {
    losses: mpsc::UnboundedSender<Loss>,
    found: Arc<Found>,
    /// The number of the session in use.
    session: u64,
    _task: AbortOnDropHandle<()>,
}

#[derive(Debug, Default)]
struct Found {
    /// With the number of the session that each is or belongs to.
    queue: Mutex<VecDeque<(u64, Result<Revived>)>>,
    more: Notify,
}

impl Revival {
    /// Starts to watch over a listener whose first session is at `place`.
    pub(crate) fn start(opener: Opener, place: Place) -> Self {
        let (losses, complaints) = mpsc::unbounded_channel();
        let found = Arc::new(Found::default());
        let entry = opener.common.roll.enter(place.link.generation);
        let keeper = Keeper {
            opener,
            place,
            entry,
            complaints,
            found: Arc::clone(&found),
            session: 0,
            tries: 0,
            since: Instant::now(),
        };
        Self { losses, found, session: 0, _task: AbortOnDropHandle::new(tokio::spawn(keeper.run())) }
    }

    /// Says that the channel of the session in use is lost.
    pub(crate) fn session_lost(&self) {
        let _ = self.losses.send(Loss::Session(self.session));
    }

    /// Says that the broker has ended a consumer of the session in use.
    pub(crate) fn consumer_lost(&self, index: usize) {
        let _ = self.losses.send(Loss::Consumer(self.session, index));
    }

    /// What was put back, if anything was.
    pub(crate) fn try_next(&mut self) -> Option<Result<Revived>> {
        loop {
            let (session, found) = self.found.queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front()?;
            match found {
                Ok(Revived::Consumer { .. }) if session != self.session => {}
                found => {
                    self.session = session;
                    return Some(found);
                }
            }
        }
    }

    /// Waits for what is put back next.
    ///
    /// # Errors
    /// A loss that cannot be repaired.
    ///
    /// # Cancellation
    /// Safe.
    pub(crate) async fn next(&mut self) -> Result<Revived> {
        loop {
            if let Some(found) = self.try_next() {
                return found;
            }
            self.found.more.notified().await;
        }
    }
}

impl Found {
    fn put(&self, session: u64, found: Result<Revived>) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(found, Ok(Revived::Session(..))) {
            // What nobody took in time is of a channel that is lost.
            queue.clear();
        }
        queue.push_back((session, found));
        self.more.notify_one();
    }
}

struct Keeper {
    opener: Opener,
    place: Place,
    entry: Entry,
    complaints: mpsc::UnboundedReceiver<Loss>,
    found: Arc<Found>,
    session: u64,
    /// How often in a row something was put back, or could not be.
    tries: u32,
    since: Instant,
}

impl Keeper {
    async fn run(mut self) {
        let end = loop {
            let gate = Arc::clone(&self.opener.common.gate);
            let outcome = tokio::select! {
                biased;
                () = gate.left(self.place.link.generation) => self.reopen().await,
                complaint = self.complaints.recv() => match complaint {
                    Some(Loss::Session(session)) if session == self.session => self.reopen().await,
                    Some(Loss::Consumer(session, index)) if session == self.session => self.resume(index).await,
                    Some(_) => Ok(()),
                    None => return,
                },
            };
            if let Err(error) = outcome {
                break error;
            }
        };
        self.found.put(self.session, Err(end));
    }

    /// Opens the subscription again, on whatever link there is.
    async fn reopen(&mut self) -> Result<()> {
        let gate = Arc::clone(&self.opener.common.gate);
        let mut mend = None;
        loop {
            let link = gate.link("poll").await?;
            if link.generation == self.place.link.generation || mend.is_some() {
                // The broker has ended the channel alone, or refused us: not again at once.
                self.rest(mend.take(), link.generation).await;
            }
            let link = gate.link("poll").await?;
            let deadline = Deadline::after(self.opener.common.config.request_timeout);
            let opened = self.opener.open(&link, deadline).await;
            self.entry.tried(link.generation);
            match opened {
                Ok(session) => {
                    self.place = session.place();
                    self.session += 1;
                    self.back();
                    self.found.put(self.session, Ok(Revived::Session(session, self.opener.address())));
                    return Ok(());
                }
                Err(_) if !link.is_connected() => gate.left(link.generation).await,
                Err(error) => mend = Some(self.cope(error)?),
            }
        }
    }

    /// Puts one consumer back; if its channel is gone as well, everything.
    async fn resume(&mut self, index: usize) -> Result<()> {
        let mut mend = None;
        loop {
            self.rest(mend.take(), self.place.link.generation).await;
            if !self.place.channel.status().connected() || !self.place.link.is_connected() {
                return self.reopen().await;
            }
            let deadline = Deadline::after(self.opener.common.config.request_timeout);
            match self.opener.resume(&self.place, index, deadline).await {
                Ok((consumer, queue)) => {
                    self.back();
                    let address = self.opener.address();
                    self.found.put(self.session, Ok(Revived::Consumer { index, consumer, queue, address }));
                    return Ok(());
                }
                Err(_) if !self.place.channel.status().connected() => return self.reopen().await,
                Err(error) => mend = Some(self.cope(error)?),
            }
        }
    }

    /// Waits before the next try, unless the link goes meanwhile.
    async fn rest(&mut self, mend: Option<bool>, generation: u64) {
        if self.since.elapsed() > TRUSTED {
            self.tries = 0;
        }
        self.since = Instant::now();
        let pause = if mend == Some(true) { Pause::Long(self.tries) } else { Pause::Soon(self.tries) };
        self.tries = self.tries.saturating_add(1);
        tokio::select! {
            () = self.opener.common.gate.left(generation) => {}
            () = sleep(pause.dice()) => {}
        }
    }

    /// What to do about an error; whether somebody has to mend something.
    ///
    /// # Errors
    /// The error, if there is nothing to do.
    fn cope(&mut self, error: Error) -> Result<bool> {
        let fate = fate(&error, self.opener.blames(&error));
        warn!(%error, ?fate, "a listener cannot come back");
        match fate {
            Fate::End => return Err(error),
            Fate::Rename => self.opener.rename(),
            Fate::Again | Fate::Mend => self.entry.ails(error.to_string()),
        }
        Ok(fate == Fate::Mend)
    }

    fn back(&mut self) {
        count(&self.opener.common.counts.revivals, 1);
        self.entry.well();
        self.since = Instant::now();
        info!(address = %self.opener.address(), "a listener is back");
    }
}
