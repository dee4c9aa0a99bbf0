//! Decides when a publisher replaces a channel on which the broker refuses publishes. Pure.
//!
//! A channel of RabbitMQ learns the leader of a replicated queue at its first publish.
//! One that learns it right after the leader failed knows no other member,
//! and is refused until that one is back, however soon another is elected (3.10, `rabbit_fifo_client`).
//! A channel that opens later learns the new leader.

use std::time::Duration;

use tokio::time::Instant;

/// The age from which a channel is replaced for a refusal: long enough for an election,
/// and to replace channels rarely when a broker refuses because a queue is full.
const AGE: Duration = Duration::from_secs(1);
/// How long a publisher waits for the confirms of the old channel before it keeps that channel.
const PATIENCE: Duration = Duration::from_millis(500);

/// The age of a channel, and whether it should be replaced for a refusal.
#[derive(Debug)]
pub(crate) struct ChannelRenewal {
    /// When the channel was opened, or was kept for the last time.
    since: Instant,
    /// Set while the publisher drains the channel.
    until: Option<Instant>,
}

impl ChannelRenewal {
    /// The channel counts as new at `now`: a refusal within 1 s of that does not replace it.
    pub(crate) fn new(now: Instant) -> Self {
        Self { since: now, until: None }
    }

    /// Notes a basic.nack on this channel. Draining begins if the channel is at least 1 s old.
    pub(crate) fn refused(&mut self, now: Instant) {
        // Further refusals must not extend the wait: jobs are held back meanwhile.
        if self.until.is_none() && now >= self.since + AGE {
            self.until = Some(now + PATIENCE);
        }
    }

    /// If the channel should be replaced: nothing is sent on it before this instant,
    /// and it can be replaced once everything is confirmed.
    pub(crate) fn draining_until(&self) -> Option<Instant> {
        self.until
    }

    /// Keeps the channel, which did not drain in time, as if it were new.
    pub(crate) fn put_off(&mut self, now: Instant) {
        *self = Self::new(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_of_an_old_channel_has_it_replaced_and_those_of_a_new_one_do_not() {
        let opened = Instant::now();
        let mut renewal = ChannelRenewal::new(opened);
        renewal.refused(opened + AGE / 2);
        assert_eq!(renewal.draining_until(), None);
        renewal.refused(opened + AGE);
        assert_eq!(renewal.draining_until(), Some(opened + AGE + PATIENCE));
        renewal.refused(opened + AGE + PATIENCE / 2);
        assert_eq!(renewal.draining_until(), Some(opened + AGE + PATIENCE), "it is not put off by further refusals");
    }

    #[test]
    fn a_channel_with_something_out_is_kept_for_another_while() {
        let opened = Instant::now();
        let mut renewal = ChannelRenewal::new(opened);
        renewal.refused(opened + AGE);
        let kept = opened + AGE + PATIENCE;
        renewal.put_off(kept);
        renewal.refused(kept + AGE / 2);
        assert_eq!(renewal.draining_until(), None);
        renewal.refused(kept + AGE);
        assert_eq!(renewal.draining_until(), Some(kept + AGE + PATIENCE));
    }
}
