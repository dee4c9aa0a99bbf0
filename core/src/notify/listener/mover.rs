//! Moves events that were given up to their dead-letter queue, for as long as that takes, without a second run.
//!
//! What cannot be moved must not stop the events behind it. A share of the window holds such events in memory and tries
//! again. The others are published to the end of their queue, as returned events, and then acknowledged:
//! requeued, RabbitMQ would hand them out first again.
//!
//! An event passes these states until it is written or the listener ends:
//!
//! * Attempt: its dead letter is published and, if that fails, it takes a slot if one is free.
//! * Holding a slot: it stays in memory and tries again after 1 s up to 30 s, or at once when the queue recovers.
//! * Without a slot: it returns to the end of its own queue, at most once in 60 s. One that was returned before makes
//!   another attempt first.
//! * Urgent: the broker would drop it with the next failed delivery. It returns to its queue at once, with a new
//!   delivery count.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use metrics::counter;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{debug, error, info, warn};

use super::given_up::{EventIdentity, GiveUpReason, GivenUp};
use super::shutdown::{ShutdownCause, ShutdownSignal};
use crate::delivery::{Delivery, settled};
use crate::driver::IncomingMessage;
use crate::notify::dead_letter::info::DeadLetterInfo;
use crate::notify::dead_letter::queue::DeadLetterQueue;
use crate::notify::dead_letter::writer::DeadLetterWriter;
use crate::retry::backoff::Backoff;
use crate::{Error, ErrorKind, Executed};

/// The waits between two attempts to move an event that is held in memory.
///
/// The first wait is 1 s; each further one doubles, up to 30 s.
const BACKOFF: Backoff = Backoff::doubling(Duration::from_secs(1), Duration::from_secs(30));
/// How often one event goes back to the end of its queue at most.
///
/// The limit keeps a broken dead-letter queue from turning into a loop of republished events.
const BETWEEN_RETURNS: Duration = Duration::from_secs(60);
/// How often a queue that could not be declared is declared again.
const BETWEEN_DECLARATIONS: Duration = Duration::from_secs(60);

/// Moves events. The moves of one work item share its task.
#[derive(Debug)]
pub(super) struct Mover {
    /// `None`: what is given up is dropped.
    pub(super) writer: Option<DeadLetterWriter>,
    /// Shared by all moves: one that finds a queue working wakes those that wait for it.
    pub(super) queues: DeadLetterQueues,
    /// Remembers these events, so that a repeated delivery goes to the mover
    /// and not to a handler. Shared with the reader.
    pub(super) given_up: Arc<GivenUp>,
    /// How many events that cannot be moved may be held.
    /// The others return to the end of their queue.
    pub(super) slots: Arc<Semaphore>,
    /// Ends every wait of the mover; held events are then requeued or left to the broker.
    pub(super) shutdown: ShutdownSignal,
}

/// The dead-letter queues of a listener, by the names of the queues that it reads.
#[derive(Debug)]
pub(super) struct DeadLetterQueues {
    /// Filled when the listener starts and not changed afterwards.
    pub(super) known: BTreeMap<String, DeadLetterQueue>,
    /// For a name that the driver did not say before.
    pub(super) other: DeadLetterQueue,
}

/// An event that was given up and is not in its dead-letter queue yet.
#[derive(Debug)]
pub(super) struct PendingMove {
    /// Stays unsettled until its dead letter or its returned event is confirmed, so that a crash loses nothing.
    delivery: Delivery,
    /// The key of the event in `GivenUp`.
    identity: EventIdentity,
    /// What goes into the headers of the dead letter, and when the event last returned to its queue.
    reason: GiveUpReason,
}

impl PendingMove {
    /// For an event that is given up now; `info` becomes the headers of its dead letter.
    ///
    /// It was never returned to its queue.
    pub(super) fn new(delivery: Delivery, identity: EventIdentity, info: DeadLetterInfo) -> Self {
        Self { delivery, identity, reason: GiveUpReason { info, returned: None } }
    }

    /// For an event that this process gave up before, and that was delivered again.
    ///
    /// The time of its last return is kept, so that the minute between two returns spans several deliveries.
    pub(super) fn again(delivery: Delivery, identity: EventIdentity, reason: GiveUpReason) -> Self {
        Self { delivery, identity, reason }
    }

    fn info(&self) -> &DeadLetterInfo {
        &self.reason.info
    }
}

impl DeadLetterQueues {
    /// All unknown names share one entry.
    fn of(&self, queue: &str) -> &DeadLetterQueue {
        self.known.get(queue).unwrap_or(&self.other)
    }
}

