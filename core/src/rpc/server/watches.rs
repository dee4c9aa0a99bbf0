//! Warnings about a server's own methods: one that blocks, one that runs for minutes, and handlers that are all busy.
//!
//! The warnings are for the operator: each names a cause of slow answers that the metrics alone do not show.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::{Duration, Instant as StdInstant};

use tokio::time::{Instant, Sleep, sleep};
use tracing::warn;

use crate::rpc::rate_limit::RateLimit;

/// When a server warns; `None` turns a watch off.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Thresholds {
    /// How long the first poll of a method may take. Default: 1 s.
    pub(crate) blocking: Option<Duration>,
    /// How long a method may run before the first reminder, and between two. Default: 300 s.
    pub(crate) long: Option<Duration>,
    /// How long all handlers may be busy without a pause. Default: 30 s.
    pub(crate) saturation: Option<Duration>,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            blocking: Some(Duration::from_secs(1)),
            long: Some(Duration::from_secs(300)),
            saturation: Some(Duration::from_secs(30)),
        }
    }
}

/// Warns of methods that block the intake or run for long.
///
/// One for each server, shared by all its requests.
/// Each kind of warning is limited in rate for the server as a whole.
#[derive(Debug)]
pub(crate) struct MethodWatch {
    thresholds: Thresholds,
    /// Apart from `long`, so that one kind of warning does not silence the other.
    blocking: RateLimit,
    long: RateLimit,
}

impl MethodWatch {
    pub(crate) fn new(thresholds: Thresholds) -> Self {
        Self { thresholds, blocking: RateLimit::default(), long: RateLimit::default() }
    }

    /// Runs `work`, the method of a request, inside whose span the warnings are written.
    ///
    /// Blocking is measured by the real clock, since a thread that is blocked keeps every other one from moving.
    ///
    /// Without a threshold the wrapper costs one clock reading.
    /// The timer of the reminder is created only when a method is still pending.
    pub(crate) async fn watch<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        let mut long: Option<Pin<Box<Sleep>>> = None;
        let (mut is_first, began) = (true, Instant::now());
        poll_fn(|context| {
            // Later polls run on a task of their own and block no other method.
            let polled = if std::mem::take(&mut is_first) {
                self.first_poll(work.as_mut(), context)
            } else {
                work.as_mut().poll(context)
            };
            if polled.is_pending()
                && let Some(threshold) = self.thresholds.long
            {
                self.remind(&mut long, threshold, began, context);
            }
            polled
        })
        .await
    }

    /// Polls `work` and warns if that took longer than the threshold: the method blocks the intake.
    ///
    /// Only the first poll is measured:
    /// it runs on the task that takes requests, while later polls run on the task of the method.
    fn first_poll<T>(&self, work: Pin<&mut impl Future<Output = T>>, context: &mut Context<'_>) -> Poll<T> {
        let Some(threshold) = self.thresholds.blocking else { return work.poll(context) };
        let began = StdInstant::now();
        let polled = work.poll(context);
        let blocked = began.elapsed();
        if blocked >= threshold
            && let Some(suppressed) = self.blocking.due()
        {
            warn!(
                ?blocked,
                suppressed, "a method blocked the task that takes requests: move its work to spawn_blocking"
            );
        }
        polled
    }

    /// Warns each time that a method has run for `threshold` more.
    ///
    /// Registers the waker of the method, so that the reminder comes even if the method never wakes.
    fn remind(
        &self,
        long: &mut Option<Pin<Box<Sleep>>>,
        threshold: Duration,
        began: Instant,
        context: &mut Context<'_>,
    ) {
        let reminder = long.get_or_insert_with(|| Box::pin(sleep(threshold)));
        // Polled again after each reset: only a pending poll registers the waker.
        while reminder.as_mut().poll(context).is_ready() {
            if let Some(suppressed) = self.long.due() {
                warn!(running = ?began.elapsed(), suppressed, "a method runs for long, and holds a handler meanwhile");
            }
            reminder.as_mut().reset(Instant::now() + threshold);
        }
    }
}

/// Watches for handlers that are all busy, without a pause.
#[derive(Debug)]
pub(crate) struct SaturationWatch {
    threshold: Option<Duration>,
    /// When the last free handler was taken; `None` while one is free.
    since: Option<Instant>,
    /// Whether this period was reported. Each is reported once.
    warned: bool,
}

impl SaturationWatch {
    /// `None` never warns.
    pub(crate) fn new(threshold: Option<Duration>) -> Self {
        Self { threshold, since: None, warned: false }
    }

    /// Begins a period when no handler is free, and ends it when one is.
    ///
    /// The intake calls it once in each round. A round with a free handler ends the period.
    pub(crate) fn note(&mut self, is_free: bool) {
        if is_free {
            (self.since, self.warned) = (None, false);
        } else if self.since.is_none() {
            self.since = Some(Instant::now());
        }
    }

    /// When to look again, if that would lead to a warning.
    ///
    /// `None` if no handler is missing, the period was reported, or the watch is off.
    pub(crate) fn due(&self) -> Option<Instant> {
        if self.warned { None } else { Some(self.since? + self.threshold?) }
    }

    /// Warns, once until a handler is free again.
    ///
    /// The intake calls it at the time of `due`;
    /// `target` is what is served, `waiting` the number of accepted requests.
    pub(crate) fn warn(&mut self, target: &str, handlers: usize, waiting: usize) {
        self.warned = true;
        let busy = self.since.map(|since| since.elapsed());
        warn!(
            target,
            handlers,
            waiting,
            ?busy,
            "every handler of a server is busy without a pause: requests wait in the queue"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn saturation_is_due_once_until_a_handler_is_free() {
        let mut watch = SaturationWatch::new(Some(Duration::from_secs(30)));
        let began = Instant::now();
        assert_eq!(watch.due(), None);
        watch.note(false);
        tokio::time::advance(Duration::from_secs(10)).await;
        watch.note(false);
        assert_eq!(watch.due(), Some(began + Duration::from_secs(30)));
        watch.warn("t", 1, 0);
        assert_eq!(watch.due(), None);
        watch.note(true);
        watch.note(false);
        assert!(watch.due().is_some());
    }
}
