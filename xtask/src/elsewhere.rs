//! What a whole run of the tests does once more on a broker that is set up as strictly as brokers are today.

use std::env;
use std::process::Command;

use anyhow::Result;
use oslo_messaging_conformance::report::REPORT;
use xtask::broker::{self, Node, Release, Settings};
use xtask::interrupt::Interrupt;

use crate::report;
use crate::suite::Suite;
use crate::summary::Summary;
use crate::test::{follow, point};

/// The newest release, as its makers ship it. What it denies, the one that most machines have installed does not.
pub(crate) const RELEASE: Release = Release::V4_3Denied;

/// The suites that run there: what every driver must do is worth the time, what only this one does is tried by hand with
/// `--broker`.
const SUITES: [&str; 2] = ["oslo-messaging-amqp test conformance", "oslo-messaging-amqp test conformance_quorum"];

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Elsewhere {
    Held,
    Failed,
    /// The release cannot be had here: why.
    LeftOut(String),
}

/// Runs those of `suites` that are to run there, and has `summary` read what they say.
///
/// # Errors
/// When the node fails, or we are interrupted; under CI also when the release cannot be had although nothing is in its way.
pub(crate) fn run(suites: &[Suite], summary: Summary, interrupt: &Interrupt) -> Result<(Elsewhere, Summary)> {
    if let Some(obstacle) = broker::obstacle() {
        return Ok((Elsewhere::LeftOut(obstacle), summary));
    }
    if let Err(error) = broker::make(RELEASE, interrupt) {
        interrupt.check()?;
        if env::var_os("CI").is_some() {
            return Err(error);
        }
        return Ok((Elsewhere::LeftOut(format!("{error:#}")), summary));
    }
    let node = Node::start_release(Some(RELEASE), &Settings::default())?;
    let outcome = run_on(&node, suites, summary, interrupt);
    node.stop()?;
    outcome
}

fn run_on(
    node: &Node,
    suites: &[Suite],
    mut summary: Summary,
    interrupt: &Interrupt,
) -> Result<(Elsewhere, Summary)> {
    let mut held = true;
    for suite in suites.iter().filter(|suite| SUITES.contains(&suite.name.as_str())) {
        // Not through cargo, which would build everything again for one package alone.
        let mut command = Command::new(&suite.executable);
        command.current_dir(&suite.directory).env(REPORT, report::directory());
        point(&mut command, node);
        summary.enter(Suite { name: format!("{} on {}", suite.name, node.attached().broker()), ..suite.clone() });
        let success;
        (success, summary) = follow(&mut command, summary, interrupt)?;
        held &= success;
    }
    Ok((if held { Elsewhere::Held } else { Elsewhere::Failed }, summary))
}
