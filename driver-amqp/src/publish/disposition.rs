//! Decides what happens to the unconfirmed publishes of a channel that has ended:
//! the broker closed it, or its connection was lost ([`CloseReason::Unattributed`]). Pure.
//!
//! A broker handles the messages of a channel in order.
//! The one that it objects to closes the channel, and it discards those behind it unread;
//! those before it were handled, although their confirms may never come.
//! lapin reports which ones were not even written. The cause is read from the text of the close.

use oslo_messaging::Executed;
use oslo_messaging::driver::{Exchange, ExchangeKind};

/// An unconfirmed publish. A slice of them is in the order of sending.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UnconfirmedPublish<'a> {
    /// The broker names it if it is missing or forbidden.
    pub(crate) exchange: &'a Exchange,
    /// The length of the body. The broker names it if it is over the limit.
    pub(crate) bytes: usize,
    /// From lapin's result of this publish.
    pub(crate) written: WriteState,
}

/// Whether a publish was written before its channel ended. It decides whether the publish is sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WriteState {
    /// It was not written whole: the broker cannot have the message, so a resend cannot deliver it twice.
    NotWritten,
    /// The broker may have it: it was written, and its confirm never came.
    Written,
    /// lapin did not report its outcome in time.
    NoAnswer,
}

/// Why the channel ended, as far as the broker's words identify one publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CloseReason<'a> {
    /// A body of this many bytes is over its limit.
    Size(usize),
    /// An exchange does not exist. The text begins with its name.
    MissingExchange(&'a str),
    /// The user may not write to an exchange. The text begins with its name.
    ForbiddenExchange(&'a str),
    /// A reason that names no publish, a text that is not recognised, or a lost connection.
    Unattributed,
}

/// What to do with one publish of a channel that has ended. Only `Resend` keeps its caller waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Disposition {
    /// It did not arrive: send it again, at most 3 times unless the connection was lost.
    Resend,
    /// Fail it with the reason of the close.
    Refused(Executed),
    /// Fail it with an unknown outcome.
    MaybeDelivered,
}

impl<'a> CloseReason<'a> {
    /// Reads the code and the text of the broker's channel.close. A text that names no publish is `Unattributed`.
    pub(crate) fn read(code: u16, text: &'a str) -> Self {
        let size = || text.split_once("message size ")?.1.split(' ').next()?.parse().ok();
        match (code, size(), text.split_once("exchange '")) {
            (311 | 406, Some(bytes), _) => Self::Size(bytes),
            (404, _, Some((_, exchange))) => Self::MissingExchange(exchange),
            (403, _, Some((_, exchange))) => Self::ForbiddenExchange(exchange),
            _ => Self::Unattributed,
        }
    }

    /// `Unattributed` concerns none: without a recognised text the publish that caused the close is unknown.
    fn concerns(self, out: &UnconfirmedPublish<'_>) -> bool {
        match self {
            Self::Size(bytes) => out.bytes == bytes,
            Self::MissingExchange(text) | Self::ForbiddenExchange(text) => names(text, &out.exchange.name),
            Self::Unattributed => false,
        }
    }
}

/// What to do with each of `outs`, at the same place in the result.
///
/// Of those that may have been written, only the culprit and those behind it certainly did not arrive,
/// because a broker handles a channel in order.
/// Without a culprit, whatever may have been written counts as possibly delivered.
pub(crate) fn dispositions(reason: CloseReason<'_>, outs: &[UnconfirmedPublish<'_>]) -> Vec<Disposition> {
    let concerned = |out: &UnconfirmedPublish<'_>| out.written == WriteState::Written && reason.concerns(out);
    // A size is over the limit from the start, so the first such publish closed the channel. An exchange may
    // have existed for the first publishes, so the last one did.
    let culprit = match reason {
        CloseReason::Size(_) => outs.iter().position(concerned),
        _ => outs.iter().rposition(concerned),
    };
    let judge = |(index, out): (usize, &UnconfirmedPublish<'_>)| {
        // With the culprit itself: the broker did not take it either.
        let behind = culprit.is_some_and(|culprit| index >= culprit);
        match (reason, out.written) {
            (_, WriteState::NoAnswer) => Disposition::MaybeDelivered,
            (CloseReason::Size(_), _) if reason.concerns(out) => Disposition::Refused(Executed::No),
            (CloseReason::ForbiddenExchange(_), written) if reason.concerns(out) => {
                let not_delivered = behind || written == WriteState::NotWritten;
                Disposition::Refused(if not_delivered { Executed::No } else { Executed::Maybe })
            }
            (_, WriteState::NotWritten) => Disposition::Resend,
            // The queues of a fanout exchange go before the exchange does, so each consumer that received the
            // message then does not receive it again; a server that starts later has another queue.
            (CloseReason::MissingExchange(_), _)
                if reason.concerns(out) && out.exchange.kind == ExchangeKind::Fanout =>
            {
                Disposition::Resend
            }
            _ if behind => Disposition::Resend,
            _ => Disposition::MaybeDelivered,
        }
    };
    outs.iter().enumerate().map(judge).collect()
}

