//! What asks for a method: a call or a cast.
//!
//! The keys are those of the reference: `method`, `args`, `namespace` and `version` for the method, `_msg_id`,
//! `_reply_q` and `_timeout` of a call, `_unique_id`, and `_context_*` for each value of the context. `_deadline` is
//! an addition that Python peers ignore.

use bytes::Bytes;
use serde_json::value::RawValue;

use super::envelope::Envelope;
use super::fields::{Fields, last_wins, optional_text, required, tolerant, tolerant_text};
use super::request_parts::{CallParts, RequestParts, seconds};
use super::{CONTEXT_PREFIX, fields};
use crate::driver::Message;
use crate::{Payload, Result};

/// A request for a method (oslo.messaging 18.3.1, `rpc/client.py:_make_message`, `_drivers/amqpdriver.py:_send`).
///
/// Nothing in it is checked against a server: any method, namespace and version can be written.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Request {
    /// The name of the method, which the server looks up.
    pub method: String,
    /// Its arguments by name: an object, unless a foreign caller wrote something else.
    pub args: Payload,
    /// The namespace; not written if there is none.
    pub namespace: Option<String>,
    /// The version the method is asked in; not written if there is none.
    pub version: Option<String>,
    /// Where the reply goes. A cast has none.
    pub call: Option<CallFields>,
    /// The `_unique_id`, by which a receiver recognises repeated deliveries
    /// of the message. Empty if the sender wrote none.
    pub unique_id: String,
    /// When the caller stops waiting, in milliseconds of Unix time. Ours: the reference neither writes nor reads it.
    pub deadline: Option<u64>,
    /// The context by name, in order, without repetitions.
    pub context: Vec<(String, Payload)>,
}

/// What a call has and a cast has not.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct CallFields {
    /// The `_msg_id`, by which replies are matched to the call.
    pub msg_id: String,
    /// The queue that the reply goes to; the caller has made it and reads it.
    pub reply_q: String,
    /// If monitored, the seconds within which the caller wants a heartbeat. Positive and finite; anything else that a
    /// caller writes counts as not monitored. On the wire it is `_timeout`, though it is not the timeout of the call.
    pub monitor: Option<f64>,
}

impl Request {
    /// A cast of `method` with nothing optional, not even an id.
    #[must_use]
    pub fn new(method: impl Into<String>, args: Payload) -> Self {
        Self {
            method: method.into(),
            args,
            namespace: None,
            version: None,
            call: None,
            unique_id: String::new(),
            deadline: None,
            context: Vec::new(),
        }
    }

    /// Replaces the arguments; they should be an object, as callers of Python write it.
    #[must_use]
    pub fn with_args(mut self, args: Payload) -> Self {
        self.args = args;
        self
    }

    /// Sets the namespace; `None` writes no key.
    #[must_use]
    pub fn with_namespace(mut self, namespace: Option<String>) -> Self {
        self.namespace = namespace;
        self
    }

    /// Sets the version; `None` writes no key, which servers read as 1.0.
    #[must_use]
    pub fn with_version(mut self, version: Option<String>) -> Self {
        self.version = version;
        self
    }

    /// Makes it a call, or with `None` a cast.
    #[must_use]
    pub fn with_call(mut self, call: Option<CallFields>) -> Self {
        self.call = call;
        self
    }

    /// Sets the `_unique_id`, by which a receiver recognises a repeated delivery.
    ///
    /// Empty means none.
    #[must_use]
    pub fn with_unique_id(mut self, unique_id: impl Into<String>) -> Self {
        self.unique_id = unique_id.into();
        self
    }

