//! What the programs on lapin share: the messages, the queues, and clients and servers that differ in how much they make
//! sure of.

pub mod guarantees;
pub mod messages;
pub mod publisher;
pub mod replies;
pub mod server;
pub mod topology;
pub mod windowed;
pub mod work;
