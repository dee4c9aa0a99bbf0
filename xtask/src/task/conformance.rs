//! `cargo xtask conformance`: more generated programs than the tests run, by the chosen actors.

use std::path::{self, PathBuf};

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use xtask::broker::{self, Node, REQUIRE_LIVE};
use xtask::process::command::{cargo, run as run_command};
use xtask::process::interrupt::Interrupt;
use xtask::setup::python;
use xtask::setup::python::PYTHON;

/// Which programs are run, and on what.
#[derive(Debug, Args)]
pub(crate) struct Programs {
    /// How many of each kind.
    #[arg(long = "programs", value_name = "N", default_value_t = 100)]
    count: u64,
    /// What plays the programs of RPC and of notifications; without it, each of the three in turn.
    #[arg(long, value_enum)]
    actors: Option<Actors>,
    /// The seed of the first program; without it, a random one.
    #[arg(long)]
    seed: Option<u64>,
    /// A file with one program as JSON, as a report prints it: that one alone is played.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["count", "seed", "actors"])]
    replay: Option<PathBuf>,
    /// What they run on: a private node, or the in-memory broker, which only this library can reach.
    #[arg(long, value_enum, default_value_t = Driver::Amqp)]
    driver: Driver,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Actors {
    /// This library.
    Rust,
    /// The reference implementation.
    Python,
    /// Both, as each program's seed says.
    Mixed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Driver {
    Fake,
    Amqp,
}

/// Runs the programs; true if every rule held.
///
/// # Errors
/// When what they need is missing or makes no sense, or we are interrupted.
pub(crate) fn run(programs: &Programs, interrupt: &Interrupt) -> Result<bool> {
    let mut command = cargo(&["test"]);
    command.args(programs.arguments()?);
    let node = match programs.driver {
        Driver::Fake => None,
        Driver::Amqp => {
            broker::Programs::install()?;
            interrupt.check()?;
            if programs.actors != Some(Actors::Rust) {
                command.env(PYTHON, python::interpreter()?);
                interrupt.check()?;
            }
            let node = Node::start()?;
            node.export(&mut command);
            command.env(REQUIRE_LIVE, "1");
            Some(node)
        }
    };
    let status = run_command(&mut command, interrupt)?;
    if let Some(node) = node {
        node.stop()?;
    }
    Ok(status.success())
}

impl Programs {
    /// The arguments of cargo and, behind `--`, of the test.
    fn arguments(&self) -> Result<Vec<String>> {
        let package = match (self.driver, self.actors) {
            (Driver::Fake, Some(Actors::Python | Actors::Mixed)) => {
                bail!("the in-memory broker lives in one process, which no Python can reach; take --driver amqp")
            }
            (Driver::Fake, _) => "oslo-messaging-fake",
            (Driver::Amqp, _) => "oslo-messaging-amqp",
        };
        let mut arguments = words(&["-p", package, "--test", "programs", "--"]);
        if let Some(file) = &self.replay {
            // The test runs in the folder of its package.
            let file = path::absolute(file)?;
            arguments.extend(words(&["--replay", &file.display().to_string()]));
            return Ok(arguments);
        }
        arguments.extend(words(&["--programs", &self.count.to_string()]));
        if let Some(actors) = self.actors.and_then(|actors| actors.to_possible_value()) {
            arguments.extend(words(&["--actors", actors.get_name()]));
        }
        if let Some(seed) = self.seed {
            arguments.extend(words(&["--seed", &seed.to_string()]));
        }
        Ok(arguments)
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn programs(driver: Driver, actors: Option<Actors>) -> Programs {
        Programs { count: 7, actors, seed: Some(3), replay: None, driver }
    }

    #[test]
    fn the_programs_of_a_driver_are_asked_for_what_was_said() {
        let arguments = programs(Driver::Amqp, Some(Actors::Mixed)).arguments().unwrap().join(" ");
        assert_eq!(arguments, "-p oslo-messaging-amqp --test programs -- --programs 7 --actors mixed --seed 3");
        let arguments = programs(Driver::Fake, None).arguments().unwrap().join(" ");
        assert_eq!(arguments, "-p oslo-messaging-fake --test programs -- --programs 7 --seed 3");
    }

    #[test]
    fn a_program_in_a_file_is_replayed_alone() {
        let replay = Some(PathBuf::from("/tmp/program.json"));
        let arguments = Programs { replay, ..programs(Driver::Fake, None) }.arguments().unwrap().join(" ");
        assert_eq!(arguments, "-p oslo-messaging-fake --test programs -- --replay /tmp/program.json");
    }

    #[test]
    fn no_python_is_sent_to_the_broker_in_memory() {
        let refused = programs(Driver::Fake, Some(Actors::Mixed)).arguments().unwrap_err();
        assert!(refused.to_string().contains("--driver amqp"), "{refused}");
    }
}
