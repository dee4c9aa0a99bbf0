//! How many programs are run, and which.

use std::env;

/// Names the seed of the first program of a run.
pub const SEED: &str = "OSLO_TEST_SEED";
/// Names how many programs of each kind a run has.
pub const PROGRAMS: &str = "OSLO_TEST_PROGRAMS";

/// Which programs are run. A program has a seed of its own: the first that of the options, each later one the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// How many programs of each kind.
    pub programs: u64,
    /// The seed of the first one.
    pub seed: u64,
}

impl Options {
    /// So many programs from a seed that nobody chose.
    #[must_use]
    pub fn new(programs: u64) -> Self {
        let seed = uuid::Uuid::new_v4().as_u64_pair().0 >> 16;
        Self { programs, seed }
    }

    /// Begins with the program of `seed`.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// As [`new`](Self::new), changed by what the environment and then the command line (`--seed N`, `--programs N`)
    /// say; gives the rest of the command line too.
    ///
    /// # Errors
    /// What is no number.
    pub fn from_environment(programs: u64) -> Result<(Self, Vec<String>), String> {
        let mut options = Self::new(programs);
        for (variable, name) in [(SEED, "--seed"), (PROGRAMS, "--programs")] {
            if let Ok(value) = env::var(variable) {
                options.set(name, &value)?;
            }
        }
        let rest = options.take(env::args())?;
        Ok((options, rest))
    }

    fn take(&mut self, arguments: impl IntoIterator<Item = String>) -> Result<Vec<String>, String> {
        let (mut rest, mut arguments) = (Vec::new(), arguments.into_iter());
        while let Some(argument) = arguments.next() {
            match argument.split_once('=') {
                Some((name @ ("--seed" | "--programs"), value)) => self.set(name, value)?,
                None if argument == "--seed" || argument == "--programs" => {
                    let value = arguments.next().ok_or_else(|| format!("{argument} needs a number"))?;
                    self.set(&argument, &value)?;
                }
                _ => rest.push(argument),
            }
        }
        Ok(rest)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let number = value.parse().map_err(|_| format!("{name} needs a number, not '{value}'"))?;
        match name {
            "--seed" => self.seed = number,
            _ => self.programs = number,
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
    fn seed_and_count_are_taken_out_of_the_command_line() {
        let mut options = Options::new(1);
        let rest = options.take(words("run --seed 7 --nocapture --programs=40 rpc")).unwrap();
        assert_eq!((options.seed, options.programs), (7, 40));
        assert_eq!(rest, words("run --nocapture rpc"));
    }

    #[test]
    fn what_is_no_number_is_told() {
        assert_eq!(Options::new(1).take(words("--seed seven")).unwrap_err(), "--seed needs a number, not 'seven'");
        assert_eq!(Options::new(1).take(words("--programs")).unwrap_err(), "--programs needs a number");
    }
}
