//! Whether a broker takes queues that are neither durable nor exclusive. It is asked, since its version does not say:
//! RabbitMQ 4.3 denies them, Debian's package of it does not, and any operator may decide otherwise.

use std::time::Duration;

use lapin::options::{QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::{AMQPValue, FieldTable};
use oslo_messaging::{Deadline, Error, ErrorKind, Result};
use tracing::debug;
use uuid::Uuid;

use crate::connection::Connection;
use crate::names::short;

/// How long the queue stays that we cannot delete, because we are gone.
const EXPIRES: Duration = Duration::from_secs(60);

/// How RabbitMQ calls them (`rabbit_amqqueue`), in the text of the 541 with which it then ends the connection.
const FEATURE: &str = "transient_nonexcl_queues";

/// What a broker thinks of transient queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transient {
    Allowed,
    /// Whoever declares one loses the connection.
    Denied,
}

/// Declares a transient queue and deletes it. If they are denied, `connection` is gone afterwards.
///
/// # Errors
/// As the broker's; not for a user who may not declare a queue of any name, who is told so by what is really wanted.
pub(crate) async fn ask(connection: &Connection, deadline: Deadline) -> Result<Transient> {
    let channel = connection.channel(deadline).await?;
    let name = short("queue", &format!("probe_{}", Uuid::new_v4().simple()))?;
    let mut arguments = FieldTable::default();
    let expires = i64::try_from(EXPIRES.as_millis()).unwrap_or(i64::MAX);
    arguments.insert("x-expires".into(), AMQPValue::LongLongInt(expires));
    let declaring = channel.queue_declare(name.clone(), QueueDeclareOptions::default(), arguments);
    match connection.ask("declare queue", deadline, declaring).await {
        Ok(_) => {
            let deleting = channel.queue_delete(name, QueueDeleteOptions::default());
            connection.ask("delete queue", deadline, deleting).await?;
            connection.ask("close channel", deadline, channel.close(200, "asked".into())).await?;
            Ok(Transient::Allowed)
        }
        Err(error) => judge(error),
    }
}

fn judge(error: Error) -> Result<Transient> {
    match error.kind() {
        ErrorKind::Refused if error.to_string().contains(FEATURE) => Ok(Transient::Denied),
        ErrorKind::Denied => {
            debug!(%error, "whether the broker takes transient queues cannot be asked");
            Ok(Transient::Allowed)
        }
        _ => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_broker_s_own_words_say_that_transient_queues_are_denied() {
        let told = |kind, text: &'static str| judge(Error::new(kind, "declare queue").with_source(text)).ok();
        let denied = "INTERNAL_ERROR - Feature `transient_nonexcl_queues` is deprecated.\nIts use is not permitted";
        assert_eq!(told(ErrorKind::Refused, denied), Some(Transient::Denied));
        assert_eq!(told(ErrorKind::Denied, "ACCESS_REFUSED"), Some(Transient::Allowed));
        assert_eq!(told(ErrorKind::Refused, "INTERNAL_ERROR"), None);
        assert_eq!(told(ErrorKind::Disconnected, "gone"), None);
    }
}
