//! Reply queues that are not there, or take nothing, and the replies that wait for them.
//!
//! One reply for each such queue is the prober: it is tried again and again, and its outcome is that of the others,
//! which wait without a publishing slot. So callers that are gone cost the others no more than the probes.
//!
//! The types keep counts and order only: they publish nothing and hold no publishing slot. `ReplySender` drives them.
//! It asks `turn` before the first attempt, reports a refusal with `refused`, and awaits the `WaitingReply` or
//! publishes again for the `Prober`.
//!
//! A prober that finds the queue releases every waiting reply. A prober that gives the queue up fails them. A prober
//! that is dropped, because its own caller timed out, hands the role to the oldest waiting reply.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::Deadline;
use crate::excerpt::Excerpt;
use crate::retry::backoff::Backoff;

/// The waits between two probes of a queue; the first is the reference's.
const BACKOFF: Backoff = Backoff::doubling(Duration::from_millis(250), Duration::from_secs(5));

/// What may wait, for one queue and for all of them. Beyond that the oldest fail.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// For the replies to one queue, its prober included. The prober and the newest waiting reply stay even above it.
    pub(crate) for_each_queue: Amount,
    /// For the replies to all missing queues together.
    pub(crate) in_all: Amount,
}

/// Replies and the bytes of their bodies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Amount {
    pub(crate) replies: usize,
    /// Length of the encoded bodies, after compression.
    pub(crate) bytes: usize,
}

/// What a reply is to do next.
#[derive(Debug)]
pub(crate) enum Turn {
    /// Nothing is known against its queue.
    Send,
    /// It is to find out whether the queue is back.
    Probe(Prober),
    /// Its queue already has a prober. The next turn comes from awaiting the value.
    Wait(WaitingReply),
    /// The queue did not come back, or there was no more room for replies that wait for it.
    Fail,
}

/// The queues that are known to be missing.
///
/// Clones share one table. Each method locks it only for a moment and never across an await.
#[derive(Debug, Clone)]
pub(crate) struct MissingQueues(Arc<SharedTable>);

/// The table with its limits, shared by probers and waiting replies.
#[derive(Debug)]
struct SharedTable {
    /// Fixed for the life of the server.
    limits: Limits,
    /// Never locked while a `Turn` is sent: the receiver may run at once and lock it again.
    table: Mutex<QueueTable>,
}

/// Everything that the lock protects, so that a queue and the sums over all queues change together.
#[derive(Debug, Default)]
struct QueueTable {
    /// By the name of the queue. An entry exists exactly while the queue has a prober or one is being handed over.
    queues: HashMap<String, MissingQueue>,
    /// The sum over `queues`, probers included.
    in_all: Amount,
    /// Numbers replies and queues in the order in which they came.
    next: u64,
}

/// One queue that could not be reached, and the replies that wait for it.
#[derive(Debug)]
struct MissingQueue {
    /// Identifies this absence. A prober of an earlier absence
    /// of the same queue carries another number and changes nothing.
    since: u64,
    /// Oldest first, without the prober.
    waiting: VecDeque<Parked>,
    /// Of the waiting replies and the prober together.
    amount: Amount,
    /// Ends the prober for want of room.
    no_room: CancellationToken,
    /// Whether the overflow was logged. It limits the warning to one for each absence.
    overflowed: bool,
}

/// A reply that waits its turn, as the table keeps it.
#[derive(Debug)]
struct Parked {
    /// Finds the reply again when it leaves the line early.
    number: u64,
    bytes: usize,
    /// Wakes the waiting reply with its next turn.
    turn: oneshot::Sender<Turn>,
}