    /// Sets when the caller stops waiting, in milliseconds of Unix time.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Option<u64>) -> Self {
        self.deadline = deadline;
        self
    }

    /// Sets the context by name; of a repeated name a reader takes the last value.
    #[must_use]
    pub fn with_context(mut self, context: Vec<(String, Payload)>) -> Self {
        self.context = context;
        self
    }

    /// Writes the body of a message. The fields come in the order of the reference.
    ///
    /// `_timeout` is written for each call, as `null` if it is not monitored, which is what the reference does.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let call = self.call.as_ref();
        let call = call.map(|call| CallParts { msg_id: &call.msg_id, reply_q: &call.reply_q, monitor: call.monitor });
        RequestParts {
            method: &self.method,
            args: &self.args,
            namespace: self.namespace.as_deref(),
            version: self.version.as_deref(),
            call,
            unique_id: &self.unique_id,
            deadline: self.deadline,
            context: self.context.iter().map(|(name, value)| (name.as_str(), value)),
        }
        .encode()
    }

    /// Reads a message, in either format and compressed or not. Unknown fields are ignored;
    /// of a repeated one the last counts.
    ///
    /// A request without a reply queue or a message id is a cast, since it cannot be answered. An optional field
    /// (`_timeout`, `_deadline`, `_unique_id`) counts as missing if it has the wrong type.
    ///
    /// # Errors
    /// [`Decode`](crate::ErrorKind::Decode) if it is not a request, otherwise as [`Envelope::open`].
    pub fn decode(message: &Message) -> Result<Self> {
        Envelope::open(message)?.read("decode request", read)
    }

    /// As [`decode`](Self::decode), of a body that is decompressed.
    pub(crate) fn of_body(body: &Bytes) -> Result<Self> {
        Envelope::of_body(body)?.read("decode request", read)
    }
}

impl CallFields {
    /// A call that asks for no heartbeats: `_timeout` is written as `null`.
    #[must_use]
    pub fn new(msg_id: impl Into<String>, reply_q: impl Into<String>) -> Self {
        Self { msg_id: msg_id.into(), reply_q: reply_q.into(), monitor: None }
    }

    /// Asks for a heartbeat within so many seconds; `None` for none.
    #[must_use]
    pub fn with_monitor(mut self, monitor: Option<f64>) -> Self {
        self.monitor = monitor;
        self
    }
}

/// Errors: a missing or wrong `method`, or a `namespace` or `version` that is neither text nor `null`.
fn read(buffer: &Bytes, Fields(fields): Fields<'_>) -> serde_json::Result<Request> {
    let mut request = Request::new("", Payload::empty_object());
    let (mut method, mut msg_id, mut reply_q, mut monitor) = (None, None, None, None);
    for (name, value) in fields {
        match name.as_ref() {
            "method" => method = Some(fields::text(value)?),
            "args" => request.args = args(buffer, value),
            "namespace" => request.namespace = optional_text(value)?,
            "version" => request.version = optional_text(value)?,
            "_msg_id" => msg_id = tolerant_text(value),
            "_reply_q" => reply_q = tolerant_text(value),
            // The parser of the standard library, because that of `serde_json` may be off by one bit.
            "_timeout" => monitor = value.get().parse().ok(),
            "_unique_id" => request.unique_id = tolerant_text(value).unwrap_or_default(),
            "_deadline" => request.deadline = tolerant(value),
            name => {
                if let Some(name) = name.strip_prefix(CONTEXT_PREFIX) {
                    request.context.push((name.to_owned(), Payload::slice(buffer, value)));
                }
            }
        }
    }
    request.method = required("method", method)?;
    request.context = last_wins(request.context);
    request.call = match (msg_id, reply_q) {
        // Without either one a reply could not be sent, so the request is a cast.
        (Some(msg_id), Some(reply_q)) if !msg_id.is_empty() && !reply_q.is_empty() => {
            Some(CallFields { msg_id, reply_q, monitor: monitor.and_then(seconds) })
        }
        _ => None,
    };
    Ok(request)
}

/// The arguments; `null` counts as none.
fn args(buffer: &Bytes, value: &RawValue) -> Payload {
    Some(Payload::slice(buffer, value)).filter(|args| !args.is_null()).unwrap_or_else(Payload::empty_object)
}
