//! `cargo xtask fuzz`: runs the fuzz targets, and keeps what they find.

use std::fs;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use xtask::process::command::{run as run_command, rustup_cargo};
use xtask::process::interrupt::Interrupt;
use xtask::workspace_root;

/// How long one input may take, in seconds.
const TIMEOUT: u32 = 10;

/// What is fuzzed, and for how long.
#[derive(Debug, Args)]
pub(crate) struct Fuzzing {
    /// For each target, in turn.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    minutes: u32,
    /// One of `fuzz/fuzz_targets`; without it, all of them.
    target: Option<String>,
}

/// Fuzzes; true if nothing was found. Begins with the corpora in `core/tests/fuzz`, which the tests replay, and with what
/// earlier runs have left in `fuzz/corpus`.
///
/// # Errors
/// When something that it takes is not installed, or we are interrupted.
pub(crate) fn run(fuzzing: &Fuzzing, interrupt: &Interrupt) -> Result<bool> {
    check_tools()?;
    let mut found = Vec::new();
    for target in fuzzing.chosen(targets()?)? {
        eprintln!("--- {target}");
        let own = workspace_root().join("fuzz/corpus").join(&target);
        fs::create_dir_all(&own).with_context(|| format!("could not make {}", own.display()))?;
        // By itself, so that what does not build is not taken for something that was found.
        ensure!(run_command(&mut cargo_fuzz(&["build", &target]), interrupt)?.success(), "{target} does not build");
        if !run_command(&mut fuzz(&target, fuzzing.minutes), interrupt)?.success() {
            found.push(target);
        }
    }
    match found.as_slice() {
        [] => println!("fuzz: nothing found"),
        found => println!(
            "fuzz: found something in: {}\nThe inputs are in fuzz/artifacts: mend what they show, and keep each in the corpus that the tests replay",
            found.join(", ")
        ),
    }
    Ok(found.is_empty())
}

impl Fuzzing {
    fn chosen(&self, all: Vec<String>) -> Result<Vec<String>> {
        let Some(target) = &self.target else { return Ok(all) };
        ensure!(all.contains(target), "there is no target {target}, but {}", all.join(", "));
        Ok(vec![target.clone()])
    }
}

/// Fuzzing takes a compiler that can instrument, and the program that drives it.
fn check_tools() -> Result<()> {
    for (arguments, missing) in [
        (&["+nightly", "--version"][..], "there is no nightly toolchain: `rustup toolchain install nightly`"),
        (&["+nightly", "fuzz", "--version"], "cargo-fuzz is not installed: `cargo install --locked cargo-fuzz`"),
    ] {
        let asked = rustup_cargo().args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
        if !asked.is_ok_and(|status| status.success()) {
            bail!("{missing}");
        }
    }
    Ok(())
}

fn fuzz(target: &str, minutes: u32) -> Command {
    let mut command = cargo_fuzz(&["run", target]);
    command.args([format!("fuzz/corpus/{target}"), kept_corpus(target)]);
    command.args(["--".to_owned(), format!("-max_total_time={}", minutes * 60), format!("-timeout={TIMEOUT}")]);
    command
}

/// The inputs that the tests replay.
fn kept_corpus(target: &str) -> String {
    match target {
        "frames" => "driver-amqp/src/frames/tests/corpus".to_owned(),
        _ => format!("core/tests/fuzz/corpus/{target}"),
    }
}

fn cargo_fuzz(arguments: &[&str]) -> Command {
    let mut command = rustup_cargo();
    command.args(["+nightly", "fuzz"]).args(arguments);
    command
}

fn targets() -> Result<Vec<String>> {
    let directory = workspace_root().join("fuzz/fuzz_targets");
    let entries = fs::read_dir(&directory).with_context(|| format!("could not read {}", directory.display()))?;
    let stem = |entry: std::io::Result<fs::DirEntry>| -> Result<Option<String>> {
        let path = entry?.path();
        let source = path.extension().is_some_and(|extension| extension == "rs");
        Ok(path.file_stem().filter(|_| source).and_then(|stem| Some(stem.to_str()?.to_owned())))
    };
    let mut targets: Vec<_> = entries.filter_map(|entry| stem(entry).transpose()).collect::<Result<_>>()?;
    targets.sort();
    Ok(targets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_that_is_not_there_is_refused_with_those_that_are() {
        let fuzzing = |target: Option<&str>| Fuzzing { minutes: 1, target: target.map(str::to_owned) };
        assert_eq!(fuzzing(None).chosen(targets().unwrap()).unwrap(), targets().unwrap());
        assert_eq!(fuzzing(Some("url")).chosen(targets().unwrap()).unwrap(), ["url"]);
        let refused = fuzzing(Some("uri")).chosen(targets().unwrap()).unwrap_err().to_string();
        assert!(refused.contains("uri") && refused.contains("url"), "{refused}");
    }
}
