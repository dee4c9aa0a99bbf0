//! What is known about a given-up event, in the headers of its dead letter.
//!
//! The headers `oslo.dead.*` are written next to the message's own, so that a tool in any language can read them and
//! the body stays byte for byte what the publisher sent.
//! Headers that do not fit into a frame are left out step by step ([`Extent`]).

use std::fmt;
use std::str::FromStr;

use crate::delivery::Delivery;
use crate::driver::{Headers, Message, Origin};
use crate::excerpt::first;
use crate::wire::compression::HEADER;
use crate::{Error, Failure};

/// [`strip`] removes every header that begins so.
const PREFIX: &str = "oslo.dead.";
/// The header for one word, see [`DeadReason::as_str`].
const REASON: &str = "oslo.dead.reason";
/// The header for the number of attempts, a decimal number.
const ATTEMPTS: &str = "oslo.dead.attempts";
/// The queue that the event was read from. A replay does not trust it and uses the queue that was opened.
const QUEUE: &str = "oslo.dead.queue";
/// Written together with the routing key, and only if the driver knows both.
const EXCHANGE: &str = "oslo.dead.exchange";
/// A reader takes the origin as known if this header is there.
const ROUTING_KEY: &str = "oslo.dead.routing_key";
/// The text of the failure or of the error.
const DETAIL: &str = "oslo.dead.detail";
/// Lines as Python prints them; left out if there are none.
const TRACEBACK: &str = "oslo.dead.traceback";
/// Headers of a message share one frame of the wire, of 128 KiB at RabbitMQ: what a failure says may be longer.
const LONGEST_DETAIL: usize = 4 * 1024;
/// The end is kept and not the beginning, since Python puts the exception last.
const LONGEST_TRACEBACK: usize = 16 * 1024;
/// As much of them as fits into a frame of 8 KiB, the least that RabbitMQ 4.1 and newer allow, beside the rest.
const SHORT_DETAIL: usize = 1024;
const SHORT_TRACEBACK: usize = 4 * 1024;
/// As much of a detail as is kept in memory.
const BRIEF_DETAIL: usize = 256;
/// What a broker writes on a message: how often it was delivered, and where it was dead-lettered by the broker's own
/// doing. On a dead letter it would count what happened to another message.
const OF_BROKERS: [&str; 3] = ["x-delivery-count", "x-acquired-count", "x-death"];
/// Headers that begin so come from a broker's own dead-lettering.
const OF_BROKERS_BEGIN: [&str; 2] = ["x-first-death-", "x-last-death-"];

/// Why no further attempt at an event was made.
///
/// Written as one word in the header `oslo.dead.reason`. A word that is unknown here is read as `Failed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DeadReason {
    /// Its handler failed as often as it may.
    Failed,
    /// It is not a notification, or has a version of the wire format that is not read.
    Undecodable,
    /// Its payload is not what its handler takes.
    Payload,
    /// Its queue had delivered it as often as its delivery limit allows: the broker would have dropped it next. Its
    /// handler did not run on that delivery.
    DeliveryLimit,
}

/// How much a dead letter says in its headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Its own headers, and everything that is known of it.
    Whole,
    /// Of its own headers only the one that its body is read by.
    NoForeign,
    /// Likewise, and less of the detail and the traceback.
    Short,
    /// Likewise, and neither detail nor traceback.
    Bare,
}

/// What is known about a given-up event. It travels in the headers of the dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadLetterInfo {
    /// Why no further attempt was made.
    pub reason: DeadReason,
    /// How often it was tried, the first time included.
    pub attempts: u32,
    /// The queue it was read from, which names its dead-letter queue.
    pub queue: String,
    /// Where its publisher sent it, as far as the driver knows.
    pub origin: Option<Origin>,
    /// What the failure says, its first 4 KiB.
    pub detail: String,
    /// Where the failure came from, the last 16 KiB:
    /// lines as Python prints them. Empty if no handler failed.
    pub traceback: String,
}

impl DeadReason {
    /// The word for it in the header `oslo.dead.reason`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Undecodable => "undecodable",
            Self::Payload => "payload",
            Self::DeliveryLimit => "delivery_limit",
        }
    }
}

