//! Recognises a peer that is not a broker.
//!
//! A load balancer, a web server or a TLS port at the configured address is a usual mistake,
//! and lapin reports all of them as bytes that cannot be parsed.

mod greeting;
mod identity;

pub(crate) use greeting::Greeting;

use std::sync::{Arc, OnceLock};

use oslo_messaging::{Error, ErrorKind, Executed};

use identity::ForeignPeer;

/// What the first bytes of a connection show about the peer.
/// Clones share it, so the stream and the connect see the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Peer(Arc<PeerState>);

/// Set at most once, by the stream, and read by the task that connects.
#[derive(Debug, Default)]
struct PeerState {
    /// Empty for a broker, and until the peer is known.
    foreign: OnceLock<ForeignPeer>,
}

impl Peer {
    /// The error of a connection that ended: what the peer is, if it is not a broker; otherwise `error`.
    /// It is transient for any peer but a TLS port, which stays one until an operator changes the URL.
    pub(crate) fn explain(&self, error: Error) -> Error {
        let Some(foreign) = self.0.foreign.get() else { return error };
        let (kind, reason) = (foreign.kind(), foreign.to_string());
        let explained = Error::new(kind, error.operation()).with_executed(Executed::No).with_context("reason", reason);
        // Retried as soon as after a plain close.
        if kind == ErrorKind::Disconnected { explained.transient() } else { explained }
    }
}
