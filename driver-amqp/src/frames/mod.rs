//! Reads the broker's frames before lapin does, and repairs or removes what lapin cannot parse.
//!
//! lapin parses each frame as a whole and closes the connection over the first
//! that it cannot parse; deep nesting overflows its stack.
//! So one message of a peer could end a process, and end it again after each restart.
//! [`FrameReader`] works on the bytes from the socket, before lapin sees them:
//!
//! * Body frames pass by their 7-byte head, unread.
//! * Method and header frames are parsed without recursion. Nothing of one is released before it was judged whole; its
//!   torn end waits here.
//! * Repairs keep the length of a frame: a byte that is not UTF-8 in a short string becomes `?`, a table or an array
//!   beyond [`DEPTH`](parse::fields::DEPTH) becomes an opaque byte array.
//! * A content header over the frame limit loses headers until it fits; one that cannot be parsed loses all properties,
//!   and the message is reported as undecodable. The message itself always passes.
//! * A returned message is taken out whole and reported by its id.
//! * What cannot be repaired is a [`Violation`]: it ends the connection with a reason.
//!
//! The reader is pure: bytes in, bytes and [`Report`]s out.
//! [`Framed`] puts it on a socket, and [`Notices`] carries the reports to the publishers and listeners.

#[cfg(any(test, fuzzing))]
pub(crate) mod check;
mod content;
mod notices;
mod parse;
mod reader;
mod report;
mod stream;
mod version;
pub(crate) mod write_unchanged;

pub(crate) use notices::Notices;
pub(crate) use parse::violation::Violation;
pub(crate) use report::Returned;
pub(crate) use stream::Framed;
pub(crate) use version::ServerVersion;

/// The largest frame that the driver requests, in bytes.
/// lapin allocates 64 times as much per connection.
pub(crate) const FRAME_MAX: u32 = 131_072;
/// The smallest frame limit of a broker that lapin supports, in bytes. A lower one ends the connection with `Config`.
const FRAME_MAX_LEAST: u32 = 8_192;

#[cfg(test)]
mod tests;
