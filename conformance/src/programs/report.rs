//! What a run of programs found, for people.

use std::fmt;

use super::explore::Explored;
use super::{Divergence, Generated, Options};

/// How a run of programs of one kind ended.
#[derive(Debug)]
#[must_use = "it says whether every rule held"]
pub struct Report {
    name: &'static str,
    rules: usize,
    options: Options,
    divergences: Vec<Divergence>,
    explored: Explored,
}

impl Report {
    pub(crate) fn new<P: Generated>(options: Options, explored: Explored) -> Self {
        let divergences = if options.actors.are_foreign() { P::divergences() } else { Vec::new() };
        Self { name: P::NAME, rules: P::rules().len(), options, divergences, explored }
    }

    /// Whether every rule held in every program.
    #[must_use]
    pub fn held(&self) -> bool {
        self.explored.found.is_none()
    }

    /// How many programs ran.
    #[must_use]
    pub fn programs(&self) -> u64 {
        self.explored.programs
    }
}

impl Report {
    /// What foreign actors may do instead of keeping a rule, and how often they did.
    fn excused(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for divergence in &self.divergences {
            write!(f, "\n  but for {}", divergence.id)?;
        }
        self.explored.excused.iter().try_for_each(|(rule, times)| {
            let by =
                self.divergences.iter().filter(|divergence| divergence.rules.iter().any(|named| named.id == *rule));
            let by: Vec<&str> = by.map(|divergence| divergence.id).collect();
            write!(f, "\n  {times} times excused from {rule} by {}", by.join(" or "))
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, Explored { programs, steps, found, .. }) = (self.name, &self.explored);
        let Options { seed, actors, .. } = self.options;
        let (with, again) = match actors.are_foreign() {
            true => (format!("with {actors} actors, "), format!(" --actors {actors}")),
            false => (String::new(), String::new()),
        };
        write!(f, "{name}: {programs} programs of {steps} steps from seed {seed}, {with}")?;
        let Some(found) = found else {
            write!(f, "and {} rules held", self.rules)?;
            return self.excused(f);
        };
        writeln!(f, "until one broke")?;
        for violation in &found.violations {
            writeln!(f, "  {violation}")?;
        }
        writeln!(f, "run it again with --programs 1 --seed {}{again}; the smallest program that fails:", found.seed)?;
        write!(f, "{}", found.code)
    }
}