/// The one reply that is tried while its queue is missing.
/// Dropping it makes the reply that has waited longest the prober.
pub(crate) struct Prober {
    shared: Arc<SharedTable>,
    queue: String,
    /// The absence that it probes, as in `MissingQueue::since`.
    since: u64,
    /// Length of its own body, which counts in the amount of the queue.
    bytes: usize,
    /// Goes from prober to prober, so that the waits between probes keep growing.
    /// It selects the wait before the next probe, from 250 ms to 5 s.
    probes: u32,
    /// Cancelled when other queues need the room. Shared with the table.
    no_room: CancellationToken,
    /// When the queue is given up, if nothing but its absence is in the way.
    pub(crate) absent_until: Option<Deadline>,
    /// Whether the queue was found, or given up, or had to make room.
    over: bool,
}

/// A reply that waits for the outcome of the prober of its queue. Dropping it gives its place back.
///
/// The output is `Turn::Send`, `Turn::Probe` or `Turn::Fail`. It is `Turn::Fail` also if the sender was dropped,
/// which happens when the whole queue had to make room.
///
/// Cancellation: dropping it removes the reply from the table.
/// If the role of prober was already on its way, dropping passes that on.
pub(crate) struct WaitingReply {
    shared: Arc<SharedTable>,
    queue: String,
    number: u64,
    turn: oneshot::Receiver<Turn>,
}

impl MissingQueues {
    /// No queue is known to be missing at first.
    pub(crate) fn new(limits: Limits) -> Self {
        Self(Arc::new(SharedTable { limits, table: Mutex::default() }))
    }

    /// The turn of a new reply of `bytes` to `queue`: it waits if the queue is known to be missing.
    ///
    /// Call it before the first attempt.
    /// The reply may cost others their place: the oldest fail if a limit is exceeded.
    pub(crate) fn turn(&self, queue: &str, bytes: usize) -> Turn {
        let mut table = self.0.lock();
        if !table.queues.contains_key(queue) {
            return Turn::Send;
        }
        let (waiting, without_room) = table.park(&self.0, queue, bytes);
        drop(table);
        without_room.fail();
        Turn::Wait(waiting)
    }

    /// The turn of a reply that `queue` did not take: it is the prober, unless there is one.
    ///
    /// Call it when the driver reported that no queue took the message.
    /// Older replies may lose their place, as with `turn`.
    pub(crate) fn refused(&self, queue: &str, bytes: usize) -> Turn {
        let mut table = self.0.lock();
        let (turn, without_room) = if table.queues.contains_key(queue) {
            let (waiting, without_room) = table.park(&self.0, queue, bytes);
            (Turn::Wait(waiting), without_room)
        } else {
            let (prober, without_room) = table.probe(&self.0, queue, bytes);
            (Turn::Probe(prober), without_room)
        };
        drop(table);
        without_room.fail();
        turn
    }
}

impl Prober {
    /// Returns the wait before the next probe, which the caller then makes.
    ///
    /// The wait grows from 250 ms to 5 s. Each call counts as one probe.
    pub(crate) fn next_wait(&mut self) -> Duration {
        let wait = BACKOFF.wait(self.probes);
        self.probes = self.probes.saturating_add(1);
        wait
    }

    /// Ends when this reply has to make room for others.
    ///
    /// The caller then drops the prober and fails its reply.
    pub(crate) fn no_room(&self) -> CancellationToken {
        self.no_room.clone()
    }

    /// The queue is there: every reply to it may be sent.
    ///
    /// The queue leaves the table first, so that a refusal after this starts a new absence.
    pub(crate) fn found(mut self) {
        for parked in self.end() {
            let _ = parked.turn.send(Turn::Send);
        }
    }

    /// The queue is given up: every reply to it fails. Says how many that are besides this one.
    ///
    /// The queue leaves the table, so that the next refused reply becomes a new prober with a new budget.
    pub(crate) fn gone(mut self) -> usize {
        let parked = self.end();
        let count = parked.len();
        for parked in parked {
            let _ = parked.turn.send(Turn::Fail);
        }
        count
    }

    /// Takes the queue off the table; gives the replies that waited.
    ///
    /// Afterwards the drop of this prober passes nothing on.
    fn end(&mut self) -> VecDeque<Parked> {
        self.over = true;
        self.shared.lock().remove(&self.queue, self.since).map(|missing| missing.waiting).unwrap_or_default()
    }
}

