//! Translates lapin's errors; no other file does.
//!
//! Kinds come from the reply code, and from the text only where RabbitMQ uses one code for several causes.
//! Words of the broker that are matched here are those of RabbitMQ 3.10 to 4.3.

use std::error::Error as StdError;

use lapin::ErrorKind as Lapin;
use oslo_messaging::{Error, ErrorKind, Executed};
use tokio_rustls::rustls;

use crate::config::tls;
use crate::frames::Violation;

/// The kind of lapin's `error` for `operation`. What was executed is left open: the caller knows what was sent.
///
/// The result says executed `No`. A caller that had sent a message must overwrite that, as `unknown` does.
/// lapin's error is the source, so its text is never lost.
pub(crate) fn translate(operation: &'static str, error: &lapin::Error) -> Error {
    // The broker rejects a client certificate only after the TLS handshake, so it arrives as an error of a read.
    if let Lapin::IOError(io) = error.kind()
        && io.get_ref().is_some_and(<dyn StdError + Send + Sync>::is::<rustls::Error>)
    {
        return tls::explain(io);
    }
    let (kind, transient) = match error.kind() {
        Lapin::ProtocolError(protocol) => kind_of(protocol.get_id(), protocol.get_message().as_str()),
        Lapin::IOError(io) => match io.get_ref().and_then(|inner| inner.downcast_ref::<Violation>()) {
            Some(violation) => kind_of_violation(violation),
            None => (ErrorKind::Disconnected, true),
        },
        Lapin::MissingHeartbeatError
        | Lapin::InvalidConnectionState(_)
        | Lapin::InvalidChannelState(..)
        | Lapin::InvalidChannel(_) => (ErrorKind::Disconnected, true),
        Lapin::AuthProviderError(_) => (ErrorKind::Denied, false),
        Lapin::ChannelsLimitReached => (ErrorKind::Config, false),
        // The runtime that drives the connection is gone, or the peer does not speak AMQP 0-9-1: a retry
        // does not help.
        _ => (ErrorKind::Disconnected, false),
    };
    let translated = Error::new(kind, operation).with_executed(Executed::No).with_source(error.clone());
    if transient { translated.transient() } else { translated }
}

/// The error of a publish or delivery whose outcome is unknown: executed `Maybe`.
/// To be used for every error after lapin got the message.
pub(crate) fn unknown(operation: &'static str, error: &lapin::Error) -> Error {
    translate(operation, error).with_executed(Executed::Maybe)
}

/// The error of an operation that needs a connection while there is none. Transient and executed `No`.
/// A caller whose message may have been sent must overwrite the latter.
pub(crate) fn lost(operation: &'static str, reason: &str) -> Error {
    Error::new(ErrorKind::Disconnected, operation)
        .with_executed(Executed::No)
        .transient()
        .with_context("reason", reason)
}

/// The kind of an error for which the frame reader ended the connection.
/// A retry helps in no case: `frame_max` needs an operator, and the others are faults of the peer.
///
/// Without a wildcard, so that a new violation must be placed here.
fn kind_of_violation(violation: &Violation) -> (ErrorKind, bool) {
    match violation {
        Violation::FrameMax(_) => (ErrorKind::Config, false),
        Violation::FrameType(_)
        | Violation::FrameEnd { .. }
        | Violation::TooLarge { .. }
        | Violation::Method { .. }
        | Violation::UnknownMethod { .. }
        | Violation::Header
        | Violation::Unexpected { .. }
        | Violation::TooManyReports(_) => (ErrorKind::Disconnected, false),
    }
}

/// The kind of a reply code, and whether the error is transient (AMQP 0-9-1, and how RabbitMQ uses it).
///
/// An unknown code counts as a lost connection, which the driver makes again.
fn kind_of(code: u16, text: &str) -> (ErrorKind, bool) {
    match code {
        311 => (ErrorKind::TooLarge, false),
        // RabbitMQ reports a body over its limit as a failed precondition.
        406 if text.contains("larger than") => (ErrorKind::TooLarge, false),
        403 => (ErrorKind::Denied, false),
        // Other clients may disconnect.
        530 if names_connection_limit(text) => (ErrorKind::Disconnected, true),
        530 if names_channel_limit(text) => (ErrorKind::Refused, true),
        // The virtual host exists, but the user may not use it.
        530 if text.contains("refused for user") => (ErrorKind::Denied, false),
        402 | 530 => (ErrorKind::Config, false),
        // A stream that was declared a moment ago.
        404 | 406 if NO_REPLICA.iter().any(|words| text.contains(words)) => (ErrorKind::Topology, true),
        404..=406 => (ErrorKind::Topology, false),
        312 | 313 => (ErrorKind::Undeliverable, false),
        506 | 541 => (ErrorKind::Refused, true),
        // 320 when an operator closes the connection; 501 to 505 when the driver violates the protocol.
        _ => (ErrorKind::Disconnected, true),
    }
}

