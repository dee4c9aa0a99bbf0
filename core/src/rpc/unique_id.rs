//! The ids that tell a message from its repetitions.

use uuid::Uuid;

/// The `_unique_id` of a message of ours.
pub(super) fn fresh_unique_id() -> String {
    Uuid::new_v4().simple().to_string()
}