impl Mover {
    /// Moves `event` to its dead-letter queue, back to the end of its own if that does not work, or gives it back if
    /// the listener stops; drops it where nothing is kept.
    ///
    /// Returns when the event is settled or left to the broker. Handlers do not run in here.
    ///
    /// Cancellation: the delivery is dropped unsettled, and the broker delivers it again. Its dead letter or its
    /// returned event may exist already.
    pub(super) async fn run(&self, mut event: PendingMove) {
        let Some(writer) = &self.writer else { return drop_event(event).await };
        // What the broker drops with the next failed delivery is not held: a returned event counts from zero.
        let mut urgent = event.delivery.is_last();
        if self.shutdown.is_lost() && !urgent {
            // It comes again, to be given up then: a dead letter now would be one too many.
            return;
        }
        // From here on a message with the same id is the dead letter, replayed, and not a redelivery of this one.
        event.delivery.release();
        let last_redelivery = self.given_up.begin(event.identity, event.info());
        let queue = self.queues.of(&event.info().queue);
        let mut slot: Option<OwnedSemaphorePermit> = None;
        // How often it has waited in here.
        let mut waits = 0_u32;
        // Where the queue is known to be broken, only what holds a slot finds out whether it still is.
        let mut may_attempt = urgent || !queue.is_broken();
        loop {
            // Watched before the attempt, so that a recovery during it is not missed.
            let mut recovery = queue.watch();
            if may_attempt {
                match writer.write(event.delivery.message(), event.info()).await {
                    Ok(()) => return self.moved(event, queue).await,
                    Err(error) => fail(queue, event.info(), &error),
                }
            }
            // Tried after each failure: a slot may have become free since the last one.
            if slot.is_none() && !urgent {
                slot = Arc::clone(&self.slots).try_acquire_owned().ok();
            }
            let wake = match slot {
                _ if urgent => Instant::now(),
                None if waits == 0 => event.next_return(),
                _ => Instant::now() + BACKOFF.wait(waits),
            };
            tokio::select! {
                biased;
                cause = self.shutdown.signalled() => return self.end(event, queue, cause).await,
                () = recovery.recovered() => {}
                () = last_redelivery.notified() => urgent = true,
                () = sleep_until(wake) => if event.returns_now(urgent, slot.is_some(), waits) {
                    match self.send_back(event, queue).await {
                        None => return,
                        Some(kept) => event = kept,
                    }
                    urgent = false;
                }
            }
            // An event without a slot makes an attempt each time that it wakes too,
            // so that a queue that works again is noticed.
            (may_attempt, waits) = (true, waits.saturating_add(1));
        }
    }

    /// Declares again what could not be declared, until the listener takes no more events.
    ///
    /// One round in 60 s. A queue that another event found working is skipped.
    /// Returns at once if dead letters are off.
    pub(super) async fn redeclare(self: Arc<Self>) {
        let Some(writer) = &self.writer else { return };
        loop {
            tokio::select! {
                biased;
                _ = self.shutdown.signalled() => return,
                () = sleep(BETWEEN_DECLARATIONS) => {}
            }
            for (name, queue) in &self.queues.known {
                if !queue.is_undeclared() {
                    continue;
                }
                tokio::select! {
                    biased;
                    _ = self.shutdown.signalled() => return,
                    declared = writer.declare(name) => if declared.is_ok() {
                        recover(queue, name);
                    }
                }
            }
        }
    }

    /// Acknowledges a moved event and its redeliveries.
    ///
    /// A success also clears the unhealthy state of the dead-letter queue.
    async fn moved(&self, event: PendingMove, queue: &DeadLetterQueue) {
        recover(queue, &event.info().queue);
        counter!("oslo_messaging_notifications_total", "outcome" => "dead_letter").increment(1);
        let redeliveries = self.given_up.moved(event.identity);
        acknowledge(event.delivery, redeliveries).await;
    }

