//! Requests that the broker would drop if they failed once more.
//!
//! A quorum queue of RabbitMQ drops a message once its delivery limit is exceeded. A request that is delivered for
//! the last time is therefore not run again:
//! its caller gets a failure, or a cast is copied to the dead-letter queue, before it is acknowledged.

use std::time::Duration;

use metrics::counter;
use tokio::time::sleep;
use tracing::{error, warn};

use super::admission::Accepted;
use crate::excerpt::Excerpt;
use crate::notify::{DeadLetterInfo, DeadLetterWriter};
use crate::rpc::failures::given_up;
use crate::rpc::reply::sender::ReplySender;
use crate::rpc::unique_id::fresh_unique_id;
use crate::wire;

/// How long to wait before a copy that the broker did not take is written again.
const AGAIN: Duration = Duration::from_secs(5);

/// Takes a request that has failed `deliveries` times out of its queue, for good: the caller of a call gets a failure
/// in words, and a cast goes into the dead-letter queue of its queue. The request is acknowledged only after that.
///
/// A copy that the broker does not take is written again until it does: given back, the request would be gone.
pub(crate) async fn set_aside(
    accepted: Accepted,
    deliveries: u64,
    replies: &ReplySender,
    dead_letters: &DeadLetterWriter,
) {
    let Accepted { request, reply_to, delivery, .. } = accepted;
    let queue = delivery.message().queue.clone();
    let method = request.method;
    counter!("oslo_messaging_requests_set_aside_total").increment(1);
    warn!(
        method = %Excerpt(&method),
        ?queue,
        deliveries,
        "a request has reached the delivery limit of its queue; it is set aside and does not run"
    );
    let failure = given_up(deliveries);
    if let Some(to) = &reply_to {
        let reply = wire::Reply::failure(to.msg_id.clone(), fresh_unique_id(), &failure);
        replies.deliver(to, &reply).await;
    } else {
        let attempts = u32::try_from(deliveries).unwrap_or(u32::MAX);
        let info = DeadLetterInfo::of_failure(delivery.message(), attempts, &failure);
        // Without a limit: the request is acknowledged only after the copy, and given back it would be dropped.
        while let Err(error) = dead_letters.write(delivery.message(), &info).await {
            error!(%error, ?queue, method = %Excerpt(&method), "a request at its delivery limit could not be copied to the dead-letter queue; the copy is attempted again in 5 s");
            sleep(AGAIN).await;
        }
    }
    delivery.acknowledge().await;
}
