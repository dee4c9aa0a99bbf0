//! `cargo xtask test`: every test, and proof that the live ones ran.

use std::env;
use std::io::{BufRead as _, BufReader, PipeReader, Write as _, pipe};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context as _, Result, bail};
use xtask::broker::{Node, RABBIT_NODE, RABBIT_URL, REQUIRE_LIVE};
use xtask::command::{cargo, supervise};
use xtask::interrupt::Interrupt;
use xtask::python::PYTHON;
use xtask::{install, python};

use crate::report;
use crate::suite::{self, Suite};
use crate::summary::Summary;

/// Runs all tests of the workspace, or those that `arguments` leave; the last line printed is
/// `N passed, N failed, N skipped`.
///
/// # Errors
/// When what the tests need is missing, they do not build, or we are interrupted.
pub(crate) fn run(no_broker: bool, arguments: &[String], interrupt: &Interrupt) -> Result<bool> {
    if no_broker && env::var_os("CI").is_some() {
        bail!("--no-broker is not for CI: the live tests would prove nothing");
    }
    let mut command = cargo(&["test", "--no-fail-fast"]);
    command.args(arguments);
    let node = if no_broker { forget_node(&mut command) } else { Some(prepare(&mut command, interrupt)?) };
    let suites = suite::build(arguments, interrupt)?;
    report::begin(&mut command)?;
    let (success, summary) = run_suites(&mut command, suites, interrupt)?;
    if let Some(node) = node {
        node.stop()?;
    }
    let claim = match (no_broker, arguments) {
        (true, _) => Claim::NoBroker,
        (false, []) => Claim::Everything,
        (false, _) => Claim::Part,
    };
    let held = tell(&summary, claim) && success;
    report::finish(match (claim, held) {
        (Claim::Everything, true) => report::EVERYTHING,
        (Claim::Everything, false) => "every test, some of which failed",
        (Claim::Part, _) => "a part of the tests",
        (Claim::NoBroker, _) => "the tests that need no broker",
    })?;
    Ok(held)
}

/// What a run is to prove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Claim {
    /// That every suite ran, the live ones against a broker.
    Everything,
    /// What the caller asked for.
    Part,
    /// What can be proved without a broker.
    NoBroker,
}

/// Installs what is missing, starts the node, and points the tests to both.
fn prepare(command: &mut Command, interrupt: &Interrupt) -> Result<Node> {
    install::rabbitmq()?;
    interrupt.check()?;
    command.env(PYTHON, python::interpreter()?);
    interrupt.check()?;
    let node = Node::start()?;
    eprintln!("live tests run against {}", node.url());
    node.export(command);
    command.env(REQUIRE_LIVE, "1");
    Ok(node)
}

/// Makes the tests see no broker, even where the caller's environment names one.
fn forget_node(command: &mut Command) -> Option<Node> {
    for variable in [RABBIT_URL, RABBIT_NODE, REQUIRE_LIVE, PYTHON] {
        command.env_remove(variable);
    }
    None
}

fn run_suites(command: &mut Command, suites: Vec<Suite>, interrupt: &Interrupt) -> Result<(bool, Summary)> {
    // One pipe for both streams: cargo names a suite on one, the suite reports on the other, and the order matters.
    let (reader, writer) = pipe()?;
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer).process_group(0);
    let child = command.spawn().context("could not start cargo")?;
    // The command still holds the pipe's writing end; as long as it does, reading would never end.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let reading = thread::spawn(move || relay(reader, Summary::new(suites)));
    let status = supervise(child, interrupt)?;
    let summary = reading.join().expect("reading does not panic")?;
    Ok((status.success(), summary))
}

/// Prints every line as it comes, and reads it.
fn relay(reader: PipeReader, mut summary: Summary) -> Result<Summary> {
    let mut stdout = std::io::stdout();
    for line in BufReader::new(reader).split(b'\n') {
        let line = line?;
        summary.read(&String::from_utf8_lossy(&line));
        stdout.write_all(&line)?;
        stdout.write_all(b"\n")?;
    }
    Ok(summary)
}

fn tell(summary: &Summary, claim: Claim) -> bool {
    println!("--- summary");
    for line in summary.lines() {
        println!("{line}");
    }
    let objections = summary.objections(claim == Claim::Everything);
    for objection in &objections {
        println!("objection: {objection}");
    }
    match claim {
        Claim::Everything => {}
        Claim::Part => println!("a part of the tests: that every live suite ran was not checked"),
        Claim::NoBroker => println!("without a broker: the live tests were left out"),
    }
    println!("report: {}", report::PAGE);
    println!("{}", summary.total());
    objections.is_empty()
}
