//! How long an event waits before it is requeued, so that listeners do not pass it around in a hot loop.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::delivery::message_key::MessageKey;
use crate::retry::backoff::Backoff;

/// What an event waits when it is requeued for the first time.
const FIRST: Duration = Duration::from_millis(100);
const BACKOFF: Backoff = Backoff::doubling(FIRST, Duration::from_secs(5));
/// How many events are remembered: more than go round at once.
const REMEMBERED: usize = 10_000;

/// How often each event was given back lately. One for each listener.
#[derive(Debug, Default)]
pub(super) struct RequeueBackoff {
    /// How often each event was given back, this time included.
    times: HashMap<MessageKey, u32>,
    /// The keys of `times`, so that the oldest is found and forgotten first.
    order: VecDeque<MessageKey>,
}

impl RequeueBackoff {
    /// Counts one more requeue of the event. Returns the wait before it: 100 ms at first, doubling up to 5 s.
    pub(super) fn wait(&mut self, key: Option<MessageKey>) -> Duration {
        // An event without an id cannot be recognised, so it waits as a new one.
        let Some(key) = key else { return FIRST };
        if let Some(times) = self.times.get_mut(&key) {
            *times = times.saturating_add(1);
            return BACKOFF.wait(*times - 1);
        }
        // The oldest is forgotten even if it comes again: it then waits as little as a new one.
        if self.order.len() >= REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.times.remove(&oldest);
        }
        self.times.insert(key, 1);
        self.order.push_back(key);
        FIRST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_waits_longer_each_time_and_five_seconds_at_most() {
        let mut requeues = RequeueBackoff::default();
        let waits: Vec<_> = (0..8).map(|_| requeues.wait(MessageKey::of("a")).as_millis()).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
        assert_eq!(requeues.wait(MessageKey::of("b")), FIRST);
        assert_eq!([requeues.wait(None), requeues.wait(None)], [FIRST; 2]);
    }

    #[test]
    fn only_so_many_events_are_remembered() {
        let mut requeues = RequeueBackoff::default();
        for id in 0..=REMEMBERED {
            requeues.wait(MessageKey::of(&id.to_string()));
        }
        assert_eq!((requeues.times.len(), requeues.order.len()), (REMEMBERED, REMEMBERED));
        assert_eq!(requeues.wait(MessageKey::of("0")), FIRST);
    }
}
