//! How many programs are run, which, and by whom they are played.

use std::env;
use std::path::PathBuf;

use super::Actors;

/// Names the seed of the first program of a run.
pub const SEED: &str = "OSLO_TEST_SEED";
/// Names how many programs of each kind a run has.
pub const PROGRAMS: &str = "OSLO_TEST_PROGRAMS";
/// Names by whom programs are played: `rust`, `python` or `mixed`.
pub const ACTORS: &str = "OSLO_TEST_ACTORS";
/// Names a file with a program as JSON, as a report prints it. The test of programs then runs that one alone.
pub const REPLAY: &str = "OSLO_TEST_REPLAY";

/// The options that the test takes out of the command line, with the variable of each.
const NAMES: [(&str, &str); 4] =
    [(SEED, "--seed"), (PROGRAMS, "--programs"), (ACTORS, "--actors"), (REPLAY, "--replay")];

/// Which programs are run. A program has a seed of its own: the first that of the options, each later one the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// How many programs of each kind.
    pub programs: u64,
    /// The seed of the first one.
    pub seed: u64,
    /// By whom programs of RPC are played. Default: by this library.
    pub actors: Actors,
}

/// What the environment and the command line ask for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Wishes {
    pub(crate) programs: Option<u64>,
    pub(crate) seed: Option<u64>,
    pub(crate) actors: Option<Actors>,
    /// The file of the one program to run.
    pub(crate) replay: Option<PathBuf>,
}

impl Options {
    /// So many programs from a seed that nobody chose.
    #[must_use]
    pub fn new(programs: u64) -> Self {
        let seed = uuid::Uuid::new_v4().as_u64_pair().0 >> 16;
        Self { programs, seed, actors: Actors::Rust }
    }

    /// Begins with the program of `seed`.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Has programs of RPC played by `actors`.
    #[must_use]
    pub fn with_actors(mut self, actors: Actors) -> Self {
        self.actors = actors;
        self
    }

    /// As [`new`](Self::new), changed by what the environment and then the command line (`--seed N`, `--programs N`,
    /// `--actors rust|python|mixed`) say; gives the rest of the command line too.
    ///
    /// # Errors
    /// What is no number, and who is no actor.
    pub fn from_environment(programs: u64) -> Result<(Self, Vec<String>), String> {
        let (wishes, rest) = Wishes::from_environment()?;
        Ok((wishes.options(wishes.actors.unwrap_or_default(), programs), rest))
    }
}

impl Wishes {
    /// What is asked for, and the rest of the command line.
    pub(crate) fn from_environment() -> Result<(Self, Vec<String>), String> {
        let mut wishes = Self::default();
        for (variable, name) in NAMES {
            if let Ok(value) = env::var(variable) {
                wishes.set(name, &value)?;
            }
        }
        let rest = wishes.take(env::args())?;
        Ok((wishes, rest))
    }

    /// The options of a run by `actors`, of `programs` if no other number is wished for.
    pub(crate) fn options(&self, actors: Actors, programs: u64) -> Options {
        let options = Options::new(self.programs.unwrap_or(programs)).with_actors(actors);
        self.seed.map_or(options, |seed| options.with_seed(seed))
    }

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
        let mut wishes = Wishes::default();
        let rest = wishes.take(words("run --seed 7 --nocapture --programs=40 --actors mixed rpc")).unwrap();
        let options = wishes.options(Actors::Mixed, 1);
        assert_eq!((options.seed, options.programs, wishes.actors), (7, 40, Some(Actors::Mixed)));
        assert_eq!(rest, words("run --nocapture rpc"));
    }

    #[test]
    fn what_is_not_wished_for_is_as_planned() {
        let options = Wishes::default().options(Actors::Python, 25);
        assert_eq!((options.programs, options.actors), (25, Actors::Python));
    }

    #[test]
    fn what_is_no_number_is_told() {
        let taken = |text| Wishes::default().take(words(text)).unwrap_err();
        assert_eq!(taken("--seed seven"), "--seed needs a number, not 'seven'");
        assert_eq!(taken("--programs"), "--programs needs a value");
        assert_eq!(taken("--actors=go"), "actors are rust, python or mixed, not 'go'");
    }
}
