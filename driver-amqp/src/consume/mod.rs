//! Consuming: the channel of a subscription, its consumers, and acknowledgements.
//!
//! `subscription_opener` opens a `session` on a link.
//! The session reads deliveries and restores their order, and its `settler` writes the decisions of receivers.
//! A session ends with its channel; the opener outlives it.

pub(crate) mod ack_frames;
pub(crate) mod consumer_channel;
pub(crate) mod consumer_plan;
pub(crate) mod delivery_order;
pub(crate) mod queue_role;
pub(crate) mod session;
pub(crate) mod settler;
pub(crate) mod subscription_opener;
