//! What answers a call: its result, its failure, or that it still runs.
//!
//! The keys are `result`, `failure`, `ending`, `_msg_id` and `_unique_id`. Old servers send the result and the end in
//! two messages; a heartbeat is a reply without a result and with `ending` false.

use bytes::Bytes;

use super::envelope::Envelope;
use super::fields::{Fields, required, tolerant_text};
use super::{envelope, failure, fields};
use crate::driver::Message;
use crate::{Failure, Payload, RemoteError, Result};

/// One answer to a call (oslo.messaging 18.3.1, `_drivers/amqpdriver.py:AMQPIncomingMessage._send_reply`).
///
/// A call may be answered in two messages: the result with `ending` false, then a null result with `ending` true. The
/// outcome is the last result that is not null.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Reply {
    /// The call that is answered, by the id it came with.
    pub msg_id: String,
    /// The `_unique_id`, by which a receiver recognises repeated deliveries
    /// of the message. Empty if the sender wrote none.
    pub unique_id: String,
    /// What the method returned; `null` if it failed or still runs.
    pub result: Payload,
    /// How the method failed; `None` if it returned or still runs.
    pub failure: Option<RemoteError>,
    /// Whether no further reply follows.
    pub ending: bool,
}

impl Reply {
    /// The result of a call, and its only reply.
    #[must_use]
    pub fn result(msg_id: impl Into<String>, unique_id: impl Into<String>, result: Payload) -> Self {
        Self { msg_id: msg_id.into(), unique_id: unique_id.into(), result, failure: None, ending: true }
    }

    /// The failure of a call, and its only reply.
    #[must_use]
    pub fn failure(msg_id: impl Into<String>, unique_id: impl Into<String>, failure: &Failure) -> Self {
        Self { failure: Some(failure.clone().into()), ..Self::result(msg_id, unique_id, Payload::null()) }
    }

    /// Says that a monitored call still runs.
    #[must_use]
    pub fn heartbeat(msg_id: impl Into<String>, unique_id: impl Into<String>) -> Self {
        Self { ending: false, ..Self::result(msg_id, unique_id, Payload::null()) }
    }

    /// Sets whether no further reply follows. Only the last reply ends the wait of the caller.
    #[must_use]
    pub fn with_ending(mut self, ending: bool) -> Self {
        self.ending = ending;
        self
    }

    /// Sets how the method failed; the result should then be `null`.
    #[must_use]
    pub fn with_failure(mut self, failure: Option<RemoteError>) -> Self {
        self.failure = failure;
        self
    }

    /// Whether it says nothing but that the call still runs.
    #[must_use]
    pub fn is_heartbeat(&self) -> bool {
        !self.ending && self.result.is_null() && self.failure.is_none()
    }

    /// Writes the body of a message. The fields come in the order of the reference.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let failure = self.failure.as_ref().map_or(0, failure::length);
        envelope::seal(200 + self.result.as_str().len() + failure, |out| {
            out.json("result", &self.result);
            match &self.failure {
                Some(failure) => out.nested("failure", |out| failure::write(out, failure)),
                None => out.plain("failure", format_args!("null")),
            }
            out.plain("ending", format_args!("{}", self.ending));
            out.text("_msg_id", &self.msg_id);
            if !self.unique_id.is_empty() {
                out.text("_unique_id", &self.unique_id);
            }
        })
    }

    /// Reads a message, in either format and compressed or not. Unknown fields are ignored;
    /// of a repeated one the last counts.
    ///
    /// A failure is read from whatever is in its place, so that none is taken for a result.
    ///
    /// # Errors
    /// [`Decode`](crate::ErrorKind::Decode) if it is not a reply, otherwise as [`Envelope::open`].
    pub fn decode(message: &Message) -> Result<Self> {
        Envelope::open(message)?.read("decode reply", read)
    }

    /// As [`decode`](Self::decode), of a body that is decompressed.
    pub(crate) fn of_body(body: &Bytes) -> Result<Self> {
        Envelope::of_body(body)?.read("decode reply", read)
    }
}

/// Errors: a `_msg_id` that is missing or is not text. Everything else has a default.
fn read(buffer: &Bytes, Fields(fields): Fields<'_>) -> serde_json::Result<Reply> {
    // A reply without `ending` is not the last one: waiting on is safer than a wrong result.
    let mut reply = Reply::heartbeat("", "");
    let mut msg_id = None;
    for (name, value) in fields {
        match name.as_ref() {
            "result" => reply.result = Payload::slice(buffer, value),
            "failure" => reply.failure = failure::read(&Payload::slice(buffer, value)),
            "ending" => reply.ending = value.get() == "true",
            "_msg_id" => msg_id = Some(fields::text(value)?),
            "_unique_id" => reply.unique_id = tolerant_text(value).unwrap_or_default(),
            _ => {}
        }
    }
    reply.msg_id = required("_msg_id", msg_id)?;
    Ok(reply)
}
