//! What the live tests need on a machine, installed if it is missing.

pub mod install;
pub mod python;
