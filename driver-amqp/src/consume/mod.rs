//! Consuming: the channel of a subscription, its consumers, and acknowledgements.

pub(crate) mod ack_frames;
pub(crate) mod consumer_channel;
pub(crate) mod consumer_plan;
pub(crate) mod delivery_order;
pub(crate) mod queue_role;
pub(crate) mod session;
pub(crate) mod settler;
pub(crate) mod subscription_opener;
