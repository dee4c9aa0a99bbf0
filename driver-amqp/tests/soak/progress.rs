//! How far a run has come: a bar on a terminal, a line now and then elsewhere.

use std::io::{IsTerminal as _, stderr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// How long there is no word where there is no terminal.
const SILENCE: Duration = Duration::from_secs(30);

/// Shows how far a run has come. Dropping it removes the bar.
#[derive(Debug)]
pub(crate) struct Progress {
    length: Duration,
    bar: Option<ProgressBar>,
    reported: Mutex<Duration>,
}

impl Progress {
    pub(crate) fn new(length: Duration) -> Self {
        let bar = stderr().is_terminal().then(|| {
            let style =
                ProgressStyle::with_template("soak {bar:30} {pos}/{len} s, {msg}").expect("the template is right");
            ProgressBar::new(length.as_secs()).with_style(style)
        });
        Self { length, bar, reported: Mutex::new(Duration::ZERO) }
    }

    /// Shows the operations by now.
    pub(crate) fn at(&self, now: Duration, attempted: u32, failed: u64) {
        let done = format!("{attempted} operations, {failed} failed");
        if let Some(bar) = &self.bar {
            bar.set_position(now.min(self.length).as_secs());
            bar.set_message(done);
            return;
        }
        let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        if now >= *reported + SILENCE {
            *reported = now;
            eprintln!("soak: {} of {} s, {done}", now.as_secs(), self.length.as_secs());
        }
    }

    /// Shows an event.
    pub(crate) fn note(&self, what: &str) {
        match &self.bar {
            Some(bar) => bar.println(what),
            None => eprintln!("soak: {what}"),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
