//! Recognises a peer that is not a broker.

mod greeting;
mod identity;

pub(crate) use greeting::Greeting;

use std::sync::{Arc, OnceLock};

use oslo_messaging::{Error, ErrorKind, Executed};

use identity::ForeignPeer;

/// What the first bytes of a connection said about the peer. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Peer(Arc<PeerState>);

#[derive(Debug, Default)]
struct PeerState {
    foreign: OnceLock<ForeignPeer>,
}

impl Peer {
    /// The error of a connection that ended: what the peer is, if it is not a broker; otherwise `error`.
    pub(crate) fn explain(&self, error: Error) -> Error {
        let Some(foreign) = self.0.foreign.get() else { return error };
        let (kind, reason) = (foreign.kind(), foreign.to_string());
        let explained = Error::new(kind, error.operation()).with_executed(Executed::No).with_context("reason", reason);
        // Retried as soon as after a plain close.
        if kind == ErrorKind::Disconnected { explained.transient() } else { explained }
    }
}
