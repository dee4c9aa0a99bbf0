//! How long the caller of a request waits, by the request and the clocks.
//!
//! Three sources say how long a caller waits: the `_deadline` of a Rust caller, by the caller's clock; the
//! `expiration` of the message, which both implementations set to the timeout of the call; and the arrival at this
//! process. Clocks may differ, so a `_deadline`
//! that has passed is checked against the other two before the request is skipped.

use std::time::Duration;

use tokio::time::Instant;

use crate::Deadline;
use crate::bus::wall_clock::PeerDeadline;
use crate::deadline::LONGEST;
use crate::driver::Message;

/// A caller whose deadline passed longer ago than this does not wait any more, allowing for clocks that differ.
pub(crate) const STALE: Duration = Duration::from_secs(5);

/// What the broker and the driver say of the age of a call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival {
    /// When the driver had it, as far as it says.
    pub(crate) received_at: Instant,
    /// The broker drops a call that lay in its queue for longer.
    pub(crate) expiration: Option<Duration>,
    /// How long it may have been with this process by now.
    pub(crate) here: Duration,
}

/// What is known of the time of a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expiry {
    /// It may still wait.
    Waits(CallerTime),
    /// By the clock of this server it gave up, that long ago.
    Passed(Duration),
}

/// Until when a caller waits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct CallerTime {
    /// By when it wants its answer.
    pub(crate) deadline: Option<Deadline>,
    /// When it has given up, even by a clock that differs from ours: [`STALE`] after the deadline that it wrote.
    pub(crate) stale_from: Option<Deadline>,
    /// Whether both are counted from the arrival of the call, so that they pass only while it waits in this process.
    /// The clock of the caller then has no part in them, and `stale_from` equals `deadline`.
    pub(crate) counted_from_arrival: bool,
    /// How far the clocks of the caller and of this server are apart at least, if they are wrong.
    pub(crate) clocks_differ: Option<Duration>,
}

impl Arrival {
    /// What is known of `message`, a call, that may have waited for `unpolled` before the server looked at it.
    pub(crate) fn of(message: &Message, unpolled: Duration) -> Self {
        let now = Instant::now();
        let received_at = message.received_at.unwrap_or(now);
        // An upper bound: a message may have come at the end of the time that nothing was polled.
        let here = now.saturating_duration_since(received_at) + unpolled;
        Self { received_at, expiration: message.expiration, here }
    }

    /// The end of what the broker would have let it wait for, counted from when it came: no caller waits for longer.
    fn end(&self) -> Option<Deadline> {
        Some(Deadline::at(self.received_at + self.expiration?.min(LONGEST)))
    }
}

/// Judges the `deadline` that a peer wrote, relative to now. Only a call has an `arrival`.
///
/// The broker drops a call that lay in its queue for the whole of its timeout, which is what its `expiration` says. So
/// a call that comes has not reached its deadline when it comes; if that seems to lie further back than the call may
/// have been here, the clocks are wrong, and the time since it came counts instead.
pub(crate) fn judge(deadline: Option<PeerDeadline>, arrival: Option<Arrival>) -> Expiry {
    // Without an expiration, or for a cast, this process knows nothing of the caller's patience.
    let end = arrival.and_then(|arrival| arrival.end());
    let from_arrival =
        CallerTime { deadline: end, stale_from: end, counted_from_arrival: end.is_some(), clocks_differ: None };
    match (deadline, arrival) {
        (Some(PeerDeadline::Ahead(deadline)), _) => {
            let stale_from = Some(Deadline::at(deadline.instant() + STALE));
            Expiry::Waits(CallerTime { deadline: Some(deadline), stale_from, ..CallerTime::default() })
        }
        (Some(PeerDeadline::PassedSince(passed)), _) if passed <= STALE => {
            // It is within what clocks may differ, so the caller may still wait.
            let deadline = Some(Deadline::after(STALE.saturating_sub(passed)));
            Expiry::Waits(CallerTime { deadline, stale_from: deadline, ..CallerTime::default() })
        }
        (Some(PeerDeadline::PassedSince(passed)), Some(arrival)) if end.is_some() && passed > arrival.here + STALE => {
            Expiry::Waits(CallerTime { clocks_differ: Some(passed.saturating_sub(arrival.here)), ..from_arrival })
        }
        (Some(PeerDeadline::PassedSince(passed)), _) => Expiry::Passed(passed),
        (None, _) => Expiry::Waits(from_arrival),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);
    const MINUTE: Duration = Duration::from_secs(60);

    fn arrival(here: Duration) -> Arrival {
        Arrival { received_at: Instant::now() - here, expiration: Some(MINUTE), here }
    }

    fn left(expiry: Expiry) -> (u64, Option<u64>) {
        let Expiry::Waits(time) = expiry else { panic!("it is stale: {expiry:?}") };
        (time.deadline.unwrap().remaining().as_secs(), time.clocks_differ.map(|differ| differ.as_secs()))
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_came_cannot_have_passed_its_deadline_before() {
        tokio::time::advance(2 * HOUR).await;
        let passed = Some(PeerDeadline::PassedSince(HOUR));
        assert_eq!(left(judge(passed, Some(arrival(Duration::ZERO)))), (60, Some(3_600)), "the clocks are wrong");
        let waited = Duration::from_secs(40);
        assert_eq!(left(judge(passed, Some(arrival(waited)))), (20, Some(3_560)), "what it waited here counts");
        assert_eq!(judge(passed, Some(arrival(HOUR))), Expiry::Passed(HOUR), "it was here for all that time");
        assert_eq!(judge(passed, None), Expiry::Passed(HOUR), "of a cast nothing else is known");
    }

    #[tokio::test(start_paused = true)]
    async fn the_expiration_of_a_call_bounds_its_time_where_it_has_no_deadline() {
        tokio::time::advance(HOUR).await;
        assert_eq!(left(judge(None, Some(arrival(Duration::ZERO)))), (60, None));
        assert_eq!(left(judge(None, Some(arrival(MINUTE / 2)))), (30, None));
        assert_eq!(judge(None, None), Expiry::Waits(CallerTime::default()));
        let ahead = Some(PeerDeadline::Ahead(Deadline::after(HOUR)));
        assert_eq!(left(judge(ahead, Some(arrival(Duration::ZERO)))), (3_600, None), "a deadline stands before it");
    }

    #[tokio::test(start_paused = true)]
    async fn no_expiration_overflows_the_clock() {
        let message = Message::new("x").with_expiration(Duration::from_millis(u64::MAX));
        assert!(Arrival::of(&message, Duration::ZERO).end().is_some());
    }
}
