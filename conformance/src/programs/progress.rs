//! The progress of a run of programs: a bar on a terminal, a line now and then elsewhere.

use std::cell::Cell;
use std::io::{IsTerminal as _, stderr};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::console::print_error;

/// The time between two lines, without a terminal.
const SILENCE: Duration = Duration::from_secs(10);

/// The bars of every run of this process: trials run concurrently.
static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// Shows the progress of a run. Dropping it removes its bar.
#[derive(Debug)]
pub(super) struct Progress {
    /// The kind of program.
    name: String,
    /// How many will run.
    programs: u64,
    /// `None` without a terminal.
    bar: Option<ProgressBar>,
    /// When the last line was printed.
    printed: Cell<Instant>,
}

impl Progress {
    /// The first line without a terminal comes after [`SILENCE`] at the earliest.
    pub(super) fn new(name: &str, programs: u64) -> Self {
        let bar = stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{prefix:>10} {bar:30} {pos}/{len} programs, {msg}")
                .expect("the template is valid");
            BARS.add(ProgressBar::new(programs).with_style(style).with_prefix(name.to_owned()))
        });
        Self { name: name.to_owned(), programs, bar, printed: Cell::new(Instant::now()) }
    }

    /// Shows that the program of `seed` is next, after `done` programs with `steps` steps.
    /// Without a terminal most calls print nothing.
    pub(super) fn next(&self, done: u64, steps: usize, seed: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(done);
            bar.set_message(format!("{steps} steps, seed {seed}"));
        } else if self.printed.get().elapsed() >= SILENCE {
            self.printed.set(Instant::now());
            print_error(&line(&self.name, done, self.programs, steps, seed));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
            BARS.remove(bar);
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
