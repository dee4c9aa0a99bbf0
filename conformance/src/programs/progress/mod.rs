//! The progress of a run of programs: a bar on a terminal, a line now and then elsewhere.

#[cfg(feature = "progress-bar")]
mod bar;
#[cfg(not(feature = "progress-bar"))]
mod no_bar;

use std::cell::Cell;
use std::time::{Duration, Instant};

#[cfg(feature = "progress-bar")]
use self::bar::Bar;
#[cfg(not(feature = "progress-bar"))]
use self::no_bar::Bar;
use crate::console::print_error;

/// The time between two lines, without a bar.
const SILENCE: Duration = Duration::from_secs(10);

/// Shows the progress of a run. Dropping it removes its bar.
#[derive(Debug)]
pub(super) struct Progress {
    /// Begins each line, so that concurrent runs can be distinguished.
    name: String,
    /// The total that each line shows; fewer run if a rule breaks.
    programs: u64,
    /// `None` without a terminal, or without the feature `progress-bar`.
    bar: Option<Bar>,
    /// No line follows another one within [`SILENCE`].
    printed: Cell<Instant>,
}

impl Progress {
    /// The first line without a bar comes after [`SILENCE`] at the earliest.
    pub(super) fn new(name: &str, programs: u64) -> Self {
        Self { name: name.to_owned(), programs, bar: Bar::new(name, programs), printed: Cell::new(Instant::now()) }
    }

    /// Shows that the program of `seed` is next, after `done` programs with `steps` steps.
    /// Without a bar most calls print nothing.
    pub(super) fn next(&self, done: u64, steps: usize, seed: u64) {
        if let Some(bar) = &self.bar {
            bar.set(done, steps, seed);
        } else if self.printed.get().elapsed() >= SILENCE {
            self.printed.set(Instant::now());
            print_error(&line(&self.name, done, self.programs, steps, seed));
        }
    }
}

/// The line that is printed without a terminal.
fn line(name: &str, done: u64, programs: u64, steps: usize, seed: u64) -> String {
    format!("{name}: {done} of {programs} programs, {steps} steps, at seed {seed}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_many_programs_and_steps_there_were_and_which_seed_is_next() {
        assert_eq!(line("rpc", 120, 2_000, 2_914, 30_097), "rpc: 120 of 2000 programs, 2914 steps, at seed 30097");
    }
}
