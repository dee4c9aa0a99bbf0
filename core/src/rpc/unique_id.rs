//! The ids by which receivers recognise repeated deliveries.

use uuid::Uuid;

/// The `_unique_id` of a message of ours.
pub(super) fn fresh_unique_id() -> String {
    Uuid::new_v4().simple().to_string()
}
