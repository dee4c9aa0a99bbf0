//! What travels, as Python's `oslo.messaging` 18.3.1 writes and reads it; for tools and tests.
//!
//! A body is JSON text. Its envelope holds the content, a JSON object, as text in a string, and a failure inside a
//! reply is text in a string once more. Each level is unescaped once; [`Payload`](crate::Payload)s are slices of that.

pub mod compression;
mod envelope;
mod failure;
pub(crate) mod fields;
mod notification;
mod reply;
mod request;
mod request_parts;
mod scan;
mod unescape;
mod writer;

use bytes::Bytes;

use crate::driver::Message;

pub use compression::Compression;
pub use envelope::{Envelope, Format};
pub use notification::Notification;
pub use reply::Reply;
pub use request::{CallFields, Request};
pub(crate) use request_parts::{CallParts, RequestParts};

/// What the name of a context's value begins with (oslo.messaging `_drivers/amqp.py:pack_context`).
const CONTEXT_PREFIX: &str = "_context_";

/// A message of `body`, compressed if asked for (the option `kombu_compression` of the reference) and then marked so.
#[must_use]
pub fn message(body: Bytes, compression: Option<Compression>) -> Message {
    match compression {
        None => Message::new(body),
        Some(compression) => {
            Message::new(compression.compress(&body)).with_header(compression::HEADER, compression.content_type())
        }
    }
}
