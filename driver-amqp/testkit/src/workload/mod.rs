//! Calls, casts and events of which everything is recorded, and what must hold of them.
//!
//! A [`client`] and the [`servers`] write [`record`]s to a [`journal`]; a [`history`] is made of them, and [`rules`] are
//! checked on it. The sweep of cuts and the cluster play a [`script`], the soak a mix of operations at a pace.

pub mod client;
pub mod count;
pub mod dice;
pub mod history;
pub mod journal;
pub mod lateness;
pub mod queues;
pub mod record;
pub mod rules;
pub mod script;
pub mod servers;
pub mod tally;
