//! Counts of published and lost events for users, the log and the metric of lost events.

use metrics::counter;
use tracing::warn;

use crate::Error;

/// What became of the events of an outbox, since it was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutboxCounts {
    /// Events that were put in, without those that were refused because the outbox was full.
    pub queued: u64,
    /// Events that every sink has.
    pub published: u64,
    /// Events that were dropped because the outbox was full, be it before they were put in or after.
    pub dropped: u64,
    /// Events that became too old. Some may have arrived all the same.
    pub expired: u64,
    /// Events that a sink refused, or failed to take as often as it may try.
    pub failed: u64,
    /// Events that were still in the outbox when it ended.
    pub abandoned: u64,
    /// Events that are in the outbox now, those that are being published included.
    pub held: usize,
}

/// Why an event was lost while the outbox lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    Full,
    Expired,
    Failed,
}

/// The losses since the last warning, and the last error of a sink.
#[derive(Debug, Clone, Default)]
pub(super) struct Losses {
    pub(super) dropped: u64,
    pub(super) expired: u64,
    pub(super) failed: u64,
    pub(super) last_error: Option<Error>,
}

impl Losses {
    /// Counts for the next warning only; the totals are counted apart.
    pub(super) fn add(&mut self, loss: Loss) {
        match loss {
            Loss::Full => self.dropped += 1,
            Loss::Expired => self.expired += 1,
            Loss::Failed => self.failed += 1,
        }
    }

    /// Whether nothing was lost since the last warning. An error alone is no loss.
    pub(super) fn are_none(&self) -> bool {
        (self.dropped, self.expired, self.failed) == (0, 0, 0)
    }

    /// Logs the losses since the last warning and the last error of a sink, in one line.
    pub(super) fn warn(&self) {
        let Self { dropped, expired, failed, last_error } = self;
        let last_error = last_error.as_ref().map(ToString::to_string).unwrap_or_default();
        warn!(dropped, expired, failed, last_error, "notifications were lost");
    }
}

/// Adds to the metric; `reason` is one of `full`, `expired`, `failed` and `abandoned`.
pub(super) fn count(reason: &'static str, events: u64) {
    counter!("oslo_messaging_notifications_lost_total", "reason" => reason).increment(events);
}
