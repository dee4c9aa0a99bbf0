//! Heartbeats for the caller of a method that runs long, or waits long to start.
//!
//! A caller that sets a monitor interval (`_timeout` on the wire) gives a call up when it hears nothing for that
//! long. The server sends a reply with `ending: false` every half of the interval,
//! from the arrival of the request on.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::Result;

/// How often the caller of a monitored call hears of it, and since when: one beat for the wait and the method.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HeartbeatTimer {
    pub(crate) every: Duration,
    /// When the request was accepted, so that its wait for a handler counts too.
    since: Instant,
}

impl HeartbeatTimer {
    /// A timer whose first beat is due one interval from now.
    pub(crate) fn every(every: Duration) -> Self {
        Self { every, since: Instant::now() }
    }
}

/// Runs `work`, and `beat` at every interval of `heartbeat` until `work` ends
/// or a beat fails. An overdue beat runs at once.
///
/// The timer lives in the future of the work, so it ends with it on every path: the answer, a panic, an abort.
pub(crate) async fn with_heartbeats<T, B>(
    work: impl Future<Output = T>,
    heartbeat: HeartbeatTimer,
    mut beat: impl FnMut() -> B,
) -> T
where
    B: Future<Output = Result<()>>,
{
    let mut work = pin!(work);
    let mut ticks = interval_at(heartbeat.since + heartbeat.every, heartbeat.every);
    // After a delay one beat is enough: a burst would tell the caller nothing more.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            _ = ticks.tick() => {}
        }
        // Raced against the work, so that a slow broker does not hold up the answer.
        let mut beating = pin!(beat());
        tokio::select! {
            biased;
            done = &mut work => return done,
            sent = &mut beating => if sent.is_err() { return work.await },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::Error;

    #[tokio::test(start_paused = true)]
    async fn heartbeats_come_at_their_interval_and_end_with_the_work() {
        let beats = Cell::new(0);
        let work = tokio::time::sleep(Duration::from_secs(7));
        with_heartbeats(work, HeartbeatTimer::every(Duration::from_secs(2)), async || {
            beats.set(beats.get() + 1);
            Ok(())
        })
        .await;
        assert_eq!(beats.get(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_heartbeat_that_fails_is_the_last_and_the_work_goes_on() {
        let beats = Cell::new(0);
        let work = async {
            tokio::time::sleep(Duration::from_secs(60)).await;
            "done"
        };
        let done = with_heartbeats(work, HeartbeatTimer::every(Duration::from_secs(2)), async || {
            beats.set(beats.get() + 1);
            Err(Error::closed("publish"))
        })
        .await;
        assert_eq!((done, beats.get()), ("done", 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_heartbeat_that_hangs_does_not_hold_the_answer() {
        let work = tokio::time::sleep(Duration::from_secs(5));
        with_heartbeats(work, HeartbeatTimer::every(Duration::from_secs(2)), std::future::pending).await;
    }
}
