//! Identifies a peer by its first bytes. Pure.

use std::fmt;

use oslo_messaging::ErrorKind;

/// The first byte of a broker: connection.start is a method frame.
/// No other protocol that is found at such ports begins with it.
const METHOD: u8 = 1;
/// The first byte of a TLS alert, with which a TLS port answers plain bytes.
const ALERT: u8 = 0x15;
/// The length of `AMQP`, a protocol id and a version.
const PROTOCOL_HEADER: usize = 8;
/// How many bytes of a first line are read at most.
/// A longer line, from a web server or a shell, is cut off in the error.
pub(super) const ENOUGH: usize = 96;

/// What the first bytes say about the peer: a broker, something else, or too little.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Identity {
    /// A broker with AMQP 0-9-1, according to its first byte.
    Broker,
    /// Not a broker for this driver; the connection ends with what the peer is.
    ForeignPeer(ForeignPeer),
    /// More bytes are needed. The caller must read on, and ask again with all bytes so far.
    Incomplete,
}

/// What a peer is that does not speak AMQP 0-9-1, for the reason of the error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ForeignPeer {
    /// A load balancer or web server, with its status line.
    /// Typical for a load balancer without a living backend.
    Http(String),
    /// Another version of AMQP, as the peer's protocol header has it.
    OtherAmqp(String),
    /// A port that expects TLS. It answered our plain protocol header with an alert.
    Tls,
    /// Anything else, with its first bytes.
    Unknown(String),
}

impl ForeignPeer {
    /// The kind of the error. A load balancer without backends may soon have a broker again,
    /// so that is retried; a TLS port is a configuration error.
    pub(super) fn kind(&self) -> ErrorKind {
        match self {
            Self::Http(_) | Self::OtherAmqp(_) | Self::Unknown(_) => ErrorKind::Disconnected,
            Self::Tls => ErrorKind::Config,
        }
    }
}

impl fmt::Display for ForeignPeer {
    /// The reason of the connect's error, with the correction where there is one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(line) => write!(f, "the peer answered HTTP: {line}"),
            Self::OtherAmqp(version) => write!(f, "the peer speaks AMQP {version}, and not 0-9-1"),
            Self::Tls => f.write_str("the peer speaks TLS at this port; write amqps:// or the option ssl=true"),
            Self::Unknown(start) => write!(f, "the peer does not speak AMQP; it began with \"{start}\""),
        }
    }
}

/// Identifies the peer from its first `bytes`. `ended` means that no more follow.
/// A TLS alert has the major version 3 in its second byte.
pub(super) fn identify(bytes: &[u8], ended: bool) -> Identity {
    let complete = ended || bytes.len() >= ENOUGH;
    match bytes {
        [] => Identity::Incomplete,
        [METHOD, ..] => Identity::Broker,
        [ALERT, 3, ..] => Identity::ForeignPeer(ForeignPeer::Tls),
        _ if b"AMQP".starts_with(&bytes[..bytes.len().min(4)]) => {
            if let Some(&[kind, major, minor, revision]) = bytes.get(4..PROTOCOL_HEADER) {
                return Identity::ForeignPeer(ForeignPeer::OtherAmqp(version([kind, major, minor, revision])));
            }
            if complete { unknown(bytes) } else { Identity::Incomplete }
        }
        _ if complete || bytes.contains(&b'\n') => {
            if bytes.starts_with(b"HTTP/") {
                Identity::ForeignPeer(ForeignPeer::Http(line(bytes)))
            } else {
                unknown(bytes)
            }
        }
        // An HTTP status takes a whole line; for anything else a few bytes suffice.
        _ if b"HTTP/".starts_with(&bytes[..bytes.len().min(5)]) => Identity::Incomplete,
        _ if bytes.len() >= PROTOCOL_HEADER => unknown(bytes),
        _ => Identity::Incomplete,
    }
}

/// The first line, so that an operator recognises the service.
fn unknown(bytes: &[u8]) -> Identity {
    Identity::ForeignPeer(ForeignPeer::Unknown(line(bytes)))
}

/// The version in a protocol header. Only 1.0 has a protocol id before it.
/// AMQP 1.0 announces itself with the id 0, or with 3 if it wants SASL.
fn version(header: [u8; 4]) -> String {
    match header {
        [_, 1, 0, 0] => "1.0".to_owned(),
        [_, major, minor, revision] => format!("{major}-{minor}-{revision}"),
    }
}

/// The first line, escaped and cut to [`ENOUGH`] bytes.
/// Control characters of a peer therefore do not reach the log.
fn line(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n')).unwrap_or(bytes.len());
    bytes[..end.min(ENOUGH)].escape_ascii().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identified(bytes: &[u8]) -> String {
        match identify(bytes, false) {
            Identity::ForeignPeer(foreign) => foreign.to_string(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn every_peer_is_called_what_it_is() {
        for (bytes, expected) in [
            (
                &b"HTTP/1.1 503 Service Unavailable\r\nContent-"[..],
                "the peer answered HTTP: HTTP/1.1 503 Service Unavailable",
            ),
            (b"AMQP\x00\x01\x00\x00", "the peer speaks AMQP 1.0, and not 0-9-1"),
            (b"AMQP\x03\x01\x00\x00", "the peer speaks AMQP 1.0, and not 0-9-1"),
            (b"AMQP\x00\x00\x0a\x00", "the peer speaks AMQP 0-10-0, and not 0-9-1"),
            (b"\x15\x03\x03\x00\x02\x02F", "the peer speaks TLS at this port; write amqps:// or the option ssl=true"),
            (b"SSH-2.0-Open\x1bSSH\r\n", "the peer does not speak AMQP; it began with \"SSH-2.0-Open\\x1bSSH\""),
            (b"\x01\x00\x00", "Broker"),
            (b"", "Incomplete"),
            (b"HTTP/1.1 503", "Incomplete"),
            (b"AMQP\x00\x01", "Incomplete"),
        ] {
            assert_eq!(identified(bytes), expected, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn the_end_and_a_long_line_are_enough_to_judge() {
        for bytes in [&b"HTTP/1.1 503"[..], b"AMQP", b"x"] {
            assert!(matches!(identify(bytes, true), Identity::ForeignPeer(_)), "{}", bytes.escape_ascii());
        }
        let long = [b"HTTP/1.1 503 ".as_slice(), &[b'x'; 4096]].concat();
        let Identity::ForeignPeer(foreign) = identify(&long, false) else { panic!("a foreign") };
        assert!(foreign.to_string().len() < 2 * ENOUGH, "{foreign}");
    }
}
