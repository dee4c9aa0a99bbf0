//! `cargo xtask soak`: mixed traffic under faults for some minutes, or the check of an earlier run's records.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};
use xtask::broker::{BROKER, Programs};
use xtask::process::command::{cargo, run as run_command};
use xtask::process::interrupt::Interrupt;
use xtask::workspace_root;

/// The variables that the test target reads.
const SECONDS: &str = "OSLO_SOAK_SECONDS";
const QUEUES: &str = "OSLO_SOAK_QUEUES";
const HISTORY: &str = "OSLO_SOAK_HISTORY";
const CHECK: &str = "OSLO_SOAK_CHECK";
const SEED: &str = "OSLO_TEST_SEED";

/// Blocks of this many bytes and more go back to the system as soon as they are free. What the C library keeps of them for
/// later, and lapin has some of 4 MiB for each connection, would hide what grows.
const GIVEN_BACK: (&str, &str) = ("MALLOC_MMAP_THRESHOLD_", "131072");

/// Where in the workspace the records of a run go by default.
const USUAL: &str = "target/soak.jsonl";

/// How long, and what on.
#[derive(Debug, Args)]
pub(crate) struct Soak {
    /// How many minutes. From ten on, growth of memory, threads or descriptors is a failure.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=10_080))]
    minutes: u64,
    /// The seed of the operations and of the faults; without it, a random one.
    #[arg(long)]
    seed: Option<u64>,
    /// The type of the shared queues.
    #[arg(long, value_enum, default_value_t = Queues::Durable)]
    queues: Queues,
    /// The file for the records of the run, a JSON object a line; by default `target/soak.jsonl`.
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
    /// Only checks the rules on the file of an earlier run.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["minutes", "seed", "queues", "history"])]
    check: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Queues {
    /// Classic queues that outlive a restart.
    Durable,
    /// Quorum queues.
    Quorum,
}

/// Runs the soak on a private node; true if every rule held.
///
/// # Errors
/// When what it needs is missing, or we are interrupted.
pub(crate) fn run(soak: &Soak, interrupt: &Interrupt) -> Result<bool> {
    let mut command = cargo(&["test", "--quiet", "-p", "oslo-messaging-amqp", "--test", "soak"]);
    if soak.check.is_none() {
        Programs::install()?;
        interrupt.check()?;
    }
    soak.configure(&mut command)?;
    Ok(run_command(&mut command, interrupt)?.success())
}

impl Soak {
    fn configure(&self, command: &mut Command) -> Result<()> {
        for variable in [SECONDS, QUEUES, HISTORY, CHECK, SEED, BROKER] {
            // The caller's own environment may name something else.
            command.env_remove(variable);
        }
        if let Some(file) = &self.check {
            if !file.is_file() {
                bail!("{} is no file", file.display());
            }
            command.env(CHECK, absolute(file)?);
            return Ok(());
        }
        let queues = self.queues.to_possible_value().expect("no value is hidden");
        command.env(SECONDS, (self.minutes * 60).to_string()).env(QUEUES, queues.get_name());
        let history = self.history.as_deref().map_or_else(|| Ok(workspace_root().join(USUAL)), absolute)?;
        command.env(HISTORY, history).env(GIVEN_BACK.0, GIVEN_BACK.1);
        if let Some(seed) = self.seed {
            command.env(SEED, seed.to_string());
        }
        Ok(())
    }
}

/// The test runs in another directory.
fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("there is no {}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Arguments {
        #[command(flatten)]
        soak: Soak,
    }

    fn environment(arguments: &[&str]) -> HashMap<String, String> {
        let arguments = Arguments::try_parse_from([&["soak"], arguments].concat()).unwrap();
        let mut command = Command::new("nothing");
        arguments.soak.configure(&mut command).unwrap();
        let text = |text: &std::ffi::OsStr| text.to_string_lossy().into_owned();
        command.get_envs().filter_map(|(name, value)| Some((text(name), text(value?)))).collect()
    }

    #[test]
    fn a_run_is_given_its_duration_and_its_history_file() {
        let environment = environment(&["--minutes", "30", "--seed", "7", "--queues", "quorum"]);
        assert_eq!(
            (environment[SECONDS].as_str(), environment[SEED].as_str(), environment[QUEUES].as_str()),
            ("1800", "7", "quorum")
        );
        assert!(
            Path::new(&environment[HISTORY]).is_absolute() && environment[HISTORY].ends_with(USUAL),
            "{environment:?}"
        );
    }

    #[test]
    fn a_check_runs_nothing() {
        let environment = environment(&["--check", "Cargo.toml"]);
        assert!(environment.contains_key(CHECK) && !environment.contains_key(SECONDS), "{environment:?}");
        assert!(Arguments::try_parse_from(["soak", "--check", "a", "--seed", "7"]).is_err());
    }
}
