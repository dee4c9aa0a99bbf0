//! Sends replies, and repeats them, without holding a handler.
//!
//! A server answers after its method has ended, so replies must not hold a handler. At most [`slots`] replies are
//! published at once; when all slots are taken, the intake takes no more requests, so a broker in trouble slows the
//! server down instead of filling its memory.
//!
//! A reply is repeated on transient errors until the deadline of its caller. A reply whose queue is missing leaves
//! its slot and waits in [`MissingQueues`]. A reply that can never be sent, because it is too large for example, is
//! replaced by a failure that says so.

use std::sync::Arc;
use std::time::Duration;

use metrics::counter;
use tokio::sync::Semaphore;
use tokio::time::sleep;
use tracing::{debug, info, warn};

use super::missing_queues::{Amount, Limits, MissingQueues, Prober, Turn};
use super::reply_deadline::{ReplyDeadline, is_refusal};
use super::reply_to::ReplyTo;
use crate::driver::{Address, Message, PublishOptions, Settle, Transport};
use crate::excerpt::Excerpt;
use crate::retry::backoff::Backoff;
use crate::rpc::unique_id::fresh_unique_id;
use crate::wire::{Compression, Reply};
use crate::{Deadline, Error, Failure, Result, wire};

/// The waits between two attempts at one reply; the first is the reference's.
const BACKOFF: Backoff = Backoff::doubling(Duration::from_millis(250), Duration::from_secs(5));
/// How long the first try of a reply may take at least.
const FIRST_TRY: Duration = Duration::from_secs(5);
/// Replies that may be published at once, for each permit of the server.
const SLOTS_PER_PERMIT: usize = 4;
/// The least number of slots, for a server of few permits.
const FEWEST_SLOTS: usize = 64;
/// What may wait for one missing reply queue, and for all of them.
/// Such a queue belongs to one bus of a caller, which is gone or has lost its queue.
const FOR_EACH_QUEUE: Amount = Amount { replies: 1_024, bytes: 16 * 1024 * 1024 };
const IN_ALL: Amount = Amount { replies: 4_096, bytes: 64 * 1024 * 1024 };

/// Sends replies and heartbeats; bounded, and what bounds the server when the broker is in trouble. Replies whose queue
/// is missing wait without a slot, and are bounded apart.
#[derive(Debug)]
pub(crate) struct ReplySender {
    /// Publishes to the reply queue of the caller by its name.
    transport: Arc<dyn Transport>,
    /// Of the bus; a caller reads both forms by the header of the message.
    compression: Option<Compression>,
    /// One permit for each reply that is published; it is kept over the waits between two attempts.
    slots: Semaphore,
    /// The reply queues that refused a reply, and the replies that wait for them.
    missing: MissingQueues,
}

/// Why a reply was not sent.
enum NotSent {
    /// The broker, or the driver, gave this error on the last attempt.
    Failed(Error),
    /// It waited for a missing queue, whose loss is reported once for all replies to it.
    WithItsQueue,
}

impl ReplySender {
    /// `concurrency` is the number of methods that may run at once; it decides the number of slots.
    pub(crate) fn new(
        transport: Arc<dyn Transport>,
        compression: Option<Compression>,
        concurrency: usize,
        settle: Settle,
    ) -> Self {
        let slots = slots(concurrency);
        let missing = MissingQueues::new(limits(slots, settle));
        Self { transport, compression, slots: Semaphore::new(slots), missing }
    }

    /// Whether the server should take no more requests.
    ///
    /// The intake reads it before each poll.
    pub(crate) fn is_full(&self) -> bool {
        self.slots.available_permits() == 0
    }

    /// Waits until there is room for one more reply.
    ///
    /// Returns the slot at once: it only wakes the intake.
    pub(crate) async fn room(&self) {
        let _slot = self.slots.acquire().await;
    }

