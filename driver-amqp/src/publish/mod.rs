//! Publishing: from a message to the broker's confirm.
//!
//! The parts, in the order in which a message passes them: `destinations` declares what it needs, `job` carries it to
//! its `publisher`, `confirm` sends it, and `unconfirmed` holds it until its outcome. `channel_closed` and `resend`
//! decide what happens when the channel ends first.

pub(crate) mod channel_closed;
pub(crate) mod channel_renewal;
pub(crate) mod confirm;
pub(crate) mod destinations;
pub(crate) mod job;
pub(crate) mod pending_declaration;
pub(crate) mod publisher;
pub(crate) mod resend;
pub(crate) mod unconfirmed;
