//! The parts of a frame: head, method, content header and their fields.
//!
//! Everything here works on bytes in memory and is free of recursion, because the bytes come from any publisher.
//! Lengths are checked before they are used.

pub(crate) mod fields;
pub(crate) mod head;
pub(crate) mod header;
pub(crate) mod method;
pub(crate) mod repairs;
pub(crate) mod trim;
pub(crate) mod violation;
