//! One check of the queues of a listener: declares and binds what is missing, and finds consumers that the broker lost.
//!
//! A broker can lose a queue or a binding without telling its consumers,
//! for example when an operator deletes an exchange.
//! The only sign that a client can ask for is a passive declare.

use std::time::Duration;

use oslo_messaging::{Deadline, Result};
use tokio::time::sleep;
use tracing::{debug, warn};

use crate::consume::consumer_channel::ConsumerChannel;
use crate::consume::subscription_opener::SubscriptionOpener;
use crate::queue_checks::QueueCheck;
use crate::recovery::lost_consumers::LostConsumers;

/// How long to wait before a queue without a consumer is checked again: a broker may count a new consumer late.
const SECOND_LOOK: Duration = Duration::from_secs(1);

/// Declares and binds what is missing of the queues.
/// Returns false if a queue has no consumer although none is known to be lost: the broker has forgotten it.
///
/// It waits for its turn, because each check takes a channel.
/// Lost consumers are left out: the recovery declares their queues anyway.
///
/// After a cancellation the check is not marked as ended, so the next request may start it without the usual distance.
pub(crate) async fn is_sound(
    check: &mut QueueCheck,
    opener: &SubscriptionOpener,
    channel: &ConsumerChannel,
    lost_consumers: &LostConsumers,
) -> bool {
    let _turn = check.begin().await;
    let mut sound = true;
    for (index, queue) in opener.queues().iter().enumerate().filter(|(index, _)| !lost_consumers.is_lost(*index)) {
        match is_read(opener, channel, index).await {
            Ok(true) => {}
            Ok(false) => {
                warn!(
                    queue = queue.name,
                    "a queue has no consumer although the broker cancelled none; the listener resubscribes"
                );
                sound = false;
            }
            // An error of the check does not prove a loss, and the listener may well receive.
            Err(error) => debug!(%error, queue = queue.name, "a queue could not be checked; it is checked again later"),
        }
    }
    check.end();
    sound
}

/// Declares and binds what is missing of the queue of `index`; returns whether it has a consumer.
///
/// `true` for a stream, whose consumers are not counted.
///
/// Fails with the broker's error, or with `Timeout` after `request_timeout` for both looks together.
async fn is_read(opener: &SubscriptionOpener, channel: &ConsumerChannel, index: usize) -> Result<bool> {
    let deadline = Deadline::after(opener.inner.config.request_timeout);
    // One look is not enough to give up consumers that work.
    if opener.renew(&channel.link, index, deadline).await? != Some(0) {
        return Ok(true);
    }
    sleep(SECOND_LOOK).await;
    Ok(opener.renew(&channel.link, index, deadline).await? != Some(0))
}
