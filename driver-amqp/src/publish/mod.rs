//! Publishing: from a message to the broker's confirm.
//!
//! The parts, in the order in which a message passes them: `checked_publish` refuses what cannot be sent,
//! `destinations` declares what it needs, `job` carries it to its `publisher`, which notes it in `unconfirmed` until its outcome, and `confirm` sends it and awaits the confirm.
//! If the channel ends first, the publisher collects what became of each (`Publisher::clear_up`),
//! and `disposition` and `resend` decide which are sent again.

pub(crate) mod channel_renewal;
pub(crate) mod checked_publish;
pub(crate) mod confirm;
pub(crate) mod destinations;
pub(crate) mod disposition;
pub(crate) mod job;
pub(crate) mod pending_declaration;
pub(crate) mod publisher;
pub(crate) mod resend;
pub(crate) mod unconfirmed;