impl fmt::Display for DeadReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// # Errors
/// `Decode` for any other word.
impl FromStr for DeadReason {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self, Error> {
        [Self::Failed, Self::Undecodable, Self::Payload, Self::DeliveryLimit]
            .into_iter()
            .find(|reason| reason.as_str() == word)
            .ok_or_else(|| Error::new(crate::ErrorKind::Decode, "read a dead letter").with_context("reason", word))
    }
}

impl Extent {
    /// The order in which a writer tries them while the message is too large for the driver.
    pub(crate) const LARGEST_FIRST: [Self; 4] = [Self::Whole, Self::NoForeign, Self::Short, Self::Bare];
}

impl DeadLetterInfo {
    /// What there is to say of `message`, which is given up after `attempts` attempts.
    ///
    /// The beginning of the text is kept, and the end of the traceback, where Python puts the exception.
    pub(crate) fn of_failure(message: &Message, attempts: u32, failure: &Failure) -> Self {
        let traceback = failure.traceback().concat();
        Self {
            traceback: last(&traceback, LONGEST_TRACEBACK).to_owned(),
            ..Self::of(message, DeadReason::Failed, attempts, &failure.whole_text())
        }
    }

    /// What there is to say of `message`, which is given up without an attempt that could have succeeded.
    ///
    /// The detail is the text of the error; there is no traceback.
    pub(crate) fn of_error(message: &Message, reason: DeadReason, attempts: u32, error: &Error) -> Self {
        Self::of(message, reason, attempts, &error.to_string())
    }

    /// The facts of an event that was delivered as often as the delivery limit of its queue allows.
    ///
    /// `attempts` is the number of failed deliveries that the broker counted.
    pub(crate) fn of_limit(delivery: &Delivery) -> Self {
        let (failed, limit) = delivery.delivery_count().map_or((0, None), |count| (count.failed, count.limit));
        let limit = limit.unwrap_or(failed);
        let detail =
            format!("{failed} deliveries were not acknowledged, and the delivery limit of the queue is {limit}");
        Self::of(delivery.message(), DeadReason::DeliveryLimit, u32::try_from(failed).unwrap_or(u32::MAX), &detail)
    }

    /// The same in a few hundred bytes.
    ///
    /// Kept in memory while an event cannot be moved. Drops the traceback and all but 256 bytes of the detail.
    pub(crate) fn brief(&self) -> Self {
        let detail = first(&self.detail, BRIEF_DETAIL).to_owned();
        Self { detail, traceback: String::new(), queue: self.queue.clone(), origin: self.origin.clone(), ..*self }
    }

    /// The headers for the dead letter of a message whose headers are `own`, as far as `extent` allows.
    ///
    /// Headers of an earlier dead letter are replaced,
    /// so that a second failure does not carry the facts of the first.
    pub(crate) fn headers(&self, own: &Headers, extent: Extent) -> Headers {
        let mut headers = own.clone();
        strip(&mut headers);
        if extent != Extent::Whole {
            headers.retain(|name, _| name == HEADER);
        }
        self.write(&mut headers);
        let (detail, traceback) = match extent {
            Extent::Whole | Extent::NoForeign => return headers,
            Extent::Short => (SHORT_DETAIL, SHORT_TRACEBACK),
            Extent::Bare => (0, 0),
        };
        for (name, text) in [(DETAIL, first(&self.detail, detail)), (TRACEBACK, last(&self.traceback, traceback))] {
            if text.is_empty() {
                headers.remove(name);
            } else {
                headers.insert(name.to_owned(), text.to_owned());
            }
        }
        headers
    }

    /// Keeps the first [`LONGEST_DETAIL`] bytes of `detail`, and no traceback.
    fn of(message: &Message, reason: DeadReason, attempts: u32, detail: &str) -> Self {
        Self {
            reason,
            attempts,
            queue: message.queue.as_deref().unwrap_or_default().to_owned(),
            origin: message.origin.as_deref().cloned(),
            detail: first(detail, LONGEST_DETAIL).to_owned(),
            traceback: String::new(),
        }
    }

