//! Events that were given up, and the queues that keep them.

pub(crate) mod info;
pub(super) mod letters;
pub(crate) mod queue;
pub(crate) mod writer;
