//! The report of a run of programs: the rule that broke, the smallest program, its seed.

use std::fmt;

use super::explore::Explored;
use super::{Divergence, Generated, Options};
use crate::Failed;
use crate::console::print_error;
use crate::report::{Ended, Excused, Part, ProgramRun, Record};

/// The result of a run of programs of one kind.
#[derive(Debug)]
#[must_use = "it says whether every rule held"]
pub struct Report {
    /// The kind of program: `rpc`, `notify` or `delivery`.
    name: &'static str,
    /// What held for every program, for the report.
    held: String,
    /// How many rules each program was checked against.
    rules: usize,
    actors: String,
    options: Options,
    /// Empty without foreign actors.
    divergences: Vec<Divergence>,
    /// What ran, and the program that failed.
    explored: Explored,
}

impl Report {
    /// Lists the divergences too, if foreign actors played.
    pub(crate) fn rules<P: Generated>(options: Options, explored: Explored) -> Self {
        let rules = P::rules().len();
        let (held, actors) = (format!("{rules} rules held"), options.actors.to_string());
        let divergences = if options.actors.are_foreign() { P::divergences() } else { Vec::new() };
        Self { name: P::NAME, held, actors, rules, options, divergences, explored }
    }

    /// Counts the comparison with the driver `other` as one rule, which no divergence excuses.
    pub(crate) fn compared<P: Generated>(other: &str, options: Options, explored: Explored) -> Self {
        let held = format!("each gave the same on {other}");
        let (actors, divergences) = (format!("as on {other}"), Vec::new());
        Self { name: P::NAME, held, actors, rules: 1, options, divergences, explored }
    }

    /// Prints a success to standard error.
    ///
    /// Fails if a rule was broken, with the whole report as the text that the trial prints.
    pub(crate) fn print(&self) -> Result<(), Failed> {
        if self.held() {
            print_error(&self.to_string());
            return Ok(());
        }
        Err(Failed::from(self.to_string()))
    }

    /// The record that is written for the report page.
    pub(crate) fn record(&self, driver: String) -> Record {
        let ended = if self.held() { Ended::Passed } else { Ended::Failed(self.to_string()) };
        let Explored { programs, steps, took, .. } = &self.explored;
        let (kind, actors, seconds) = (self.name.to_owned(), self.actors.clone(), took.as_secs_f64());
        let (rules, seed, programs, steps) = (self.rules, self.options.seed, *programs, *steps);
        let excused = self.excused().collect();
        let run = ProgramRun { kind, actors, seed, programs, steps, rules, seconds, excused, ended };
        Record::new(driver, Part::Programs(run))
    }

    /// Whether every rule held. A run ends with the first program that breaks one.
    #[must_use]
    pub fn held(&self) -> bool {
        self.explored.found.is_none()
    }

    /// How many programs ran, the failed one included.
    #[must_use]
    pub fn programs(&self) -> u64 {
        self.explored.programs
    }
}

impl Report {
    /// The rules that foreign actors broke, how often, and the divergences that excuse them.
    fn excused(&self) -> impl Iterator<Item = Excused> {
        self.explored.excused.iter().map(|(rule, times)| {
            let naming = self.divergences.iter().filter(|other| other.rules.iter().any(|named| named.id == *rule));
            let by = naming.map(|divergence| divergence.id.to_owned()).collect();
            Excused { rule: (*rule).to_owned(), by, times: *times }
        })
    }

    /// Writes the divergences of foreign actors, and how often each rule was excused.
    fn write_excused(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for divergence in &self.divergences {
            write!(f, "\n  but for {}", divergence.id)?;
        }
        self.excused().try_for_each(|Excused { rule, by, times }| {
            write!(f, "\n  {times} times excused from {rule} by {}", by.join(" or "))
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, Explored { programs, steps, found, .. }) = (self.name, &self.explored);
        let Options { seed, actors, .. } = self.options;
        let (mut with, mut again) = (String::new(), String::new());
        if actors.are_foreign() {
            (with, again) = (format!("with {actors} actors, "), format!(" --actors {actors}"));
        }
        write!(f, "{name}: {programs} programs of {steps} steps from seed {seed}, {with}")?;
        let Some(found) = found else {
            write!(f, "and {}", self.held)?;
            return self.write_excused(f);
        };
        writeln!(f, "until one broke")?;
        for violation in &found.violations {
            writeln!(f, "  {violation}")?;
        }
        writeln!(
            f,
            "run it again with --programs 1 --seed {}{again}, or with --replay FILE the smallest program that fails:",
            found.seed
        )?;
        write!(f, "{}", found.json)
    }
}
