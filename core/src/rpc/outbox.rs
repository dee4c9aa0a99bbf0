//! Replies on their way: sent, and sent again, without a worker waiting for them.

use std::sync::Arc;
use std::time::Duration;

use metrics::counter;
use tokio::sync::Semaphore;
use tokio::time::sleep;
use tracing::{info, warn};

use super::admission::ReplyTo;
use crate::wire::{self, Compression, Reply};
use crate::{Address, Deadline, Error, ErrorKind, PublishOptions, Result, Transport};

/// How long replies to a caller that told no deadline are tried, counted from the first failure
/// (oslo.messaging `kombu_missing_consumer_retry_timeout`).
const PATIENCE: Duration = Duration::from_secs(60);
/// The first wait between two tries of one reply (as the reference), and the longest.
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// Replies that may be on their way at once, for each permit of the server.
const SLOTS_PER_PERMIT: usize = 4;

/// Sends replies and heartbeats; bounded, and what bounds the server when callers' queues are in trouble.
#[derive(Debug)]
pub(super) struct Outbox {
    transport: Arc<dyn Transport>,
    compression: Option<Compression>,
    slots: Semaphore,
}

impl Outbox {
    pub(super) fn new(transport: Arc<dyn Transport>, compression: Option<Compression>, concurrency: usize) -> Self {
        let slots = Semaphore::new(concurrency.saturating_mul(SLOTS_PER_PERMIT).clamp(64, Semaphore::MAX_PERMITS));
        Self { transport, compression, slots }
    }

    pub(super) fn is_full(&self) -> bool {
        self.slots.available_permits() == 0
    }

    /// Waits until there is room for one more reply.
    pub(super) async fn room(&self) {
        let _slot = self.slots.acquire().await;
    }

    /// Sends `reply` until the bus owns it, its caller has given up, or it is clear that it cannot be sent.
    ///
    /// A reply is tried again even when it may have arrived: it has the same ids, and its call takes only one.
    pub(super) async fn deliver(&self, to: &ReplyTo, reply: &Reply) {
        let _slot = self.slots.acquire().await.expect("the semaphore is never closed");
        let message = wire::message(reply.encode(), self.compression);
        let address = Address::Direct { queue: to.queue.clone() };
        let mut give_up = to.deadline;
        let mut wait = FIRST_WAIT;
        loop {
            let deadline = give_up.unwrap_or_else(|| Deadline::after(PATIENCE));
            let options = PublishOptions::by(deadline).mandatory();
            let Err(error) = self.transport.publish(&address, message.clone(), &options).await else { return };
            let give_up = *give_up.get_or_insert_with(|| Deadline::after(PATIENCE));
            if !may_pass(&error) || wait >= give_up.remaining() {
                counter!("oslo_messaging_replies_lost_total").increment(1);
                warn!(%error, queue = to.queue, msg_id = to.msg_id, "a reply could not be delivered");
                return;
            }
            info!(%error, queue = to.queue, "a reply will be tried again");
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

/// Whether the trouble may pass: a reply queue that is not there now may come back with its owner.
fn may_pass(error: &Error) -> bool {
    error.is_transient() || error.kind() == ErrorKind::Undeliverable
}
