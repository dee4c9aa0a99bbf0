//! Publishing: from a message to the broker's confirm.

pub(crate) mod channel_closed;
pub(crate) mod channel_renewal;
pub(crate) mod confirm;
pub(crate) mod destinations;
pub(crate) mod job;
pub(crate) mod pending_declaration;
pub(crate) mod publisher;
pub(crate) mod resend;
pub(crate) mod unconfirmed;
