//! Ids inside one broker, and maps keyed by them.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Identifies a queue, a channel, a connection or a delivery. Ids are never reused, so a stale one finds nothing.
pub(crate) type Id = u64;

/// One consumer of one queue. A channel may have several, each of another queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ConsumerId {
    /// The channel of the consumer, whose end ends it.
    pub(crate) channel: Id,
    /// Its index among the consumers of the channel.
    pub(crate) index: usize,
}

/// A map keyed by [`Id`]. Ids count up and no peer chooses them, so they need no keyed hash.
///
/// The order of iteration is arbitrary: operations for which it matters sort the ids first.
pub(crate) type IdMap<T> = HashMap<Id, T, BuildHasherDefault<IdHasher>>;

/// Spreads consecutive numbers over the whole word (Fibonacci hashing).
#[derive(Debug, Default)]
pub(crate) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u64(&mut self, id: u64) {
        self.0 = (self.0 ^ id).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}
