//! Running other programs: never longer than a budget, and never left behind.

use std::env;
use std::fmt::Write as _;
use std::io::Read;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::process::interrupt::Interrupt;
use crate::workspace_root;

/// How often a condition without a notification is polled.
pub const POLL: Duration = Duration::from_millis(20);

/// How long a program that was asked to end may take before it is killed.
const POLITENESS: Duration = Duration::from_secs(3);

/// `cargo` in the workspace: the same that runs us, if it does.
#[must_use]
pub fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(workspace_root());
    command
}

/// The `cargo` in the workspace that knows toolchains by name, which is not the one that runs us.
#[must_use]
pub fn rustup_cargo() -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(workspace_root()).env_remove("CARGO").env_remove("RUSTUP_TOOLCHAIN");
    command
}

/// What the program says on its standard output when it ends well.
///
/// # Errors
/// When it cannot be started, ends badly (its standard error is in the message), or is not done within `budget`, in which
/// case it is killed.
pub fn output_within(command: &mut Command, budget: Duration) -> Result<String> {
    let shown = show(command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .with_context(|| format!("could not start `{shown}`"))?;
    // Read while it runs: a program whose output is not read stops when the pipe is full.
    let stdout = drain(child.stdout.take().expect("standard output was piped"));
    let stderr = drain(child.stderr.take().expect("standard error was piped"));
    let ended = wait_within(&mut child, budget)?;
    if ended.is_none() {
        kill_group(&mut child, Signal::KILL)?;
    }
    let (stdout, stderr) = (joined(stdout), joined(stderr));
    match ended {
        Some(status) if status.success() => Ok(stdout),
        Some(status) => bail!("`{shown}` ended with {status}: {}{}", stderr.trim(), stdout.trim()),
        None => bail!("`{shown}` was not done within {budget:?} and was killed: {}", stderr.trim()),
    }
}

/// Runs the program in the foreground until it ends; an interrupt ends it first.
///
/// # Errors
/// When it cannot be started, or when interrupted.
pub fn run(command: &mut Command, interrupt: &Interrupt) -> Result<ExitStatus> {
    let shown = show(command);
    // In a group of its own, so that it and whatever it starts can be ended together.
    let child =
        command.stdin(Stdio::null()).process_group(0).spawn().with_context(|| format!("could not start `{shown}`"))?;
    supervise(child, interrupt)
}

/// Waits for a child that leads its own process group, and ends the group when we are interrupted.
///
/// # Errors
/// When interrupted.
pub fn supervise(mut child: Child, interrupt: &Interrupt) -> Result<ExitStatus> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if let Err(interrupted) = interrupt.check() {
            kill_group(&mut child, Signal::TERM)?;
            return Err(interrupted);
        }
        thread::sleep(POLL);
    }
}

/// The outcome of a child, or `None` when it is still running after `budget`.
///
/// # Errors
/// When the child cannot be waited for.
pub fn wait_within(child: &mut Child, budget: Duration) -> Result<Option<ExitStatus>> {
    let end = Instant::now() + budget;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= end {
            return Ok(None);
        }
        thread::sleep(POLL);
    }
}

/// Ends a child and the process group that it leads: first with `signal`, then, if that does not do it, for certain.
///
/// # Errors
/// When the child cannot be waited for.
pub fn kill_group(child: &mut Child, signal: Signal) -> Result<()> {
    let group = group_of(child);
    // A group that is gone already is what we want, so a failure to signal it says nothing.
    let _ = kill_process_group(group, signal);
    if wait_within(child, POLITENESS)?.is_none() {
        let _ = kill_process_group(group, Signal::KILL);
        child.wait()?;
    }
    Ok(())
}

fn group_of(child: &Child) -> Pid {
    let id = i32::try_from(child.id()).expect("a process id fits a pid_t");
    Pid::from_raw(id).expect("the id of a child is never zero")
}

fn drain(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What was read before a failure is still worth showing.
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

fn joined(reader: thread::JoinHandle<String>) -> String {
    reader.join().expect("the reader of a pipe does not panic")
}

fn show(command: &Command) -> String {
    let mut shown = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        let _ = write!(shown, " {}", argument.to_string_lossy());
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn output_is_returned_when_the_program_ends_well() {
        assert_eq!(output_within(&mut shell("printf hello"), LONG).unwrap(), "hello");
    }

    #[test]
    fn a_failure_carries_what_the_program_said() {
        let error = output_within(&mut shell("echo no such queue >&2; exit 3"), LONG).unwrap_err().to_string();
        assert!(error.contains("no such queue"), "{error}");
    }

    #[test]
    fn a_program_over_its_budget_is_killed_with_its_children() {
        // The reader of the pipes ends only when the grandchild that holds them is gone too.
        let started = Instant::now();
        let error = output_within(&mut shell("sleep 60 & wait"), Duration::from_millis(100)).unwrap_err().to_string();
        assert!(error.contains("was not done within"), "{error}");
        assert!(started.elapsed() < LONG);
    }
}
