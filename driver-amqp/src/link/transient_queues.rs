//! Finds out whether a broker allows queues that are neither durable nor exclusive.
//! It must be asked, because its version does not tell:
//! RabbitMQ 4.3 denies them, Debian's package of it does not, and an operator may decide either way.

use std::time::Duration;

use lapin::options::{QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::{AMQPValue, FieldTable};
use oslo_messaging::{Deadline, Error, ErrorKind, Result};
use tracing::debug;
use uuid::Uuid;

use crate::brokers::TransientQueues;
use crate::connection::Connection;
use crate::short_string::short_string;

/// How long the broker keeps the probe queue if the driver cannot delete it.
/// A connection that is lost between the two requests leaves the queue behind.
const EXPIRES: Duration = Duration::from_secs(60);

/// The prefix of reply queues, here and in the reference:
/// a user whose permissions are limited to names may usually declare it.
const PREFIX: &str = "reply_";

/// RabbitMQ's name of the feature (`rabbit_amqqueue`), in the text of the 541 with which it closes the connection.
const FEATURE: &str = "transient_nonexcl_queues";

/// Declares a transient queue and deletes it. If the broker denies it, it closes `connection`.
///
/// Fails with the broker's error, but not where it refuses this queue for another reason,
/// such as a queue limit or a missing permission.
/// The answer is `Unknown` then: the next declaration may name an existing queue, or one that is allowed.
///
/// After a cancellation the queue may stay for a minute.
pub(crate) async fn ask(connection: &Connection, deadline: Deadline) -> Result<TransientQueues> {
    let channel = connection.channel(deadline).await?;
    let name = short_string("queue", &format!("{PREFIX}{}", Uuid::new_v4().simple()))?;
    let mut arguments = FieldTable::default();
    let expires = i64::try_from(EXPIRES.as_millis()).unwrap_or(i64::MAX);
    // The driver deletes the queue itself; this is for a connection that ends before that.
    arguments.insert("x-expires".into(), AMQPValue::LongLongInt(expires));
    let declaring = channel.queue_declare(name.clone(), QueueDeclareOptions::default(), arguments);
    match connection.ask("declare queue", deadline, declaring).await {
        Ok(_) => {
            let deleting = channel.queue_delete(name, QueueDeleteOptions::default());
            connection.ask("delete queue", deadline, deleting).await?;
            connection.ask("close channel", deadline, channel.close(200, "asked".into())).await?;
            Ok(TransientQueues::Allowed)
        }
        Err(error) => judge(error),
    }
}

/// What the error of the probe says about transient queues.
/// Fails with `error` itself, if another attempt may get an answer.
fn judge(error: Error) -> Result<TransientQueues> {
    match error.kind() {
        _ if is_denial(&error) => Ok(TransientQueues::Denied),
        // A retry may get another answer; the error says nothing about queues.
        ErrorKind::Refused | ErrorKind::Disconnected | ErrorKind::Timeout | ErrorKind::Blocked | ErrorKind::Closed => {
            Err(error)
        }
        _ => {
            debug!(%error, "the driver could not find out whether the broker allows transient queues; it declares them");
            Ok(TransientQueues::Unknown)
        }
    }
}

/// Whether `error` ended a connection that declared a transient queue where they are denied.
/// By the name of the feature, because 541 has many causes.
pub(crate) fn is_denial(error: &Error) -> bool {
    error.kind() == ErrorKind::Refused && error.to_string().contains(FEATURE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_broker_s_own_words_say_that_transient_queues_are_denied() {
        let answer = |kind, text: &'static str| judge(Error::new(kind, "declare queue").with_source(text)).ok();
        let denied = "INTERNAL_ERROR - Feature `transient_nonexcl_queues` is deprecated.\nIts use is not permitted";
        assert_eq!(answer(ErrorKind::Refused, denied), Some(TransientQueues::Denied));
        assert_eq!(answer(ErrorKind::Denied, "ACCESS_REFUSED"), Some(TransientQueues::Unknown));
        let full = "PRECONDITION_FAILED - cannot declare queue 'reply_1': queue limit in vhost '/' (2) is reached";
        assert_eq!(answer(ErrorKind::Topology, full), Some(TransientQueues::Unknown));
        assert_eq!(answer(ErrorKind::Topology, "RESOURCE_LOCKED"), Some(TransientQueues::Unknown));
        assert_eq!(answer(ErrorKind::TooLarge, "precondition"), Some(TransientQueues::Unknown));
        assert_eq!(answer(ErrorKind::Refused, "INTERNAL_ERROR"), None);
        assert_eq!(answer(ErrorKind::Disconnected, "gone"), None);
        assert_eq!(answer(ErrorKind::Timeout, "late"), None);
    }
}
