//! No bar, without the feature `progress-bar`.

/// A bar that cannot exist: progress is shown as lines.
#[derive(Debug)]
pub(super) enum Bar {}

impl Bar {
    /// Always `None`.
    pub(super) fn new(_name: &str, _programs: u64) -> Option<Self> {
        None
    }

    /// Cannot be called.
    pub(super) fn set(&self, _done: u64, _steps: usize, _seed: u64) {
        match *self {}
    }
}