/// Hands the role to the oldest waiting reply, with the number of probes and the time at which the queue is given up.
impl Drop for Prober {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        // The guard ends with this statement: sending below may drop a prober, which locks again.
        let next = self.shared.lock().next_prober(&self.queue, self.since, self.bytes);
        let Some(parked) = next else { return };
        let prober = Self {
            shared: Arc::clone(&self.shared),
            queue: std::mem::take(&mut self.queue),
            bytes: parked.bytes,
            no_room: self.no_room.clone(),
            over: false,
            ..*self
        };
        // One that has given up meanwhile drops the prober, and that makes the next one.
        let _ = parked.turn.send(Turn::Probe(prober));
    }
}

impl Future for WaitingReply {
    type Output = Turn;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Turn> {
        Poll::Ready(ready!(Pin::new(&mut self.turn).poll(context)).unwrap_or(Turn::Fail))
    }
}

/// Gives the place back. Nothing changes if the reply already left the line.
impl Drop for WaitingReply {
    fn drop(&mut self) {
        let left = self.shared.lock().leave(&self.queue, self.number);
        // `leave` may return a sender; it is dropped here, after the lock was released.
        drop(left);
    }
}

/// Replies that lost their place because a limit was exceeded.
///
/// Collected under the lock and failed after it.
#[derive(Debug, Default)]
struct WithoutRoom(Vec<Parked>);

impl WithoutRoom {
    /// Fails the replies that had to make room. Called without the lock, since they may be polled at once.
    fn fail(self) {
        for parked in self.0 {
            let _ = parked.turn.send(Turn::Fail);
        }
    }
}

impl SharedTable {
    /// Enters a poisoned lock: one panic must not stop all later replies.
    fn lock(&self) -> MutexGuard<'_, QueueTable> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl QueueTable {
    /// Replies and absences share one sequence, so a number is never used twice.
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Marks `queue` as missing, with this reply as its prober.
    ///
    /// The queue must not be in the table. The prober counts against the limits like a waiting reply.
    fn probe(&mut self, shared: &Arc<SharedTable>, queue: &str, bytes: usize) -> (Prober, WithoutRoom) {
        let (since, no_room) = (self.number(), CancellationToken::new());
        let amount = Amount { replies: 1, bytes };
        let missing =
            MissingQueue { since, waiting: VecDeque::new(), amount, no_room: no_room.clone(), overflowed: false };
        self.queues.insert(queue.to_owned(), missing);
        self.in_all.add(bytes);
        let without_room = self.make_room(&shared.limits, queue);
        let (shared, queue) = (Arc::clone(shared), queue.to_owned());
        let prober = Prober { shared, queue, since, bytes, probes: 0, no_room, absent_until: None, over: false };
        (prober, without_room)
    }

    /// Lets a reply wait for the prober of `queue`.
    ///
    /// The queue must be in the table. If it is not, the future ends with `Turn::Fail`.
    fn park(&mut self, shared: &Arc<SharedTable>, queue: &str, bytes: usize) -> (WaitingReply, WithoutRoom) {
        let (number, (turn_to, turn)) = (self.number(), oneshot::channel());
        if let Some(missing) = self.queues.get_mut(queue) {
            missing.waiting.push_back(Parked { number, bytes, turn: turn_to });
            missing.amount.add(bytes);
            self.in_all.add(bytes);
        }
        let without_room = self.make_room(&shared.limits, queue);
        (WaitingReply { shared: Arc::clone(shared), queue: queue.to_owned(), number, turn }, without_room)
    }

