//! A bar on a terminal, with the feature `progress-bar`.

use std::io::{IsTerminal as _, stderr};
use std::sync::LazyLock;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// The bars of every run of this process: trials run concurrently.
static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// The bar of one run. Dropping it removes it from the terminal.
#[derive(Debug)]
pub(super) struct Bar(ProgressBar);

impl Bar {
    /// `None` if standard error is no terminal.
    pub(super) fn new(name: &str, programs: u64) -> Option<Self> {
        stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{prefix:>10} {bar:30} {pos}/{len} programs, {msg}")
                .expect("the template is valid");
            Self(BARS.add(ProgressBar::new(programs).with_style(style).with_prefix(name.to_owned())))
        })
    }

    /// Shows how many programs ran, with how many steps, and the seed of the next one.
    pub(super) fn set(&self, done: u64, steps: usize, seed: u64) {
        self.0.set_position(done);
        self.0.set_message(format!("{steps} steps, seed {seed}"));
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
        BARS.remove(&self.0);
    }
}
