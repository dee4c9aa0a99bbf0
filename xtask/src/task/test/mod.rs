//! `cargo xtask test`: every test, and proof that the live ones ran.

mod strict_broker;
pub(crate) mod suite;
pub(crate) mod summary;

use std::env;
use std::io::{BufRead as _, BufReader, PipeReader, Write as _, pipe};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context as _, Result, bail};
use xtask::broker::{BROKER, Node, RABBIT_NODE, RABBIT_URL, REQUIRE_LIVE, Release};
use xtask::process::command::{cargo, supervise};
use xtask::process::interrupt::Interrupt;
use xtask::profile::PROFILES;
use xtask::setup::python::{self, PYTHON};

use super::{report, serve};
use strict_broker::{Prepared, StrictBroker};
use summary::Summary;

/// What the live tests run against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broker {
    /// Nothing: they are left out.
    None,
    /// A node of this release, or of the one that is installed.
    Of(Option<Release>),
}

/// Runs all tests of the workspace, or those that `arguments` leave; the last line printed is
/// `N passed, N failed, N skipped`. With all of them and what is installed, some run on another release too.
///
/// # Errors
/// When what the tests need is missing, they do not build, or we are interrupted.
pub(crate) fn run(broker: Broker, arguments: &[String], interrupt: &Interrupt) -> Result<bool> {
    if broker == Broker::None && env::var_os("CI").is_some() {
        bail!("--no-broker is not for CI: the live tests would prove nothing");
    }
    let mut command = cargo(&["test", "--no-fail-fast"]);
    command.args(arguments);
    for variable in [RABBIT_URL, RABBIT_NODE, REQUIRE_LIVE, PYTHON, BROKER, PROFILES] {
        // The caller's own environment may name another broker.
        command.env_remove(variable);
    }
    let claim = match (broker, arguments) {
        (Broker::None, _) => Claim::NoBroker,
        (Broker::Of(None), []) => Claim::Everything,
        (Broker::Of(Some(release)), []) => Claim::Release(release),
        (Broker::Of(_), _) => Claim::Part,
    };
    let (suites, (node, prepared)) = thread::scope(|scope| {
        // What is downloaded comes while the compiler keeps the machine busy.
        let preparing = scope.spawn(|| prepare(&mut command, broker, claim, interrupt));
        let suites = suite::build(arguments, interrupt);
        let prepared = preparing.join().expect("preparing does not panic")?;
        anyhow::Ok((suites?, prepared))
    })?;
    report::begin(&mut command)?;
    let (success, mut summary) = follow(&mut command, Summary::new(suites.clone()), interrupt)?;
    if let Some(node) = node {
        node.stop()?;
    }
    let mut strict = StrictBroker::Held;
    if let Some(prepared) = prepared {
        (strict, summary) = strict_broker::run(prepared?, &suites, summary, interrupt)?;
    }
    let held = print(&summary, claim, &strict) && success && strict != StrictBroker::Failed;
    if !held && summary.total().failed == 0 {
        println!("and yet something failed: look above for a suite that ended with an error, or did not begin");
    }
    report::finish(match (claim, held) {
        (Claim::Everything, true) if strict != StrictBroker::Held => {
            "every test, against one broker only, and all of them held"
        }
        (Claim::Everything, true) => report::EVERYTHING,
        (Claim::Release(_), true) => "every test, against a chosen broker, and all of them held",
        (Claim::Everything | Claim::Release(_), false) => "every test, some of which failed",
        (Claim::Part, _) => "a part of the tests",
        (Claim::NoBroker, _) => "the tests that need no broker",
    })?;
    println!("{}", summary.total());
    Ok(held)
}

/// What a run is to prove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Claim {
    /// That every suite ran, the live ones against a broker.
    Everything,
    /// The same, on a chosen release.
    Release(Release),
    /// What the caller asked for.
    Part,
    /// What can be proved without a broker.
    NoBroker,
}

/// Installs what is missing, starts the node if the run has one, and sets the environment of the tests; makes the strict
/// release available if everything is to run.
fn prepare(
    command: &mut Command,
    broker: Broker,
    claim: Claim,
    interrupt: &Interrupt,
) -> Result<(Option<Node>, Option<Result<Prepared>>)> {
    let Broker::Of(release) = broker else { return Ok((None, None)) };
    command.env(PYTHON, python::interpreter()?);
    interrupt.check()?;
    let node = serve::start(release, interrupt)?;
    point(command, &node);
    // A missing release is reported at the end: everything else runs without it.
    let strict = (claim == Claim::Everything).then(|| strict_broker::prepare(interrupt));
    Ok((Some(node), strict))
}

/// Sets the environment of tests to a node; none of them may be skipped.
pub(crate) fn point(command: &mut Command, node: &Node) {
    eprintln!("live tests run against {}, {}", node.attached().broker(), node.url());
    node.export(command);
    command.env(REQUIRE_LIVE, "1");
}

/// Runs tests, prints their output and adds it to the summary; true if the command succeeded.
pub(crate) fn follow(command: &mut Command, summary: Summary, interrupt: &Interrupt) -> Result<(bool, Summary)> {
    // One pipe for both streams: cargo names a suite on one, the suite reports on the other, and the order matters.
    let (reader, writer) = pipe()?;
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer).process_group(0);
    let child = command.spawn().with_context(|| format!("could not start {}", command.get_program().display()))?;
    // The command still holds the pipe's writing end; as long as it does, reading would never end.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let reading = thread::spawn(move || relay(reader, summary));
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

fn print(summary: &Summary, claim: Claim, strict: &StrictBroker) -> bool {
    println!("--- summary");
    for line in summary.lines() {
        println!("{line}");
    }
    let objections = summary.objections(matches!(claim, Claim::Everything | Claim::Release(_)));
    for objection in &objections {
        println!("objection: {objection}");
    }
    match claim {
        Claim::Everything => {}
        Claim::Release(release) => println!("everything ran on RabbitMQ {release} alone"),
        Claim::Part => println!("a part of the tests: that every live suite ran was not checked"),
        Claim::NoBroker => println!("without a broker: the live tests were left out"),
    }
    if let StrictBroker::LeftOut(reason) = strict {
        println!("LEFT OUT: the tests on RabbitMQ {}: {reason}", strict_broker::RELEASE);
    }
    println!("report: {}", report::PAGE);
    objections.is_empty()
}
