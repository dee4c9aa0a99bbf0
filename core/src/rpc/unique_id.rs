//! The ids by which receivers recognise repeated deliveries.

use uuid::Uuid;
use uuid::fmt::Simple;

/// The `_unique_id` of a message of ours: 32 hexadecimal digits, kept without an allocation.
#[derive(Debug, Clone, Copy)]
pub(super) struct UniqueId([u8; Simple::LENGTH]);

impl UniqueId {
    /// A random id; unique across processes.
    pub(super) fn fresh() -> Self {
        let mut digits = [0; Simple::LENGTH];
        Uuid::new_v4().simple().encode_lower(&mut digits);
        Self(digits)
    }

    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("digits are ASCII")
    }
}

/// The `_unique_id` of a message of ours, as text of its own.
pub(super) fn fresh_unique_id() -> String {
    UniqueId::fresh().as_str().to_owned()
}
