//! Priorities in JSON: their lower-case names.

use oslo_messaging::Priority;
use serde::de::Error as _;
use serde::{Deserialize as _, Deserializer, Serializer};

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
pub(super) fn serialize<S: Serializer>(priority: &Priority, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(priority.as_str())
}

/// Fails if the text is not the name of a priority.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Priority, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}

/// The same for fields with several priorities, as a list of names.
pub(super) mod list {
    use super::{Deserializer, Priority, Serializer};
    use serde::de::Error as _;
    use serde::{Deserialize as _, Serialize as _};

    pub(in crate::programs::notify) fn serialize<S: Serializer>(
        priorities: &[Priority],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        priorities.iter().map(|priority| priority.as_str()).collect::<Vec<_>>().serialize(serializer)
    }

    pub(in crate::programs::notify) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<Priority>, D::Error> {
        let names = Vec::<String>::deserialize(deserializer)?;
        names.iter().map(|name| name.parse().map_err(D::Error::custom)).collect()
    }
}