    /// Puts it beside the headers that the dead letter keeps.
    ///
    /// Overwrites headers of the same names.
    pub(crate) fn write(&self, headers: &mut Headers) {
        let mut put = |name: &str, value: &str| {
            headers.insert(name.to_owned(), value.to_owned());
        };
        put(REASON, self.reason.as_str());
        put(ATTEMPTS, &self.attempts.to_string());
        put(QUEUE, &self.queue);
        put(DETAIL, &self.detail);
        if let Some(origin) = &self.origin {
            put(EXCHANGE, &origin.exchange);
            put(ROUTING_KEY, &origin.routing_key);
        }
        if !self.traceback.is_empty() {
            put(TRACEBACK, &self.traceback);
        }
    }

    /// What the headers of a dead letter say; what is not there is empty.
    ///
    /// Never fails: a dead letter of another program may lack any of them.
    pub(crate) fn read(headers: &Headers) -> Self {
        let text = |name: &str| headers.get(name).cloned().unwrap_or_default();
        Self {
            reason: text(REASON).parse().unwrap_or(DeadReason::Failed),
            attempts: text(ATTEMPTS).parse().unwrap_or(0),
            queue: text(QUEUE),
            origin: headers.get(ROUTING_KEY).map(|key| Origin { exchange: text(EXCHANGE), routing_key: key.clone() }),
            detail: text(DETAIL),
            traceback: text(TRACEBACK),
        }
    }
}

/// Removes our headers and those of brokers, so that the message is as it was published.
///
/// Used before a dead letter or a returned event is written, and before a dead letter is replayed.
pub(crate) fn strip(headers: &mut Headers) {
    let begins = |name: &str| OF_BROKERS_BEGIN.iter().any(|prefix| name.starts_with(prefix));
    headers.retain(|name, _| !(name.starts_with(PREFIX) || OF_BROKERS.contains(&name.as_str()) || begins(name)));
}

/// The last `length` bytes of `text`, or fewer if they begin inside a character.
fn last(text: &str, length: usize) -> &str {
    let mut start = text.len().saturating_sub(length);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    &text[start..]
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn message() -> Message {
        let origin = Origin { exchange: "openstack".into(), routing_key: "notifications.info".into() };
        Message::new("{}").with_queue("audit".into()).with_origin(Arc::new(origin))
    }

    #[test]
    fn what_is_written_reads_back_and_can_be_taken_out_again() {
        let failure = Failure::new("shop", "OutOfStock", "none left").with_traceback(["line 1\n", "line 2\n"]);
        let info = DeadLetterInfo::of_failure(&message(), 5, &failure);
        let mut headers = Headers::from([("compression".to_owned(), "application/x-gzip".to_owned())]);
        let before = headers.clone();
        info.write(&mut headers);
        assert_eq!(DeadLetterInfo::read(&headers), info);
        assert_eq!((info.detail.as_str(), info.traceback.as_str()), ("shop.OutOfStock: none left", "line 1\nline 2\n"));
        strip(&mut headers);
        assert_eq!(headers, before);
    }

    #[test]
    fn a_long_failure_is_cut_between_characters() {
        let long = "\u{e4}".repeat(LONGEST_TRACEBACK);
        let failure = Failure::new("shop", "Long", format!("a{long}")).with_traceback([format!("{long}a")]);
        let info = DeadLetterInfo::of_failure(&message(), 1, &failure);
        assert!(info.detail.len() <= LONGEST_DETAIL && info.detail.len() > LONGEST_DETAIL - 2);
        assert!(info.traceback.len() <= LONGEST_TRACEBACK && info.traceback.len() > LONGEST_TRACEBACK - 2);
    }

    #[test]
    fn headers_of_somebody_else_do_not_make_it_fail() {
        let info = DeadLetterInfo::read(&Headers::from([(REASON.to_owned(), "mood".to_owned())]));
        assert_eq!((info.reason, info.attempts, info.origin), (DeadReason::Failed, 0, None));
    }
}
