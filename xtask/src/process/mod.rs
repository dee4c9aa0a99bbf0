//! Other programs, and the signals that end this one.

pub mod command;
pub mod interrupt;
