//! What happened when a program was played, in the one order that everybody can agree on: that of this list.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::Tell;
use super::program::Step;

/// Everything that was done and everything that was heard.
#[derive(Debug, Clone, Default)]
pub(crate) struct History {
    /// The steps, by the number that their events have. An event of the program is known by the number of its step.
    pub(crate) steps: Vec<Step>,
    pub(crate) events: Vec<(Instant, Happened)>,
}

/// Something that happened. What is later in the list did not happen before what is earlier in it.
#[derive(Debug, Clone)]
pub(crate) enum Happened {
    /// A step is about to be done.
    Begun(usize),
    /// A step was done, or why not.
    Ended { step: usize, outcome: Result<(), String> },
    /// The cut of that number is about to happen.
    Cutting(usize),
    /// A handler was polled for the first time.
    Ran { listener: usize, heard: Vec<Heard> },
    /// The handler ended that is at the place `run` in the list.
    Answered { run: usize, answer: Answer },
    /// When all had ended, the listeners had counted this.
    Counted(Counted),
    /// Then this lay in a queue.
    Found(Letter),
}

/// An event as somebody has it.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    /// Its number; `None` if it has none.
    pub(crate) number: Option<usize>,
    pub(crate) attempt: u32,
    pub(crate) redelivered: bool,
    pub(crate) message_id: String,
    /// What is not as it was told.
    pub(crate) wrong: Option<String>,
}

/// What a handler made of its events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    Handled,
    Requeued,
    Failed,
}

/// What lay in a queue at the end.
#[derive(Debug, Clone)]
pub(crate) struct Letter {
    /// The queue by its name in the program.
    pub(crate) queue: String,
    /// If it was a dead letter: what it says of itself.
    pub(crate) dead: Option<Dead>,
    pub(crate) heard: Heard,
}

/// What a dead letter says of itself.
#[derive(Debug, Clone)]
pub(crate) struct Dead {
    /// How often its handler tried it, or, of one at the limit of its queue, how many deliveries failed.
    pub(crate) tries: u32,
    /// Whether it reached the delivery limit of its queue.
    pub(crate) at_limit: bool,
    /// What is wrong.
    pub(crate) wrong: Option<String>,
}

/// What all listeners together have counted.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counted {
    pub(crate) handled: u64,
    pub(crate) dead: u64,
    pub(crate) dropped: u64,
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
            history.events.push((Instant::now(), Happened::Begun(number)));
        });
        number
    }

    /// Notes that a handler runs, and gives the place of that in the list.
    pub(crate) fn run(&self, listener: usize, heard: Vec<Heard>) -> usize {
        let mut run = 0;
        self.0.send_modify(|history| {
            run = history.events.len();
            history.events.push((Instant::now(), Happened::Ran { listener, heard }));
        });
        run
    }

    /// Notes anything else.
    pub(crate) fn note(&self, happened: Happened) {
        self.0.send_modify(|history| history.events.push((Instant::now(), happened)));
    }

    /// The event that has `number`.
    pub(crate) fn told(&self, number: usize) -> Option<Tell> {
        match self.0.borrow().steps.get(number) {
            Some(Step::Tell { tell, .. }) => Some(tell.clone()),
            _ => None,
        }
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
