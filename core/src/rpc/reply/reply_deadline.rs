//! How long one reply is attempted.
//!
//! Two times are kept apart: until when the caller may wait, and until when its queue may be missing. A queue that is
//! missing for a minute belongs to a caller that is gone; a broker that is away says nothing about the caller, so
//! only the caller's time counts then.

use std::time::Duration;

use crate::{Deadline, Error, ErrorKind};

/// How long a reply is attempted for a caller without a deadline, or whose queue is missing, from the first such
/// failure (oslo.messaging `kombu_missing_consumer_retry_timeout`).
const ABSENCE_TIMEOUT: Duration = Duration::from_secs(60);

/// When the attempts of one reply must end.
///
/// While the broker is away, a reply waits until the caller has given up by any clock. That time comes from
/// `server/expiry.rs`, which has already added 5 s to a deadline that the caller wrote, since clocks differ.
/// If the broker is there and has no queue for the reply, or the queue refuses it, the caller is gone,
/// whatever deadline it wrote, or is about to declare its queue again.
#[derive(Debug)]
pub(crate) struct ReplyDeadline {
    /// When the caller has given up; if that is unknown, 60 s from the first failure.
    until: Option<Deadline>,
    /// 60 s from the first refusal in a row; any other error clears it.
    absent_until: Option<Deadline>,
}

impl ReplyDeadline {
    /// For a caller that has given up at `stale_from`, or at an unknown time.
    pub(crate) fn new(stale_from: Option<Deadline>) -> Self {
        Self { until: stale_from, absent_until: None }
    }

    /// When the next attempt must have ended.
    pub(crate) fn next_attempt(&self) -> Deadline {
        self.until.unwrap_or_else(|| Deadline::after(ABSENCE_TIMEOUT))
    }

    /// When to give up, now that an attempt failed with `error`.
    pub(crate) fn after(&mut self, error: &Error) -> Deadline {
        let until = *self.until.get_or_insert_with(|| Deadline::after(ABSENCE_TIMEOUT));
        if is_refusal(error) {
            until.min(*self.absent_until.get_or_insert_with(|| Deadline::after(ABSENCE_TIMEOUT)))
        } else {
            // Once the broker is back, the caller gets the same time to be back too.
            self.absent_until = None;
            until
        }
    }

    /// When the queue is given up, if it was what the last attempt failed for.
    pub(crate) fn absent_until(&self) -> Option<Deadline> {
        self.absent_until
    }

    /// Takes over the time of a queue that was missing before this reply was tried.
    pub(crate) fn continue_absence(&mut self, absent_until: Option<Deadline>) {
        self.absent_until = absent_until.or(self.absent_until);
    }
}

/// Whether a broker that is there says that the queue is not, or does not take the reply.
pub(crate) fn is_refusal(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Undeliverable | ErrorKind::Refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn failed(reply_deadline: &mut ReplyDeadline, kind: ErrorKind) -> u64 {
        reply_deadline.after(&Error::new(kind, "publish")).remaining().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn a_queue_that_is_gone_is_tried_for_a_minute_and_a_broker_that_is_away_until_the_deadline() {
        let mut reply_deadline = ReplyDeadline::new(Some(Deadline::after(HOUR)));
        assert_eq!(failed(&mut reply_deadline, ErrorKind::Undeliverable), 60);
        tokio::time::advance(Duration::from_secs(20)).await;
        assert_eq!(failed(&mut reply_deadline, ErrorKind::Undeliverable), 40);
        for away in [ErrorKind::Disconnected, ErrorKind::Blocked, ErrorKind::Timeout] {
            assert_eq!(failed(&mut reply_deadline, away), 3_580);
        }
        assert_eq!(failed(&mut reply_deadline, ErrorKind::Undeliverable), 60, "the broker came back");
    }

    #[tokio::test(start_paused = true)]
    async fn a_queue_that_refuses_is_given_up_as_one_that_is_gone() {
        let mut reply_deadline = ReplyDeadline::new(Some(Deadline::after(HOUR)));
        assert_eq!(failed(&mut reply_deadline, ErrorKind::Refused), 60);
        tokio::time::advance(Duration::from_secs(20)).await;
        assert_eq!(failed(&mut reply_deadline, ErrorKind::Undeliverable), 40);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_is_waited_for_past_its_deadline_nor_past_a_minute_if_it_told_none() {
        let mut reply_deadline = ReplyDeadline::new(Some(Deadline::after(Duration::from_secs(7))));
        assert_eq!(failed(&mut reply_deadline, ErrorKind::Undeliverable), 7);
        let mut reply_deadline = ReplyDeadline::new(None);
        assert_eq!(failed(&mut reply_deadline, ErrorKind::Disconnected), 60);
        tokio::time::advance(Duration::from_secs(50)).await;
        assert_eq!(failed(&mut reply_deadline, ErrorKind::Undeliverable), 10);
    }
}