    /// Sends `reply` until the bus owns it or its caller has given up. If it is clear that it can never be sent, its
    /// caller gets a failure that says so, rather than nothing.
    ///
    /// A reply is tried again even when it may have arrived: it has the same ids, and its call takes only one.
    ///
    /// Errors are logged and counted (`oslo_messaging_replies_lost_total`), not returned:
    /// nothing upstream could act on them.
    ///
    /// Cancellation: the reply may or may not have been sent.
    pub(crate) async fn deliver(&self, to: &ReplyTo, reply: &Reply) {
        let mut sent = self.send(to, reply).await;
        if let Err(NotSent::Failed(error)) = &sent
            && !may_pass(error)
        {
            warn!(%error, queue = %Excerpt(&to.queue), msg_id = %Excerpt(&to.msg_id), "a reply can never be sent; its caller gets a failure that says so instead");
            counter!("oslo_messaging_replies_replaced_total").increment(1);
            sent = self.send(to, &unsendable(to, error)).await;
        }
        let Err(not_sent) = sent else { return };
        counter!("oslo_messaging_replies_lost_total").increment(1);
        let (queue, msg_id) = (Excerpt(&to.queue), Excerpt(&to.msg_id));
        match not_sent {
            NotSent::Failed(error) => warn!(%error, %queue, %msg_id, "a reply could not be delivered"),
            NotSent::WithItsQueue => {
                debug!(%queue, %msg_id, "a reply that waited for a missing reply queue is dropped");
            }
        }
    }

    /// Tries `reply` for as long as the trouble may pass and its caller may wait.
    ///
    /// Errors: `NotSent::Failed` with the last error of a publish; `NotSent::WithItsQueue` if the queue was given up,
    /// had to make room, or the caller's time ran out while it waited.
    async fn send(&self, to: &ReplyTo, reply: &Reply) -> Result<(), NotSent> {
        let message = wire::message(reply.encode(), self.compression);
        let address = Address::Direct { queue: to.queue.clone() };
        let bytes = message.body.len();
        let mut reply_deadline = ReplyDeadline::new(to.stale_from);
        let mut turn = self.missing.turn(&to.queue, bytes);
        loop {
            turn = match turn {
                Turn::Send => match self.transmit(&address, &message, &mut reply_deadline).await {
                    Ok(()) => return Ok(()),
                    Err(error) if is_refusal(&error) => match self.missing.refused(&to.queue, bytes) {
                        Turn::Probe(prober) => {
                            info!(%error, queue = %Excerpt(&to.queue), "a reply queue is missing: the replies to it wait");
                            Turn::Probe(prober)
                        }
                        turn => turn,
                    },
                    Err(error) => return Err(NotSent::Failed(error)),
                },
                Turn::Wait(waiting) => {
                    let waited = reply_deadline.next_attempt().run("wait for the reply queue", waiting).await;
                    waited.map_err(|_| NotSent::WithItsQueue)?
                }
                Turn::Fail => return Err(NotSent::WithItsQueue),
                // The rest of the work is the prober's: other replies to this queue now depend on it.
                Turn::Probe(prober) => return self.probe(prober, &address, &message, reply_deadline).await,
            }
        }
    }

    /// Publishes `message` on a slot, and again while the broker is in trouble. The first refusal ends it.
    ///
    /// The slot is held over the waits between attempts, so that a broker in trouble slows the intake.
    ///
    /// Errors: the error of the last attempt. A refusal is returned at once, for `missing` to handle.
    async fn transmit(&self, address: &Address, message: &Message, reply_deadline: &mut ReplyDeadline) -> Result<()> {
        let _slot = self.slots.acquire().await.expect("the semaphore is never closed");
        let mut failed = 0;
        // One try is made even for a caller that should have given up: only it knows.
        let mut by = reply_deadline.next_attempt().max(Deadline::after(FIRST_TRY));
        loop {
            let Err(error) = self.publish(address, message, by).await else { return Ok(()) };
            let wait = BACKOFF.wait(failed);
            let give_up = reply_deadline.after(&error);
            if is_refusal(&error) || !may_pass(&error) || wait >= give_up.remaining() {
                return Err(error);
            }
            info!(%error, to = %Excerpt(&address.to_string()), "a reply will be tried again");
            sleep(wait).await;
            failed += 1;
            by = reply_deadline.next_attempt();
        }
    }

