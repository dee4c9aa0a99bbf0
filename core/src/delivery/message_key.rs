//! Ids of messages in 16 bytes.
//!
//! Ids come from the network and may be long or chosen by an attacker, so they are stored as a keyed 128-bit hash:
//! constant memory, and no chosen collisions.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::LazyLock;

use uuid::Uuid;

use crate::driver::Message;

/// A `_unique_id`, remembered as a 128-bit hash under a random key of this process: 16 bytes, however long the id is.
///
/// The key is what keeps a stranger from choosing an id that collides with another message's id, which would make that
/// message look like a duplicate. Keys of two processes cannot be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct MessageKey(u128);

/// Two keyed hashes of 64 bits. The salts set the two apart: `RandomState`s of one thread have related keys.
static HALVES: LazyLock<[(RandomState, u128); 2]> =
    LazyLock::new(|| [(); 2].map(|()| (RandomState::new(), Uuid::new_v4().as_u128())));

impl MessageKey {
    /// The key of `id`; `None` for an empty one, which identifies no message.
    pub(crate) fn of(id: &str) -> Option<Self> {
        (!id.is_empty()).then(|| Self::hashed(&[id.as_bytes()]))
    }

    /// The key of a message without an id: of its queue, its broker's id and its body.
    pub(crate) fn of_content(message: &Message) -> Self {
        let queue = message.queue.as_deref().unwrap_or_default();
        Self::hashed(&[queue.as_bytes(), message.id.as_bytes(), &message.body])
    }

    /// Hashes the number of parts and each part with its length,
    /// so that no two lists of parts run into the same bytes.
    fn hashed(parts: &[&[u8]]) -> Self {
        let half = |(state, salt): &(RandomState, u128)| {
            let mut hasher = state.build_hasher();
            // First, so that the two halves differ from the start.
            hasher.write_u128(*salt);
            hasher.write_usize(parts.len());
            for part in parts {
                hasher.write_usize(part.len());
                hasher.write(part);
            }
            hasher.finish()
        };
        let [high, low] = &*HALVES;
        Self(u128::from(half(high)) << 64 | u128::from(half(low)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_key_takes_sixteen_bytes_and_no_memory_beside_them() {
        fn needs_no_memory_of_its_own<T: Copy>() {}
        needs_no_memory_of_its_own::<MessageKey>();
        assert_eq!(size_of::<MessageKey>(), 16);
    }

    #[test]
    fn equal_ids_have_equal_keys_and_others_do_not() {
        assert_eq!(MessageKey::of("a"), MessageKey::of("a"));
        assert_eq!(MessageKey::of(""), None);
        let ids = (0..10_000).map(|id: u32| id.to_string());
        let keys: HashSet<u128> = ids.filter_map(|id| MessageKey::of(&id)).map(|key| key.0).collect();
        assert_eq!(keys.len(), 10_000);
        let (high, low): (HashSet<_>, HashSet<_>) =
            keys.iter().map(|key| (key >> 64, key & u128::from(u64::MAX))).unzip();
        assert_eq!((high.len(), low.len()), (10_000, 10_000), "each half distinguishes ids on its own");
    }
}
