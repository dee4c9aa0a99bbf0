//! AMQP 0-9-1 by hand, for what no client library would write.

pub mod frame;
pub mod publisher;