    /// Tries `message` until its queue is back, its caller has given up, or the queue is given up.
    /// A slot is held only while it is published.
    ///
    /// Runs without a limit of attempts: the budget of the absence and the deadline of the caller end it.
    ///
    /// Errors: as `send`; other replies to the queue fail with this one only if the queue was given up.
    async fn probe(
        &self,
        mut prober: Prober,
        address: &Address,
        message: &Message,
        mut reply_deadline: ReplyDeadline,
    ) -> Result<(), NotSent> {
        // A reply that takes over the role does not get a new minute for a queue that is missing already.
        reply_deadline.continue_absence(prober.absent_until);
        let no_room = prober.no_room();
        loop {
            prober.absent_until = reply_deadline.absent_until();
            let wait = prober.next_wait();
            if prober.absent_until.is_some_and(|until| wait >= until.remaining()) {
                let others = prober.gone();
                warn!(to = %Excerpt(&address.to_string()), replies = others + 1, "a reply queue did not come back: the replies to it are dropped");
                return Err(NotSent::WithItsQueue);
            }
            if wait >= reply_deadline.next_attempt().remaining() {
                return Err(NotSent::WithItsQueue);
            }
            tokio::select! {
                () = no_room.cancelled() => return Err(NotSent::WithItsQueue),
                () = sleep(wait) => {}
            }
            let slot = self.slots.acquire().await.expect("the semaphore is never closed");
            let published = self.publish(address, message, reply_deadline.next_attempt()).await;
            drop(slot);
            match published {
                Ok(()) => {
                    prober.found();
                    return Ok(());
                }
                // Called for its effect: it starts or clears the time of the absence.
                Err(error) if may_pass(&error) => drop(reply_deadline.after(&error)),
                Err(error) => return Err(NotSent::Failed(error)),
            }
        }
    }

    /// One attempt; mandatory, so that a missing queue is noticed.
    ///
    /// Replies are mandatory in the reference too (oslo.messaging 18.3.1, `_drivers/impl_rabbit.py`, `direct_send`).
    ///
    /// Errors: what the driver reports of this one attempt.
    async fn publish(&self, address: &Address, message: &Message, by: Deadline) -> Result<()> {
        let options = PublishOptions::by(by).mandatory().reply();
        self.transport.publish(address, message.clone(), &options).await
    }

    /// Sends a heartbeat to the caller, once, within the interval `every`.
    ///
    /// Errors: what the driver reports; no further heartbeat is sent then.
    ///
    /// It takes no slot and is tried once; the first that fails ends the heartbeats of its request. On the wire it is
    /// a reply with null result and failure that does not end the call.
    pub(crate) async fn heartbeat(&self, to: &ReplyTo, every: Duration) -> Result<()> {
        let reply = Reply::heartbeat(to.msg_id.clone(), fresh_unique_id());
        let message = wire::message(reply.encode(), self.compression);
        let address = Address::Direct { queue: to.queue.clone() };
        let options = PublishOptions::by(Deadline::after(every)).mandatory().reply();
        self.transport.publish(&address, message, &options).await
    }
}

/// What may wait for missing reply queues. Where a request is unsettled until its reply is out, those that wait take
/// places of the window, and leave a quarter of what it has for replies to others.
fn limits(slots: usize, settle: Settle) -> Limits {
    let replies = match settle {
        Settle::BeforeHandover => IN_ALL.replies,
        Settle::ByReceiver => IN_ALL.replies.min(slots - slots / 4),
    };
    Limits { for_each_queue: FOR_EACH_QUEUE, in_all: Amount { replies, ..IN_ALL } }
}

/// How many replies of a server of that concurrency may be published at once.
pub(crate) fn slots(concurrency: usize) -> usize {
    concurrency.saturating_mul(SLOTS_PER_PERMIT).clamp(FEWEST_SLOTS, Semaphore::MAX_PERMITS)
}

/// The failure that a caller gets in place of an answer that can never be sent. The method did run.
///
/// The class is the reference's `oslo_messaging.exceptions.MessageDeliveryFailure`.
fn unsendable(to: &ReplyTo, error: &Error) -> Reply {
    let failure = Failure::new(
        "oslo_messaging.exceptions",
        "MessageDeliveryFailure",
        format!("the method has ended, but its answer cannot be sent: {error}"),
    );
    Reply::failure(to.msg_id.clone(), fresh_unique_id(), &failure)
}

/// Whether the trouble may pass: a reply queue that is not there now may come back with its owner.
///
/// Otherwise the reply is replaced by a failure.
fn may_pass(error: &Error) -> bool {
    error.is_transient() || is_refusal(error)
}
