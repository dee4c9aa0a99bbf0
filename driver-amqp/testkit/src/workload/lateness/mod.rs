//! How long past its deadline anything ended. Pure.

#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use super::history::History;

/// How late anything may end, as G7 promises it.
const PROMISED: Duration = Duration::from_millis(100);
/// How many must have been ended by their deadlines for the median of them to say something. A machine under load lets some
/// timers fire late, so a rule for each of them allows ten times as much; it does not let half of them.
const ENOUGH: usize = 20;

/// The lateness of operations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lateness {
    all: usize,
    /// By how much each exceeded its deadline that did not end before.
    over: Vec<Duration>,
}

impl Lateness {
    pub fn add(&mut self, history: &History) {
        self.all += history.ended.len();
        let over = history.ended.iter().filter_map(|ended| ended.took().checked_sub(ended.allowed));
        self.over.extend(over);
        self.over.sort_unstable();
    }

    /// What breaks G7, if half of the late ones are too late.
    pub fn objection(&self) -> Option<String> {
        let median = self.over.get(self.over.len() / 2).copied().unwrap_or_default();
        let broken = self.over.len() >= ENOUGH && median > PROMISED;
        broken.then(|| format!("G7: half of {} ended {median:?} past their deadlines or later", self.over.len()))
    }
}

impl fmt::Display for Lateness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |percent: usize| self.over.get(self.over.len() * percent / 100).copied().unwrap_or_default();
        let (latest, reached) = (self.over.last().copied().unwrap_or_default(), self.over.len());
        let (median, most) = (at(50), at(99));
        write!(f, "{reached} of {} were ended by their deadlines, ", self.all)?;
        write!(f, "{median:.1?} (median), {most:.1?} (99 %), {latest:.1?} (all) past them")
    }
}
