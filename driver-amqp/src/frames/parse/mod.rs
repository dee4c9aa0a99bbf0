//! The parts of a frame: head, method, content header and their fields.

pub(crate) mod fields;
pub(crate) mod head;
pub(crate) mod header;
pub(crate) mod method;
pub(crate) mod repairs;
pub(crate) mod trim;
pub(crate) mod violation;
