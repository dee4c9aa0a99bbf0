//! lapin's errors in our words: the one place where they are translated.

use std::error::Error as StdError;

use lapin::ErrorKind as Lapin;
use oslo_messaging::{Error, ErrorKind, Executed};
use tokio_rustls::rustls;

use crate::frames::Violation;
use crate::tls;

/// What lapin's `error` means for `operation`. Nothing is said of the execution: the caller knows what was sent.
pub(crate) fn translate(operation: &'static str, error: &lapin::Error) -> Error {
    // A certificate of ours that the broker does not take is told only when the handshake is over.
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
        // The runtime that drives the connection is gone, or the peer does not speak AMQP 0-9-1: waiting does not help.
        _ => (ErrorKind::Disconnected, false),
    };
    let translated = Error::new(kind, operation).with_source(error.clone());
    if transient { translated.transient() } else { translated }
}

/// The error of a publish or a delivery whose fate is not known.
pub(crate) fn unknown(operation: &'static str, error: &lapin::Error) -> Error {
    translate(operation, error).with_executed(Executed::Maybe)
}

/// What it means that the broker sent what cannot be passed on. A setting of its own has to be changed by an operator; the
/// rest, waiting does not mend either.
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

/// What a reply code of the broker means, and whether trying again may help (AMQP 0-9-1 and RabbitMQ's own use of it).
fn kind_of(code: u16, text: &str) -> (ErrorKind, bool) {
    match code {
        311 => (ErrorKind::TooLarge, false),
        // RabbitMQ reports a body over its limit as a failed precondition.
        406 if text.contains("larger than") => (ErrorKind::TooLarge, false),
        403 => (ErrorKind::Denied, false),
        // A virtual host that is there, but not for this user.
        530 if text.contains("refused for user") => (ErrorKind::Denied, false),
        402 | 530 => (ErrorKind::Config, false),
        404..=406 => (ErrorKind::Topology, false),
        312 | 313 => (ErrorKind::Undeliverable, false),
        506 | 541 => (ErrorKind::Refused, true),
        // 320 when an operator closes the connection; 501 to 505 when we broke the protocol.
        _ => (ErrorKind::Disconnected, true),
    }
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
            (541, "INTERNAL_ERROR", ErrorKind::Refused, true),
        ] {
            assert_eq!(kind_of(code, text), (kind, transient), "{code} {text}");
        }
    }
}