/// The broker's words for a stream whose replica on the connected node has not started,
/// or is restarting. RabbitMQ sends them with 404 or 406.
const NO_REPLICA: [&str; 2] =
    ["does not have a running replica on the local node", "does not have a replica on the local node"];

/// Whether `text` says that a virtual host, user or node is at its connection limit. Names in quotes come before that.
///
/// A name could itself contain the words, so only what follows the last quote counts.
fn names_connection_limit(text: &str) -> bool {
    text.rsplit('\'').next().is_some_and(|said| said.contains("connection limit"))
}

/// Whether `text` says that a user or node is at its channel limit, for which the broker closes the connection.
/// The beginning is compared, because a name may follow.
fn names_channel_limit(text: &str) -> bool {
    text.starts_with("NOT_ALLOWED - number of channels opened ")
}

/// Whether `error` ended a connection that exceeded the channel limit.
/// It works on a translated error, whose text has the broker's words.
pub(crate) fn is_channel_limit(error: &Error) -> bool {
    error.kind() == ErrorKind::Refused && error.to_string().contains("NOT_ALLOWED - number of channels opened ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_broker_sent_that_cannot_be_passed_on_is_said_in_words() {
        for (violation, kind, words) in [
            (Violation::FrameMax(4_096), ErrorKind::Config, "frame_max of 4096"),
            (Violation::FrameType(b'H'), ErrorKind::Disconnected, "does not speak AMQP"),
        ] {
            let error = std::io::Error::new(std::io::ErrorKind::InvalidData, violation);
            let error = translate("connect", &Lapin::IOError(error.into()).into());
            assert_eq!((error.kind(), error.is_transient()), (kind, false));
            assert!(error.to_string().contains(words), "{error}");
        }
        let lost = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        assert!(translate("connect", &Lapin::IOError(lost.into()).into()).is_transient());
    }

    #[test]
    fn every_code_the_broker_uses_has_its_kind() {
        for (code, text, kind, transient) in [
            (311, "", ErrorKind::TooLarge, false),
            (312, "NO_ROUTE", ErrorKind::Undeliverable, false),
            (320, "CONNECTION_FORCED", ErrorKind::Disconnected, true),
            (403, "ACCESS_REFUSED", ErrorKind::Denied, false),
            (404, "NOT_FOUND", ErrorKind::Topology, false),
            (405, "RESOURCE_LOCKED", ErrorKind::Topology, false),
            (406, "PRECONDITION_FAILED - inequivalent arg 'durable'", ErrorKind::Topology, false),
            (
                406,
                "PRECONDITION_FAILED - message size 9 is larger than configured max size 8",
                ErrorKind::TooLarge,
                false,
            ),
            (504, "CHANNEL_ERROR", ErrorKind::Disconnected, true),
            (530, "NOT_ALLOWED - vhost x not found", ErrorKind::Config, false),
            (530, "NOT_ALLOWED - access to vhost 'x' refused for user 'u'", ErrorKind::Denied, false),
            (530, "NOT_ALLOWED - access to vhost 'connection limit' refused for user 'u'", ErrorKind::Denied, false),
            (
                530,
                "NOT_ALLOWED - access to vhost 'x' refused for user 'u': connection limit (2) is reached",
                ErrorKind::Disconnected,
                true,
            ),
            (
                530,
                "NOT_ALLOWED - access to vhost 'x' refused for user 'u': connection limit cannot be queried, timeout",
                ErrorKind::Disconnected,
                true,
            ),
            (
                530,
                "NOT_ALLOWED - connection refused for user 'u': user connection limit (2) is reached",
                ErrorKind::Disconnected,
                true,
            ),
            (
                530,
                "NOT_ALLOWED - connection refused: node connection limit (2) is reached",
                ErrorKind::Disconnected,
                true,
            ),
            (
                530,
                "NOT_ALLOWED - number of channels opened for user 'u' has reached the maximum allowed user limit of (3)",
                ErrorKind::Refused,
                true,
            ),
            (
                530,
                "NOT_ALLOWED - number of channels opened on node 'n' has reached the maximum allowed limit of 3",
                ErrorKind::Refused,
                true,
            ),
            (530, "NOT_ALLOWED - vhost number of channels opened not found", ErrorKind::Config, false),
            (530, "NOT_ALLOWED - attempt to reuse consumer tag '1'", ErrorKind::Config, false),
            (
                406,
                "PRECONDITION_FAILED - queue 'queue 's' in vhost 'v'' does not have a replica on the local node",
                ErrorKind::Topology,
                true,
            ),
            (
                406,
                "PRECONDITION_FAILED - queue 's' in vhost 'v' does not have a running replica on the local node",
                ErrorKind::Topology,
                true,
            ),
            (541, "INTERNAL_ERROR", ErrorKind::Refused, true),
        ] {
            assert_eq!(kind_of(code, text), (kind, transient), "{code} {text}");
        }
    }
}
