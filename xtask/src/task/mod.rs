//! One module for each subcommand.

pub(crate) mod api;
pub(crate) mod bench;
pub(crate) mod conformance;
pub(crate) mod fuzz;
pub(crate) mod lint;
pub(crate) mod matrix;
pub(crate) mod report;
pub(crate) mod serve;
pub(crate) mod soak;
pub(crate) mod test;
mod workspace;
