//! Notifications: events with a priority, published by anyone, kept until somebody reads them.

mod pattern;
mod priority;

pub use pattern::Pattern;
pub use priority::Priority;