/// Whether `text`, which the broker may have cut short, starts with the quoted `name`.
fn names(text: &str, name: &str) -> bool {
    let cut = text.strip_suffix("...").unwrap_or(text);
    text.strip_prefix(name).is_some_and(|rest| rest.starts_with('\'')) || (cut.len() >= 100 && name.starts_with(cut))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MISSING: &str = "NOT_FOUND - no exchange 'gone' in vhost '/'";

    fn topic(name: &str) -> Exchange {
        Exchange::topic(name)
    }

    fn judge(reason: CloseReason<'_>, outs: &[(&Exchange, usize, WriteState)]) -> Vec<Disposition> {
        let outs: Vec<_> =
            outs.iter().map(|&(exchange, bytes, written)| UnconfirmedPublish { exchange, bytes, written }).collect();
        dispositions(reason, &outs)
    }

    #[test]
    fn the_broker_s_words_are_understood() {
        for (code, text, reason) in [
            (406, "PRECONDITION_FAILED - message size 9 is larger than configured max size 8", CloseReason::Size(9)),
            (404, MISSING, CloseReason::MissingExchange("gone' in vhost '/'")),
            (403, "ACCESS_REFUSED - access to exchange 'e' in vhost", CloseReason::ForbiddenExchange("e' in vhost")),
            (406, "PRECONDITION_FAILED - unknown delivery tag 3", CloseReason::Unattributed),
            (320, "CONNECTION_FORCED", CloseReason::Unattributed),
        ] {
            assert_eq!(CloseReason::read(code, text), reason);
        }
    }

    #[test]
    fn only_the_body_that_is_too_large_is_refused_and_what_came_after_it_is_sent_again() {
        let e = topic("e");
        let outs = [
            (&e, 1, WriteState::Written),
            (&e, 9, WriteState::Written),
            (&e, 1, WriteState::Written),
            (&e, 9, WriteState::NotWritten),
        ];
        let refused = Disposition::Refused(Executed::No);
        assert_eq!(
            judge(CloseReason::Size(9), &outs),
            [Disposition::MaybeDelivered, refused, Disposition::Resend, refused]
        );
    }

    #[test]
    fn a_topic_exchange_that_went_may_have_taken_all_but_the_last_publish() {
        let (gone, other) = (topic("gone"), topic("other"));
        let outs = [
            (&other, 1, WriteState::NoAnswer),
            (&gone, 1, WriteState::Written),
            (&other, 1, WriteState::Written),
            (&gone, 1, WriteState::Written),
            (&other, 1, WriteState::Written),
        ];
        let reason = CloseReason::read(404, MISSING);
        let [unknown, again] = [Disposition::MaybeDelivered, Disposition::Resend];
        assert_eq!(judge(reason, &outs), [unknown, unknown, unknown, again, again]);
    }

    #[test]
    fn everything_to_a_fanout_that_went_is_sent_again() {
        let (gone, other) = (Exchange::fanout_of("gone"), Exchange::fanout_of("other"));
        let outs = [(&gone, 1, WriteState::Written), (&other, 1, WriteState::Written), (&gone, 1, WriteState::Written)];
        let reason = CloseReason::MissingExchange("gone_fanout' in vhost '/'");
        assert_eq!(judge(reason, &outs), [Disposition::Resend, Disposition::MaybeDelivered, Disposition::Resend]);
    }

    #[test]
    fn what_was_not_written_is_sent_again_whatever_the_reason() {
        let e = topic("e");
        let outs = [(&e, 1, WriteState::NotWritten), (&e, 1, WriteState::Written)];
        assert_eq!(judge(CloseReason::Unattributed, &outs), [Disposition::Resend, Disposition::MaybeDelivered]);
    }

    #[test]
    fn a_name_that_the_broker_cut_short_is_recognised() {
        let long = topic(&"n".repeat(255));
        let text = format!("NOT_FOUND - no exchange '{}...", "n".repeat(220));
        assert_eq!(judge(CloseReason::read(404, &text), &[(&long, 1, WriteState::Written)]), [Disposition::Resend]);
        assert!(!names("gone' in vhost", "gon") && !names("gone' in vhost", "gone_fanout"));
    }
}
