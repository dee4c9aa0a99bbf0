//! What happened when a program was played, in the one order that everybody can agree on: that of this list.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::timeout;

use super::Step;

/// Everything that was done and everything that ran.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct History {
    /// The steps, by the number that their events have. A message is known by the number of its step.
    pub(crate) steps: Vec<Step>,
    pub(crate) events: Vec<Event>,
}

/// Something that happened. What is later in the list did not happen before what is earlier in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// A step is about to be done.
    Begun(usize),
    /// A step was done.
    Ended { step: usize, outcome: Outcome, took: Duration },
    /// The cut of that number is about to happen.
    Cutting(usize),
    /// A method was polled for the first time.
    Ran(Run),
    /// A method ended.
    Finished { server: usize, number: usize },
    /// Everything had run that must run, or the wait for it was in vain.
    Settled,
    /// When all had ended, servers had counted so many requests that they dropped.
    Dropped(u64),
}

/// One execution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Run {
    /// The server, by its place in the program.
    pub(crate) server: usize,
    /// The message.
    pub(crate) number: usize,
    /// The method that ran.
    pub(crate) method: String,
    /// Whether the broker said that it handed the message over before.
    pub(crate) redelivered: bool,
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// A server started or stopped, or a message was sent.
    Done,
    /// A call was answered: by which server, and which message it says that it answers.
    Returned { server: usize, number: usize },
    /// A call was answered with a failure of this class and text.
    Raised { class: String, message: String },
    /// Nobody is bound.
    Undeliverable,
    /// There was no answer in time.
    TimedOut,
    /// The sender did not wait for the end.
    GivenUp,
    /// The connection was lost under it.
    Disconnected { perhaps_sent: bool },
    /// Anything else.
    Broken { error: String },
}

/// How often the silence that ends a wait fits into the longest wait.
const LONGEST_IN_SILENCES: u32 = 20;

/// How many events are noted at most while a history falls silent: more than the largest program has left to do then.
const MOST_WHILE_FALLING_SILENT: u32 = 500;

/// A history that is being written. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log(Arc<watch::Sender<History>>);

impl Log {
    /// Notes that `step` is about to be done, and gives it its number.
    pub(crate) fn begin(&self, step: &Step) -> usize {
        let mut number = 0;
        self.0.send_modify(|history| {
            number = history.steps.len();
            history.steps.push(step.clone());
            history.events.push(Event::Begun(number));
        });
        number
    }

    /// Notes how a step ended.
    pub(crate) fn end(&self, step: usize, outcome: Outcome, took: Duration) {
        self.note(Event::Ended { step, outcome, took });
    }

    /// Notes anything else.
    pub(crate) fn note(&self, event: Event) {
        self.0.send_modify(|history| history.events.push(event));
    }

    /// What was noted so far.
    pub(crate) fn history(&self) -> History {
        self.0.borrow().clone()
    }

    /// Waits until `done` holds, for `at_most` that.
    ///
    /// # Cancellation
    /// Safe: it only looks.
    pub(crate) async fn wait(&self, at_most: Duration, done: impl FnMut(&History) -> bool) {
        let mut history = self.0.subscribe();
        // What did not come is for the rules to tell.
        let _ = timeout(at_most, history.wait_for(done)).await;
    }

    /// Waits until `done` holds, or nothing was noted for `silence`. A history that never falls silent is left to the rules
    /// after a while.
    ///
    /// # Cancellation
    /// Safe: it only looks.
    pub(crate) async fn settled(&self, silence: Duration, mut done: impl FnMut(&History) -> bool) {
        let mut history = self.0.subscribe();
        let settling = async {
            while !done(&history.borrow_and_update()) {
                if timeout(silence, history.changed()).await.is_err() {
                    return;
                }
            }
        };
        // What did not come is for the rules to tell.
        let _ = timeout(silence * LONGEST_IN_SILENCES, settling).await;
    }

    /// Waits until nothing was noted for `quiet`; whatever never falls silent is left to the rules after a while.
    ///
    /// # Cancellation
    /// Safe: it only looks.
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

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::time::{Instant, interval};

    use super::*;

    const STEP: Duration = Duration::from_millis(100);

    /// Notes an event each [`STEP`] of time, so many times, then nothing.
    async fn note_each_step(log: &Log, times: usize) {
        let mut steps = interval(STEP);
        for _ in 0..times {
            steps.tick().await;
            log.note(Event::Settled);
        }
        pending().await
    }

    #[tokio::test(start_paused = true)]
    async fn both_waits_last_as_long_as_events_come() {
        for is_settled in [false, true] {
            let log = Log::default();
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