    /// Takes out the oldest of `queue` while it has more than its share, and then the oldest of the queue that has most
    /// while all together have more than theirs. The newest reply stays.
    ///
    /// Of two queues with equally many waiting replies, the one that is missing longer loses first. A queue without
    /// waiting replies loses its prober.
    fn make_room(&mut self, limits: &Limits, queue: &str) -> WithoutRoom {
        let mut without_room = WithoutRoom::default();
        while let Some(missing) = self.queues.get(queue)
            && missing.amount.exceeds(limits.for_each_queue)
            && missing.waiting.len() > 1
        {
            without_room.0.extend(self.drop_oldest(queue));
        }
        // Second limit: take from the queue with most waiting replies,
        // so that one dead caller does not displace the others.
        while self.in_all.exceeds(limits.in_all) {
            let largest =
                self.queues.iter().max_by_key(|(_, missing)| (missing.waiting.len(), u64::MAX - missing.since));
            // The last reply of the last queue stays even above the limit:
            // otherwise one large reply could never be sent.
            let Some((largest, missing)) = largest.filter(|_| self.queues.len() > 1 || self.in_all.replies > 1) else {
                break;
            };
            let (largest, since) = (largest.clone(), missing.since);
            if missing.waiting.is_empty() {
                if let Some(missing) = self.remove(&largest, since) {
                    // The prober is in its own task; it drops its reply when it sees this.
                    missing.no_room.cancel();
                }
            } else {
                without_room.0.extend(self.drop_oldest(&largest));
            }
        }
        without_room
    }

    /// Takes out the reply that has waited longest for `queue`; logs the first of an incident.
    fn drop_oldest(&mut self, queue: &str) -> Option<Parked> {
        let missing = self.queues.get_mut(queue)?;
        let parked = missing.waiting.pop_front()?;
        missing.amount.subtract(parked.bytes);
        self.in_all.subtract(parked.bytes);
        if !std::mem::replace(&mut missing.overflowed, true) {
            warn!(queue = %Excerpt(queue), "more replies wait for a missing reply queue than are kept: the oldest are dropped");
        }
        Some(parked)
    }

    /// Takes the queue that is missing since `since` off.
    ///
    /// Returns `None`, and changes nothing, if the queue came back or is missing again since then.
    fn remove(&mut self, queue: &str, since: u64) -> Option<MissingQueue> {
        if self.queues.get(queue).is_none_or(|missing| missing.since != since) {
            return None;
        }
        let missing = self.queues.remove(queue)?;
        self.in_all.replies -= missing.amount.replies;
        self.in_all.bytes -= missing.amount.bytes;
        Some(missing)
    }

    /// Takes out the reply that is to be the prober after one of `bytes`; without one the queue is forgotten.
    ///
    /// The old prober leaves the amounts; the new one stays in them, since it still holds its reply.
    fn next_prober(&mut self, queue: &str, since: u64, bytes: usize) -> Option<Parked> {
        let missing = self.queues.get_mut(queue).filter(|missing| missing.since == since)?;
        let Some(parked) = missing.waiting.pop_front() else {
            self.remove(queue, since);
            return None;
        };
        missing.amount.subtract(bytes);
        self.in_all.subtract(bytes);
        Some(parked)
    }

    /// Takes out a reply that does not wait any more.
    ///
    /// Returns `None` if it was given a turn or had to make room before.
    fn leave(&mut self, queue: &str, number: u64) -> Option<Parked> {
        let missing = self.queues.get_mut(queue)?;
        let place = missing.waiting.iter().position(|parked| parked.number == number)?;
        let parked = missing.waiting.remove(place)?;
        missing.amount.subtract(parked.bytes);
        self.in_all.subtract(parked.bytes);
        Some(parked)
    }
}

impl Amount {
    fn add(&mut self, bytes: usize) {
        self.replies += 1;
        self.bytes += bytes;
    }

    /// Takes out one reply that was added with the same `bytes`.
    fn subtract(&mut self, bytes: usize) {
        self.replies -= 1;
        self.bytes -= bytes;
    }

    /// Whether either count is over its limit.
    fn exceeds(self, limit: Self) -> bool {
        self.replies > limit.replies || self.bytes > limit.bytes
    }
}

impl fmt::Debug for Prober {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prober").field("queue", &self.queue).finish_non_exhaustive()
    }
}

impl fmt::Debug for WaitingReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitingReply").field("queue", &self.queue).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
