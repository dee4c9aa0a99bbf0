//! Calls, casts and events of which everything is written down, and what must hold of them.

pub mod client;
pub mod count;
pub mod dice;
pub mod history;
pub mod journal;
pub mod lateness;
pub mod record;
pub mod rules;
pub mod servers;
pub mod tally;
