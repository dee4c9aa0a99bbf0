//! Whether a broker takes queues that are neither durable nor exclusive. It is asked, since its version does not say:
//! RabbitMQ 4.3 denies them, Debian's package of it does not, and any operator may decide otherwise.

use std::time::Duration;

use lapin::options::{QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::{AMQPValue, FieldTable};
use oslo_messaging::{Deadline, Error, ErrorKind, Result};
use tracing::debug;
use uuid::Uuid;

use crate::brokers::TransientQueues;
use crate::connection::Connection;
use crate::short_string::short_string;

/// How long the queue stays that we cannot delete, because we are gone.
const EXPIRES: Duration = Duration::from_secs(60);

/// Reply queues are named like this, here and in the reference: most users may declare such a queue.
const PREFIX: &str = "reply_";

/// How RabbitMQ calls them (`rabbit_amqqueue`), in the text of the 541 with which it then ends the connection.
const FEATURE: &str = "transient_nonexcl_queues";

/// Declares a transient queue and deletes it. If they are denied, `connection` is gone afterwards.
///
/// # Errors
/// As the broker's; not where it refuses the queue for another reason, such as a limit of queues or a missing right: what is
/// declared next may be there already, or have a name that is allowed.
pub(crate) async fn ask(connection: &Connection, deadline: Deadline) -> Result<TransientQueues> {
    let channel = connection.channel(deadline).await?;
    let name = short_string("queue", &format!("{PREFIX}{}", Uuid::new_v4().simple()))?;
    let mut arguments = FieldTable::default();
    let expires = i64::try_from(EXPIRES.as_millis()).unwrap_or(i64::MAX);
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

fn judge(error: Error) -> Result<TransientQueues> {
    match error.kind() {
        _ if is_denial(&error) => Ok(TransientQueues::Denied),
        // It may be another answer the next time, and says nothing of queues.
        ErrorKind::Refused | ErrorKind::Disconnected | ErrorKind::Timeout | ErrorKind::Blocked | ErrorKind::Closed => {
            Err(error)
        }
        _ => {
            debug!(%error, "the driver could not find out whether the broker allows transient queues; it declares them");
            Ok(TransientQueues::Unknown)
        }
    }
}

/// Whether `error` is what became of the connection that declared a transient queue where they are denied.
pub(crate) fn is_denial(error: &Error) -> bool {
    error.kind() == ErrorKind::Refused && error.to_string().contains(FEATURE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_broker_s_own_words_say_that_transient_queues_are_denied() {
        let told = |kind, text: &'static str| judge(Error::new(kind, "declare queue").with_source(text)).ok();
        let denied = "INTERNAL_ERROR - Feature `transient_nonexcl_queues` is deprecated.\nIts use is not permitted";
        assert_eq!(told(ErrorKind::Refused, denied), Some(TransientQueues::Denied));
        assert_eq!(told(ErrorKind::Denied, "ACCESS_REFUSED"), Some(TransientQueues::Unknown));
        let full = "PRECONDITION_FAILED - cannot declare queue 'reply_1': queue limit in vhost '/' (2) is reached";
        assert_eq!(told(ErrorKind::Topology, full), Some(TransientQueues::Unknown));
        assert_eq!(told(ErrorKind::Topology, "RESOURCE_LOCKED"), Some(TransientQueues::Unknown));
        assert_eq!(told(ErrorKind::TooLarge, "precondition"), Some(TransientQueues::Unknown));
        assert_eq!(told(ErrorKind::Refused, "INTERNAL_ERROR"), None);
        assert_eq!(told(ErrorKind::Disconnected, "gone"), None);
        assert_eq!(told(ErrorKind::Timeout, "late"), None);
    }
}
