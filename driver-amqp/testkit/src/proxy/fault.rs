//! What can happen to a connection.

use std::time::Duration;

/// Something that happens to connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Both ends see an orderly end.
    Cut,
    /// Both ends see a reset.
    Reset,
    /// Nothing is read any more, so that the socket of the sender fills up.
    Stall,
    /// Everything is read and nothing arrives, as behind a firewall that has forgotten the connection.
    BlackHole,
    /// Each piece arrives so much later.
    Delay(Duration),
    /// Each byte arrives by itself.
    Fragment,
}

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Orderly,
    Reset,
}

/// The conditions that last until they are healed. New connections meet them too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Conditions {
    pub(super) stalled: bool,
    pub(super) swallows: bool,
    pub(super) delay: Duration,
    /// How many bytes are written at once, at most.
    pub(super) piece: usize,
}

impl Fault {
    /// How it ends a connection, if that is what it does.
    pub(super) fn ending(self) -> Option<Ending> {
        match self {
            Self::Cut => Some(Ending::Orderly),
            Self::Reset => Some(Ending::Reset),
            Self::Stall | Self::BlackHole | Self::Delay(_) | Self::Fragment => None,
        }
    }
}

impl Conditions {
    pub(super) const NONE: Self = Self { stalled: false, swallows: false, delay: Duration::ZERO, piece: usize::MAX };

    /// Adds `fault`, if it is one that lasts.
    pub(super) fn add(&mut self, fault: Fault) {
        match fault {
            Fault::Cut | Fault::Reset => {}
            Fault::Stall => self.stalled = true,
            Fault::BlackHole => self.swallows = true,
            Fault::Delay(delay) => self.delay = delay,
            Fault::Fragment => self.piece = 1,
        }
    }
}
