//! Options of a run of programs: how many, which, and with which actors.

use std::env;
use std::path::PathBuf;

use super::Actors;

/// The environment variable for the seed of the first program.
pub const SEED: &str = "OSLO_TEST_SEED";
/// The environment variable for the number of programs of each kind.
pub const PROGRAMS: &str = "OSLO_TEST_PROGRAMS";
/// The environment variable for the actors of programs of RPC and of notifications: `rust`, `python` or `mixed`.
pub const ACTORS: &str = "OSLO_TEST_ACTORS";
/// The environment variable for a file with one program as JSON, as a report prints it. The
/// test of programs then runs only that program.
pub const REPLAY: &str = "OSLO_TEST_REPLAY";

/// The options that the test takes out of the command line, with the variable of each.
const NAMES: [(&str, &str); 4] =
    [(SEED, "--seed"), (PROGRAMS, "--programs"), (ACTORS, "--actors"), (REPLAY, "--replay")];

/// Which programs run. Each program has a seed: the first one that of the options, each later one the next number.
/// The same seed, number and actors give the same programs again on a harness with the same disturbances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// How many programs of each kind.
    pub programs: u64,
    /// The seed of the first program; each later one has the next number.
    pub seed: u64,
    /// Which implementation plays programs of RPC and of notifications. Default: this library.
    pub actors: Actors,
}

/// The options that the environment and the command line set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Overrides {
    /// `None` leaves the number that the test plans.
    pub(crate) programs: Option<u64>,
    /// `None` draws a random one.
    pub(crate) seed: Option<u64>,
    /// `None` runs every planned kind of actors.
    pub(crate) actors: Option<Actors>,
    /// The file of the one program to run.
    pub(crate) replay: Option<PathBuf>,
}

impl Options {
    /// `programs` programs of each kind, from a random seed.
    #[must_use]
    pub fn new(programs: u64) -> Self {
        let seed = uuid::Uuid::new_v4().as_u64_pair().0 >> 16;
        Self { programs, seed, actors: Actors::Rust }
    }

    /// The first program gets `seed`, each later one the next number.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Has no effect on programs of delivery, which have no actors.
    #[must_use]
    pub fn with_actors(mut self, actors: Actors) -> Self {
        self.actors = actors;
        self
    }

    /// [`new`](Self::new), changed by the environment and then by the command line (`--seed N`, `--programs N`,
    /// `--actors rust|python|mixed`). Also returns the rest of the command line.
    ///
    /// # Errors
    /// A value is not a number, or not the name of actors.
    pub fn from_environment(programs: u64) -> Result<(Self, Vec<String>), String> {
        let (overrides, rest) = Overrides::from_environment()?;
        Ok((overrides.options(overrides.actors.unwrap_or_default(), programs), rest))
    }
}

impl Overrides {
    /// The options, and the rest of the command line.
    ///
    /// Fails as [`Options::from_environment`] does.
    pub(crate) fn from_environment() -> Result<(Self, Vec<String>), String> {
        let mut overrides = Self::default();
        for (variable, name) in NAMES {
            if let Ok(value) = env::var(variable) {
                overrides.set(name, &value)?;
            }
        }
        let rest = overrides.take(env::args())?;
        Ok((overrides, rest))
    }

    /// The options of a run with `actors`; `programs` is the default number.
    pub(crate) fn options(&self, actors: Actors, programs: u64) -> Options {
        let options = Options::new(self.programs.unwrap_or(programs)).with_actors(actors);
        self.seed.map_or(options, |seed| options.with_seed(seed))
    }

    /// `--name value` and `--name=value` are read alike; unknown arguments are returned in their order.
    ///
    /// Fails if an option has no value, or a wrong one.
    fn take(&mut self, arguments: impl IntoIterator<Item = String>) -> Result<Vec<String>, String> {
        let (mut rest, mut arguments) = (Vec::new(), arguments.into_iter());
        while let Some(argument) = arguments.next() {
            let (name, value) = match argument.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (argument.as_str(), None),
            };
            if NAMES.iter().any(|(_, known)| *known == name) {
                let value = value.or_else(|| arguments.next()).ok_or_else(|| format!("{name} needs a value"))?;
                self.set(name, &value)?;
            } else {
                rest.push(argument);
            }
        }
        Ok(rest)
    }

    /// The last value of an option counts.
    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let number = || value.parse().map_err(|_| format!("{name} needs a number, not '{value}'"));
        match name {
            "--actors" => self.actors = Some(value.parse()?),
            "--replay" => self.replay = Some(value.into()),
            "--seed" => self.seed = Some(number()?),
            _ => self.programs = Some(number()?),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn seed_count_and_actors_are_taken_out_of_the_command_line() {
        let mut overrides = Overrides::default();
        let rest = overrides.take(words("run --seed 7 --nocapture --programs=40 --actors mixed rpc")).unwrap();
        let options = overrides.options(Actors::Mixed, 1);
        assert_eq!((options.seed, options.programs, overrides.actors), (7, 40, Some(Actors::Mixed)));
        assert_eq!(rest, words("run --nocapture rpc"));
    }

    #[test]
    fn options_that_are_not_set_are_as_planned() {
        let options = Overrides::default().options(Actors::Python, 25);
        assert_eq!((options.programs, options.actors), (25, Actors::Python));
    }

    #[test]
    fn an_invalid_value_is_an_error() {
        let taken = |text| Overrides::default().take(words(text)).unwrap_err();
        assert_eq!(taken("--seed seven"), "--seed needs a number, not 'seven'");
        assert_eq!(taken("--programs"), "--programs needs a value");
        assert_eq!(taken("--actors=go"), "actors are rust, python or mixed, not 'go'");
    }
}
