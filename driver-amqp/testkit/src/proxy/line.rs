//! One connection through a relay: what went over it, and how it ends.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};

use super::fault::Ending;

/// How much of one direction is kept, so that no test fills the memory with what it sends.
pub(super) const KEPT: usize = 1024 * 1024;

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    ToBroker,
    FromBroker,
}

/// What went one way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tape {
    /// How many bytes were let through.
    pub passed: usize,
    /// The first MiB of what was sent: what was let through, and of the rest as much as was read.
    pub sent: Vec<u8>,
}

#[derive(Debug)]
pub(super) struct Line {
    /// Its place among the connections of its relay.
    pub(super) number: usize,
    /// How much of each direction is kept.
    kept: usize,
    tapes: [Mutex<Tape>; 2],
    /// Bytes for the client in the broker's name.
    forged: Mutex<Vec<u8>>,
    forging: Notify,
    ending: watch::Sender<Option<Ending>>,
}

impl Line {
    pub(super) fn new(number: usize, kept: usize) -> Self {
        Self {
            number,
            kept,
            tapes: Default::default(),
            forged: Mutex::default(),
            forging: Notify::new(),
            ending: watch::Sender::new(None),
        }
    }

    pub(super) fn tape(&self, direction: Direction) -> Tape {
        self.tape_of(direction).clone()
    }

    pub(super) fn passed(&self, direction: Direction) -> usize {
        self.tape_of(direction).passed
    }

    /// Notes that `bytes` were read at one end.
    pub(super) fn read(&self, direction: Direction, bytes: &[u8]) {
        let mut tape = self.tape_of(direction);
        let room = self.kept.saturating_sub(tape.sent.len()).min(bytes.len());
        tape.sent.extend_from_slice(&bytes[..room]);
    }

    /// Notes that `count` bytes are let through to the other.
    pub(super) fn pass(&self, direction: Direction, count: usize) {
        self.tape_of(direction).passed += count;
    }

    pub(super) fn forge(&self, bytes: &[u8]) {
        self.forged.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        self.forging.notify_one();
    }

    /// The forged bytes of `direction`, once there are some.
    pub(super) async fn forgery(&self, direction: Direction) -> Vec<u8> {
        match direction {
            Direction::ToBroker => std::future::pending().await,
            Direction::FromBroker => {
                self.forging.notified().await;
                std::mem::take(&mut *self.forged.lock().unwrap_or_else(PoisonError::into_inner))
            }
        }
    }

    /// Has the connection end; the first ending counts.
    pub(super) fn end(&self, ending: Ending) {
        self.ending.send_if_modified(|now| {
            let first = now.is_none();
            now.get_or_insert(ending);
            first
        });
    }

    pub(super) fn ending(&self) -> watch::Receiver<Option<Ending>> {
        self.ending.subscribe()
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ending.borrow().is_some()
    }

    fn tape_of(&self, direction: Direction) -> MutexGuard<'_, Tape> {
        self.tapes[direction as usize].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ToBroker => "to the broker",
            Self::FromBroker => "from the broker",
        })
    }
}
