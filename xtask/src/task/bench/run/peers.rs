//! The programs, built.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use xtask::process::command::run as run_command;
use xtask::process::interrupt::Interrupt;
use xtask::setup::python;
use xtask::workspace_root;

use crate::task::bench::directory;
use crate::task::bench::plan::experiment::{Experiment, Tool};
use crate::task::bench::plan::program::Program;

/// Where their workspace is, from the root of the project's.
const WORKSPACE: &str = "benches/peers";

/// The script of the reference.
const REFERENCE: &str = "benches/python/reference.py";

/// The executables, each in a folder of its features.
#[derive(Debug)]
pub(super) struct Peers {
    directory: PathBuf,
    python: Option<PathBuf>,
}

impl Peers {
    /// Builds what the experiments need: one package after the other, so that features do not unify, optimized.
    ///
    /// # Errors
    /// When one does not build, Python cannot be prepared, or we are interrupted.
    pub(super) fn build(experiments: &[Experiment], interrupt: &Interrupt) -> Result<Self> {
        let programs = directory().join("programs");
        let runs = || experiments.iter().flat_map(|experiment| &experiment.runs);
        let used = runs().flat_map(|run| [Some(run.program), run.server]).flatten();
        let counting = |tool: Tool| tool == Tool::Allocations;
        let mut wanted: Vec<_> = used.filter_map(|program| Some((program.package()?, false))).collect();
        wanted.extend(runs().filter(|run| counting(run.tool)).filter_map(|run| Some((run.program.package()?, true))));
        wanted.sort_unstable();
        wanted.dedup();
        for (package, counting) in wanted {
            build(package, counting, &programs, interrupt)?;
        }
        let needs_python = runs().any(|run| run.program == Program::Python || run.server == Some(Program::Python));
        Ok(Self { directory: programs, python: needs_python.then(python::interpreter).transpose()? })
    }

    /// The program, to which the kind of work and its options are to be added.
    pub(super) fn command(&self, program: Program, tool: Tool) -> Result<Command> {
        let mut command = match program {
            Program::Python => {
                let mut command = Command::new(self.python.as_deref().context("Python was not prepared")?);
                // It warns of what it itself uses.
                command.env("PYTHONWARNINGS", "ignore").arg(workspace_root().join(REFERENCE));
                command
            }
            _ => Command::new(folder(&self.directory, tool == Tool::Allocations).join(program.executable())),
        };
        command.args(program.arguments());
        Ok(command)
    }
}

fn build(package: &str, counting: bool, programs: &Path, interrupt: &Interrupt) -> Result<()> {
    eprintln!("--- {package}{}", if counting { ", counting allocations" } else { "" });
    let target = directory().join("build");
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace_root().join(WORKSPACE)).args(["build", "--release", "--quiet"]);
    command.args(["--package", package, "--target-dir"]).arg(&target);
    if counting {
        command.args(["--features", "count"]);
    }
    ensure!(run_command(&mut command, interrupt)?.success(), "{package} does not build");
    // A build with other features replaces the executables.
    let folder = folder(programs, counting);
    fs::create_dir_all(&folder)?;
    for program in executables(package) {
        let (from, to) = (target.join("release").join(program), folder.join(program));
        fs::copy(&from, &to).with_context(|| format!("could not copy {}", from.display()))?;
    }
    Ok(())
}

fn folder(programs: &Path, counting: bool) -> PathBuf {
    programs.join(if counting { "counting" } else { "plain" })
}

fn executables(package: &str) -> Vec<&'static str> {
    use Program::{Careless, Frames, Ours, Ruststream, Straight, Tarpc};
    let all = [Ours, Frames, Straight, Careless, Ruststream, Tarpc];
    all.into_iter().filter(|program| program.package() == Some(package)).map(Program::executable).collect()
}
