//! What happened while a program was played, in one order that all its actors agree on.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use super::Step;

/// The ratio of the longest wait to the silence that ends it.
const LONGEST_IN_SILENCES: u32 = 20;

/// The most events during a wait for silence: more than the largest program has left to do then.
const MOST_WHILE_FALLING_SILENT: u32 = 500;

/// The steps of a program and the events that they caused. `E` is an event of RPC or of notifications.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct History<M, E> {
    /// By their number, which their events carry. A message has the number of the step that sends it.
    pub(crate) steps: Vec<Step<M>>,
    /// An event did not happen before any that is earlier in the list.
    pub(crate) events: Vec<E>,
}

/// The event that a step is about to be done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Begun(pub(crate) usize);

/// A history while it is written. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Log<M, E>(Arc<watch::Sender<History<M, E>>>);

impl<M: Clone, E: Clone> Log<M, E> {
    /// Appends a step and the event of its beginning; returns its number.
    pub(crate) fn begin(&self, step: &Step<M>) -> usize
    where
        E: From<Begun>,
    {
        let mut number = 0;
        self.0.send_modify(|history| {
            number = history.steps.len();
            history.steps.push(step.clone());
            history.events.push(Begun(number).into());
        });
        number
    }

    /// Appends an event; returns its position.
    pub(crate) fn note(&self, event: impl Into<E>) -> usize {
        let mut position = 0;
        self.0.send_modify(|history| {
            position = history.events.len();
            history.events.push(event.into());
        });
        position
    }

    /// `None` if there is no step of that number, or it sends nothing.
    pub(crate) fn message(&self, number: usize) -> Option<M> {
        self.0.borrow().steps.get(number)?.message().map(|(_, message)| message.clone())
    }

    /// A copy of the history so far; later events do not change it.
    pub(crate) fn history(&self) -> History<M, E> {
        self.0.borrow().clone()
    }

    /// Waits until `done` returns `true`, for at most `at_most`. The rules judge what did not happen by then.
    ///
    /// Can be cancelled: it only reads.
    pub(crate) async fn wait(&self, at_most: Duration, done: impl FnMut(&History<M, E>) -> bool) {
        let _ = timeout(at_most, self.0.subscribe().wait_for(done)).await;
    }

    /// Waits until `done` returns `true`, or nothing is appended for `silence`; for at most [`LONGEST_IN_SILENCES`]
    /// times that. The rules judge what did not happen by then.
    ///
    /// Can be cancelled: it only reads.
    pub(crate) async fn settled(&self, silence: Duration, mut done: impl FnMut(&History<M, E>) -> bool) {
        let mut history = self.0.subscribe();
        let settling = async {
            while !done(&history.borrow_and_update()) {
                if timeout(silence, history.changed()).await.is_err() {
                    return;
                }
            }
        };
        let _ = timeout(silence * LONGEST_IN_SILENCES, settling).await;
    }

    /// Waits until nothing is appended for `quiet`, or [`MOST_WHILE_FALLING_SILENT`] events have come.
    ///
    /// Can be cancelled: it only reads.
    pub(crate) async fn quiet(&self, quiet: Duration) {
        let mut history = self.0.subscribe();
        for _ in 0..MOST_WHILE_FALLING_SILENT {
            let noted = history.borrow_and_update().events.len();
            if timeout(quiet, history.wait_for(|history| history.events.len() > noted)).await.is_err() {
                return;
            }
        }
    }
}

impl<M, E> Default for History<M, E> {
    fn default() -> Self {
        Self { steps: Vec::new(), events: Vec::new() }
    }
}

impl<M, E> Default for Log<M, E> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::time::{Instant, interval};

    use super::*;

    const STEP: Duration = Duration::from_millis(100);

    /// Appends `times` events, one each [`STEP`].
    async fn note_each_step(log: &Log<(), ()>, times: usize) {
        let mut steps = interval(STEP);
        for _ in 0..times {
            steps.tick().await;
            log.note(());
        }
        pending::<()>().await;
    }

    #[tokio::test(start_paused = true)]
    async fn both_waits_last_as_long_as_events_come() {
        for is_settled in [false, true] {
            let log = Log::<(), ()>::default();
            let began = Instant::now();
            let waits = async {
                if is_settled {
                    log.settled(STEP * 3, |_| false).await;
                } else {
                    log.quiet(STEP * 3).await;
                }
            };
            tokio::select! {
                () = waits => {}
                () = note_each_step(&log, 40) => {}
            }
            assert_eq!(began.elapsed(), STEP * 42);
        }
    }
}