    /// Publishes `event` to the end of its queue and acknowledges it; gives it out again if that fails.
    ///
    /// The order is: remember the returned event, publish it, await the confirm, acknowledge the original. A crash
    /// between the last two leaves two messages of one event; the process that reads them does not know that it was
    /// given up.
    async fn send_back(&self, event: PendingMove, queue: &DeadLetterQueue) -> Option<PendingMove> {
        let writer = self.writer.as_ref()?;
        // Before it is published: it may arrive before the confirm does.
        self.given_up.returning(event.identity, event.info());
        match writer.send_back(event.delivery.message(), event.info()).await {
            Ok(()) => {
                queue.moves_on();
                counter!("oslo_messaging_notifications_total", "outcome" => "returned").increment(1);
                debug!(queue = event.info().queue, "an event that cannot be moved went to the end of its queue");
                let redeliveries = self.given_up.left(event.identity);
                acknowledge(event.delivery, redeliveries).await;
                None
            }
            Err(error) => {
                // Otherwise the returned event may have arrived, and must be recognised.
                if error.executed() == Executed::No {
                    self.given_up.not_returned(event.identity);
                }
                if queue.stands_still(&error) {
                    error!(
                        %error, queue = event.info().queue,
                        "a listener stands still: what cannot be moved to the dead-letter queue cannot go back to its queue"
                    );
                }
                Some(event)
            }
        }
    }

    /// Releases an event that is not moved, since the listener takes no more events.
    ///
    /// An event at its delivery limit is published to the end of its queue first; if that fails, the broker drops it.
    /// Others are requeued, or left to the broker if the queues were lost.
    async fn end(&self, event: PendingMove, queue: &DeadLetterQueue, cause: ShutdownCause) {
        // A redelivery at the limit counts as well: the broker would drop it, and with it the event.
        let last = event.delivery.is_last() || self.given_up.has_last(event.identity);
        let event = if last { self.send_back(event, queue).await } else { Some(event) };
        let Some(event) = event else { return };
        if last {
            counter!("oslo_messaging_notifications_total", "outcome" => "dropped").increment(1);
            error!(
                queue = event.info().queue,
                "an event is at its delivery limit and cannot be kept: the broker drops it"
            );
        } else if cause == ShutdownCause::Stopped {
            counter!("oslo_messaging_notifications_total", "outcome" => "requeued").increment(1);
        }
        let redeliveries = self.given_up.left(event.identity);
        // Nothing can be settled where the queues are gone: what is dropped comes again.
        if cause == ShutdownCause::Stopped {
            event.delivery.requeue().await;
        }
        drop(redeliveries);
    }
}

impl PendingMove {
    /// When it may go back to the end of its queue.
    ///
    /// At once if it never did.
    fn next_return(&self) -> Instant {
        self.reason.returned.map_or_else(Instant::now, |returned| returned + BETWEEN_RETURNS)
    }

    /// Whether it goes back to the end of its queue when it has woken, after `waits` earlier waits in the mover.
    fn returns_now(&self, urgent: bool, has_slot: bool, waits: u32) -> bool {
        match (urgent, has_slot) {
            (true, _) => true,
            (false, true) => false,
            // One that was returned before has waited for its next turn until now, and the dead-letter queue may work
            // again: it makes an attempt first. A return by another process is not known here.
            (false, false) => self.reason.returned.is_none() || waits > 0,
        }
    }
}

/// Acknowledges and counts an event of a listener that keeps no dead letters.
///
/// Logged with the reason, since the log is then the only trace of the event.
async fn drop_event(event: PendingMove) {
    let info = event.info();
    warn!(reason = %info.reason, detail = info.detail, queue = info.queue, "an event is dropped");
    counter!("oslo_messaging_notifications_total", "outcome" => "dropped").increment(1);
    event.delivery.acknowledge().await;
}

/// Notes a failed move; logs the first of an incident. An event that is too large says nothing about the queue.
fn fail(queue: &DeadLetterQueue, info: &DeadLetterInfo, error: &Error) {
    counter!("oslo_messaging_dead_letters_failed_total").increment(1);
    if error.kind() == ErrorKind::TooLarge {
        warn!(%error, queue = info.queue, "an event is too large for the dead-letter queue");
    } else if queue.fail(error) {
        error!(
            %error, queue = info.queue,
            "an event could not be moved to the dead-letter queue; its move is tried again, its handler is not run again"
        );
    }
}

/// Notes that a queue takes events, which wakes the moves that wait for it; logs only a change.
fn recover(queue: &DeadLetterQueue, name: &str) {
    if queue.recover() {
        info!(queue = name, "the dead-letter queue takes events again");
    }
}

/// Acknowledges an event with its redeliveries, so that none of them comes again.
///
/// A failed acknowledgement is only logged: the broker delivers that message again.
async fn acknowledge(delivery: Delivery, redeliveries: Vec<Box<dyn IncomingMessage>>) {
    delivery.acknowledge().await;
    for redelivery in redeliveries {
        settled(redelivery.acknowledge().await);
    }
}
