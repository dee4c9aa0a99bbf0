//! What becomes of the publishes that were out when the broker closed their channel. Pure.
//!
//! A broker takes the messages of a channel one after the other. The one it objects to closes the channel, and those
//! behind it are thrown away unread; those before it were taken, though their confirms may never come. lapin tells which
//! did not even leave. What the broker objects to is read in its words.

use oslo_messaging::{Exchange, ExchangeKind, Executed};

/// A publish that was out, in the order of sending.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Out<'a> {
    pub(crate) exchange: &'a Exchange,
    pub(crate) bytes: usize,
    pub(crate) sent: Sent,
}

/// How far a publish came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    /// The broker cannot have the whole message.
    Never,
    /// It may have it.
    Unknown,
    /// lapin has not said in time what became of it.
    Unheard,
}

/// What the broker objected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Objection<'a> {
    /// A body of this many bytes.
    Size(usize),
    /// An exchange that is not there; the text that names it.
    Missing(&'a str),
    /// An exchange that we may not write to; the text that names it.
    Forbidden(&'a str),
    /// Something else, or nothing that we can tell.
    Other,
}

/// What to do about one publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It did not arrive: send it again.
    Again,
    /// The broker's objection is the answer.
    Refused(Executed),
    /// Nobody can know.
    Unknown,
}

impl<'a> Objection<'a> {
    /// Reads the reply of the broker that closed the channel.
    pub(crate) fn read(code: u16, text: &'a str) -> Self {
        let size = || text.split_once("message size ")?.1.split(' ').next()?.parse().ok();
        match (code, size(), text.split_once("exchange '")) {
            (311 | 406, Some(bytes), _) => Self::Size(bytes),
            (404, _, Some((_, exchange))) => Self::Missing(exchange),
            (403, _, Some((_, exchange))) => Self::Forbidden(exchange),
            _ => Self::Other,
        }
    }

    fn concerns(self, out: &Out<'_>) -> bool {
        match self {
            Self::Size(bytes) => out.bytes == bytes,
            Self::Missing(text) | Self::Forbidden(text) => names(text, &out.exchange.name),
            Self::Other => false,
        }
    }
}

/// What to do about each of `outs`.
pub(crate) fn verdicts(objection: Objection<'_>, outs: &[Out<'_>]) -> Vec<Verdict> {
    let concerned = |out: &Out<'_>| out.sent == Sent::Unknown && objection.concerns(out);
    // Whatever is too large always was, so the first one closed the channel. An exchange may have been there for the first.
    let culprit = match objection {
        Objection::Size(_) => outs.iter().position(concerned),
        _ => outs.iter().rposition(concerned),
    };
    let judge = |(index, out): (usize, &Out<'_>)| {
        let behind = culprit.is_some_and(|culprit| index >= culprit);
        match (objection, out.sent) {
            (_, Sent::Unheard) => Verdict::Unknown,
            (Objection::Size(_), _) if objection.concerns(out) => Verdict::Refused(Executed::No),
            (Objection::Forbidden(_), sent) if objection.concerns(out) => {
                Verdict::Refused(if behind || sent == Sent::Never { Executed::No } else { Executed::Maybe })
            }
            (_, Sent::Never) => Verdict::Again,
            // Who heard a fanout heard it through a queue that went before its exchange did; a server that comes later
            // has another queue. So nobody hears it twice.
            (Objection::Missing(_), _) if objection.concerns(out) && out.exchange.kind == ExchangeKind::Fanout => {
                Verdict::Again
            }
            _ if behind => Verdict::Again,
            _ => Verdict::Unknown,
        }
    };
    outs.iter().enumerate().map(judge).collect()
}

/// Whether `text`, which may be cut short, starts with the quoted `name`.
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

    fn judge(objection: Objection<'_>, outs: &[(&Exchange, usize, Sent)]) -> Vec<Verdict> {
        let outs: Vec<_> = outs.iter().map(|&(exchange, bytes, sent)| Out { exchange, bytes, sent }).collect();
        verdicts(objection, &outs)
    }

    #[test]
    fn the_broker_s_words_are_understood() {
        for (code, text, objection) in [
            (406, "PRECONDITION_FAILED - message size 9 is larger than configured max size 8", Objection::Size(9)),
            (404, MISSING, Objection::Missing("gone' in vhost '/'")),
            (403, "ACCESS_REFUSED - access to exchange 'e' in vhost", Objection::Forbidden("e' in vhost")),
            (406, "PRECONDITION_FAILED - unknown delivery tag 3", Objection::Other),
            (320, "CONNECTION_FORCED", Objection::Other),
        ] {
            assert_eq!(Objection::read(code, text), objection);
        }
    }

    #[test]
    fn only_the_body_that_is_too_large_is_refused_and_what_came_after_it_is_sent_again() {
        let e = topic("e");
        let outs = [(&e, 1, Sent::Unknown), (&e, 9, Sent::Unknown), (&e, 1, Sent::Unknown), (&e, 9, Sent::Never)];
        let refused = Verdict::Refused(Executed::No);
        assert_eq!(judge(Objection::Size(9), &outs), [Verdict::Unknown, refused, Verdict::Again, refused]);
    }

    #[test]
    fn a_topic_exchange_that_went_may_have_taken_all_but_the_last_publish() {
        let (gone, other) = (topic("gone"), topic("other"));
        let outs = [
            (&other, 1, Sent::Unheard),
            (&gone, 1, Sent::Unknown),
            (&other, 1, Sent::Unknown),
            (&gone, 1, Sent::Unknown),
            (&other, 1, Sent::Unknown),
        ];
        let objection = Objection::read(404, MISSING);
        let [unknown, again] = [Verdict::Unknown, Verdict::Again];
        assert_eq!(judge(objection, &outs), [unknown, unknown, unknown, again, again]);
    }

    #[test]
    fn everything_to_a_fanout_that_went_is_sent_again() {
        let (gone, other) = (Exchange::fanout_of("gone"), Exchange::fanout_of("other"));
        let outs = [(&gone, 1, Sent::Unknown), (&other, 1, Sent::Unknown), (&gone, 1, Sent::Unknown)];
        let objection = Objection::Missing("gone_fanout' in vhost '/'");
        assert_eq!(judge(objection, &outs), [Verdict::Again, Verdict::Unknown, Verdict::Again]);
    }

    #[test]
    fn what_never_left_is_sent_again_whatever_the_reason() {
        let e = topic("e");
        let outs = [(&e, 1, Sent::Never), (&e, 1, Sent::Unknown)];
        assert_eq!(judge(Objection::Other, &outs), [Verdict::Again, Verdict::Unknown]);
    }

    #[test]
    fn a_name_that_the_broker_cut_short_is_recognised() {
        let long = topic(&"n".repeat(255));
        let text = format!("NOT_FOUND - no exchange '{}...", "n".repeat(220));
        assert_eq!(judge(Objection::read(404, &text), &[(&long, 1, Sent::Unknown)]), [Verdict::Again]);
        assert!(!names("gone' in vhost", "gon") && !names("gone' in vhost", "gone_fanout"));
    }
}
