//! Notifications: events with a priority, published by anyone, kept until somebody reads them.

mod dead_letter;
mod dead_letter_writer;
mod dead_letters;
mod endpoint;
mod event;
mod filter;
mod hand;
mod intake;
mod later;
mod listener;
mod outcome;
mod pattern;
mod policy;
mod priority;
mod reader;
mod requeues;
mod run;
mod unit;

pub use dead_letter::{DeadLetterInfo, DeadReason};
pub use dead_letters::{DeadLetter, DeadLetters};
pub use endpoint::NotificationEndpoint;
pub use event::Event;
pub use filter::NotificationFilter;
pub use listener::{NotificationListener, NotificationListenerBuilder};
pub use outcome::NotificationResult;
pub use pattern::Pattern;
pub use policy::{FailurePolicy, GiveUp};
pub use priority::Priority;
