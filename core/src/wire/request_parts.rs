//! A request as it is written: borrowed from where its parts lie, so that none is copied before.

use bytes::Bytes;

use super::{CONTEXT_PREFIX, envelope};
use crate::Payload;

/// What a request consists of. The context comes by name, in order.
pub(crate) struct RequestParts<'a, C> {
    pub(crate) method: &'a str,
    pub(crate) args: &'a Payload,
    pub(crate) namespace: Option<&'a str>,
    pub(crate) version: Option<&'a str>,
    /// Where the reply goes. A cast has none.
    pub(crate) call: Option<CallParts<'a>>,
    /// Empty for none, and then not written.
    pub(crate) unique_id: &'a str,
    /// In milliseconds of Unix time.
    pub(crate) deadline: Option<u64>,
    pub(crate) context: C,
}

/// What a call has and a cast has not, as in [`CallFields`](super::CallFields).
#[derive(Clone, Copy)]
pub(crate) struct CallParts<'a> {
    pub(crate) msg_id: &'a str,
    pub(crate) reply_q: &'a str,
    pub(crate) monitor: Option<f64>,
}

impl<'a, C: Iterator<Item = (&'a str, &'a Payload)> + Clone> RequestParts<'a, C> {
    /// Writes what [`Request::encode`](super::Request::encode) writes, without a copy of any part.
    pub(crate) fn encode(self) -> Bytes {
        let context: usize = self.context.clone().map(|(name, value)| name.len() + value.as_str().len() + 20).sum();
        envelope::seal(350 + self.args.as_str().len() + context, |out| {
            out.text("method", self.method);
            out.json("args", self.args);
            for (name, value) in [("namespace", self.namespace), ("version", self.version)] {
                if let Some(value) = value {
                    out.text(name, value);
                }
            }
            if let Some(call) = self.call {
                out.text("_msg_id", call.msg_id);
                out.text("_reply_q", call.reply_q);
                match call.monitor.and_then(seconds) {
                    // `Display` of a whole float has no point, as Python's callers mostly write it.
                    Some(seconds) => out.plain("_timeout", format_args!("{seconds}")),
                    None => out.plain("_timeout", format_args!("null")),
                }
            }
            if !self.unique_id.is_empty() {
                out.text("_unique_id", self.unique_id);
            }
            if let Some(deadline) = self.deadline {
                out.plain("_deadline", format_args!("{deadline}"));
            }
            for (name, value) in self.context {
                out.prefixed(CONTEXT_PREFIX, name, value);
            }
        })
    }
}

/// A positive, finite number of seconds.
pub(super) fn seconds(seconds: f64) -> Option<f64> {
    (seconds.is_finite() && seconds > 0.0).then_some(seconds)
}
