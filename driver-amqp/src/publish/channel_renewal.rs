//! When a lane that is refused takes another channel. Pure.
//!
//! A channel of RabbitMQ learns who leads a replicated queue when it first publishes to it. One that does so right after
//! that member went is told of nobody else, and refused until the member is back, however soon the others elect another
//! (3.10, `rabbit_fifo_client`); a channel that is opened later is told of that one.

use std::time::Duration;

use tokio::time::Instant;

/// How old a channel is before a refusal is put down to it: long enough for an election, and for a broker that refuses
/// because a queue is full to have little to do with it.
const AGE: Duration = Duration::from_secs(1);
/// How long a lane waits for what is out on the old channel, before it goes on with it.
const PATIENCE: Duration = Duration::from_millis(500);

/// The age of a channel, and whether another one is wanted.
#[derive(Debug)]
pub(crate) struct ChannelRenewal {
    since: Instant,
    until: Option<Instant>,
}

impl ChannelRenewal {
    /// Of a channel that was opened at `now`.
    pub(crate) fn new(now: Instant) -> Self {
        Self { since: now, until: None }
    }

    /// The broker refused something on it.
    pub(crate) fn refused(&mut self, now: Instant) {
        if self.until.is_none() && now >= self.since + AGE {
            self.until = Some(now + PATIENCE);
        }
    }

    /// Until when nothing more is to be sent on it, so that it can be replaced once nothing is out.
    pub(crate) fn draining_until(&self) -> Option<Instant> {
        self.until
    }

    /// Something stays out: it is kept, as if it was new.
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
