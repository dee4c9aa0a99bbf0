//! Replies on their way: sent, and sent again, without a worker waiting for them.

use std::sync::Arc;
use std::time::Duration;

use metrics::counter;
use tokio::sync::Semaphore;
use tokio::time::sleep;
use tracing::{info, warn};

use super::admission::ReplyTo;
use super::patience::Patience;
use crate::text::Excerpt;
use crate::wire::{self, Compression, Reply};
use crate::{Address, Deadline, Error, ErrorKind, Failure, PublishOptions, Result, Transport};

/// The first wait between two tries of one reply (as the reference), and the longest.
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// Replies that may be on their way at once, for each permit of the server.
const SLOTS_PER_PERMIT: usize = 4;
/// And at least.
const FEWEST_SLOTS: usize = 64;

/// Sends replies and heartbeats; bounded, and what bounds the server when callers' queues are in trouble.
#[derive(Debug)]
pub(super) struct Outbox {
    transport: Arc<dyn Transport>,
    compression: Option<Compression>,
    slots: Semaphore,
}

impl Outbox {
    pub(super) fn new(transport: Arc<dyn Transport>, compression: Option<Compression>, concurrency: usize) -> Self {
        Self { transport, compression, slots: Semaphore::new(slots(concurrency)) }
    }

    pub(super) fn is_full(&self) -> bool {
        self.slots.available_permits() == 0
    }

    /// Waits until there is room for one more reply.
    pub(super) async fn room(&self) {
        let _slot = self.slots.acquire().await;
    }

    /// Sends `reply` until the bus owns it or its caller has given up. If it is clear that it can never be sent, the caller is
    /// told so instead, rather than left to wait.
    ///
    /// A reply is tried again even when it may have arrived: it has the same ids, and its call takes only one.
    pub(super) async fn deliver(&self, to: &ReplyTo, reply: &Reply) {
        let _slot = self.slots.acquire().await.expect("the semaphore is never closed");
        let mut sent = self.send(to, reply).await;
        if let Err(error) = &sent
            && !may_pass(error)
        {
            warn!(%error, queue = %Excerpt(&to.queue), msg_id = %Excerpt(&to.msg_id), "a reply can never be sent; its caller is to hear why");
            counter!("oslo_messaging_replies_replaced_total").increment(1);
            sent = self.send(to, &unsendable(to, error)).await;
        }
        if let Err(error) = sent {
            counter!("oslo_messaging_replies_lost_total").increment(1);
            warn!(%error, queue = %Excerpt(&to.queue), msg_id = %Excerpt(&to.msg_id), "a reply could not be delivered");
        }
    }

    /// Tries `reply` for as long as the trouble may pass and its caller may wait.
    async fn send(&self, to: &ReplyTo, reply: &Reply) -> Result<()> {
        let message = wire::message(reply.encode(), self.compression);
        let address = Address::Direct { queue: to.queue.clone() };
        let mut patience = Patience::with(to.deadline);
        let mut wait = FIRST_WAIT;
        loop {
            let options = PublishOptions::by(patience.next_try()).mandatory();
            let Err(error) = self.transport.publish(&address, message.clone(), &options).await else { return Ok(()) };
            let give_up = patience.after(&error);
            if !may_pass(&error) || wait >= give_up.remaining() {
                return Err(error);
            }
            info!(%error, queue = %Excerpt(&to.queue), "a reply will be tried again");
            sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    /// Tells the caller that its method still runs; tried once.
    ///
    /// # Errors
    /// What [`Transport::publish`] says.
    pub(super) async fn heartbeat(&self, to: &ReplyTo, every: Duration) -> Result<()> {
        let reply = Reply::heartbeat(to.msg_id.clone(), fresh_unique_id());
        let message = wire::message(reply.encode(), self.compression);
        let address = Address::Direct { queue: to.queue.clone() };
        let options = PublishOptions::by(Deadline::after(every)).mandatory();
        self.transport.publish(&address, message, &options).await
    }
}

/// The `_unique_id` of a message of ours.
pub(super) fn fresh_unique_id() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

/// How many replies of a server of that concurrency may be on their way at once.
pub(super) fn slots(concurrency: usize) -> usize {
    concurrency.saturating_mul(SLOTS_PER_PERMIT).clamp(FEWEST_SLOTS, Semaphore::MAX_PERMITS)
}

/// What the caller hears of an answer that can never be sent. The method did run.
fn unsendable(to: &ReplyTo, error: &Error) -> Reply {
    let failure = Failure::new(
        "oslo_messaging.exceptions",
        "MessageDeliveryFailure",
        format!("the method has ended, but its answer cannot be sent: {error}"),
    );
    Reply::failure(to.msg_id.clone(), fresh_unique_id(), &failure)
}

/// Whether the trouble may pass: a reply queue that is not there now may come back with its owner.
fn may_pass(error: &Error) -> bool {
    error.is_transient() || error.kind() == ErrorKind::Undeliverable
}
