//! A row of the table: what is compared, and what it ought to be.

use std::fmt;

use crate::task::bench::plan::program::Program;
use crate::task::bench::run::samples::Reading;

/// A figure with a target.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    /// Names the row in benches/recorded.json; it never changes.
    pub(crate) id: String,
    pub(crate) work: String,
    pub(crate) against: String,
    pub(crate) of: Reading,
    /// Where it is a ratio.
    pub(crate) to: Option<Reading>,
    pub(crate) target: Target,
    pub(crate) unit: Unit,
}

/// What a figure ought to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Target {
    AtLeast(f64),
    AtMost(f64),
    /// Nothing: it is there to be compared with.
    Shown,
}

/// How a figure is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Ratio,
    Count,
    Bytes,
    Seconds,
    Milliseconds,
    /// Operations a second.
    Rate,
}

impl Row {
    /// The ratio of a figure to that of another program at the same point.
    pub(crate) fn ratio(work: &str, of: Reading, peer: Program, target: Target) -> Self {
        let mut row = Self::between(work, &peer.to_string(), of, Reading { program: peer, ..of }, target);
        row.id = format!("{}/{}/{}/{}", of.experiment, of.at, peer.id(), of.figure);
        row
    }

    /// The ratio of two figures.
    pub(crate) fn between(work: &str, against: &str, of: Reading, to: Reading, target: Target) -> Self {
        let id = format!("{}/{}/{}/{}-{}", of.experiment, of.at, of.figure, to.at, to.figure);
        let (work, against) = (work.to_owned(), against.to_owned());
        Self { id, work, against, of, to: Some(to), target, unit: Unit::Ratio }
    }

    /// A figure by itself.
    pub(crate) fn figure(work: &str, of: Reading, target: Target, unit: Unit) -> Self {
        let id = format!("{}/{}/{}/{}", of.experiment, of.at, of.program.id(), of.figure);
        Self { id, work: work.to_owned(), against: String::new(), of, to: None, target, unit }
    }
}

impl Target {
    /// Whether `figure` meets it; nothing where nothing is asked.
    pub(crate) fn is_met(self, figure: f64) -> Option<bool> {
        match self {
            Self::AtLeast(bound) => Some(figure >= bound),
            Self::AtMost(bound) => Some(figure <= bound),
            Self::Shown => None,
        }
    }

    pub(crate) fn show(self, unit: Unit) -> String {
        match self {
            Self::AtLeast(bound) => format!("≥ {}", unit.show(bound)),
            Self::AtMost(bound) => format!("≤ {}", unit.show(bound)),
            Self::Shown => "–".to_owned(),
        }
    }
}

impl Unit {
    pub(crate) fn show(self, figure: f64) -> String {
        match self {
            Self::Ratio if figure >= 10.0 => format!("{figure:.1}"),
            Self::Ratio => format!("{figure:.2}"),
            Self::Count if figure < 100.0 => format!("{figure:.1}"),
            Self::Count => thousands(figure),
            Self::Bytes if figure < 10_000.0 => format!("{} B", thousands(figure)),
            Self::Bytes if figure < 1_000_000.0 => format!("{:.1} kB", figure / 1e3),
            Self::Bytes => format!("{:.1} MB", figure / 1e6),
            Self::Seconds => format!("{figure:.2} s"),
            Self::Milliseconds => format!("{figure:.2} ms"),
            Self::Rate => format!("{}/s", thousands(figure)),
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.work)?;
        if self.against.is_empty() { Ok(()) } else { write!(f, " against {}", self.against) }
    }
}

/// A whole number with commas.
fn thousands(figure: f64) -> String {
    let digits = format!("{figure:.0}");
    let mut shown = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_part_of_what_meets_it() {
        assert_eq!(Target::AtLeast(0.95).is_met(0.95), Some(true));
        assert_eq!(Target::AtLeast(0.95).is_met(0.94), Some(false));
        assert_eq!(Target::AtMost(120.0).is_met(121.0), Some(false));
        assert_eq!(Target::Shown.is_met(1.0), None);
    }

    #[test]
    fn figures_are_written_in_their_units() {
        assert_eq!(Unit::Ratio.show(0.804), "0.80");
        assert_eq!(Unit::Ratio.show(11.94), "11.9");
        assert_eq!(Unit::Count.show(135_400.0), "135,400");
        assert_eq!(Unit::Count.show(4.84), "4.8");
        assert_eq!(Unit::Bytes.show(8_456.0), "8,456 B");
        assert_eq!(Unit::Bytes.show(17_600.0), "17.6 kB");
        assert_eq!(Unit::Bytes.show(199e6), "199.0 MB");
        assert_eq!(Target::AtMost(2.0).show(Unit::Seconds), "≤ 2.00 s");
    }
}
