//! What a whole run of the tests does once more on a broker that is set up as strictly as brokers are today.

use std::env;
use std::process::Command;

use anyhow::{Context as _, Result};
use oslo_messaging_conformance::report::REPORT;
use xtask::broker::{self, Node, Release, Settings};
use xtask::process::interrupt::Interrupt;
use xtask::profile::{PROFILES, Profile};
use xtask::setup::python::{self, PYTHON};

use super::suite::Suite;
use super::summary::Summary;
use super::{follow, point};
use crate::task::report;

/// The newest release, as its makers ship it. What it denies, the one that most machines have installed does not.
pub(crate) const RELEASE: Release = Release::V4_3Denied;

/// The suites that run there, and which of their tests: what every driver must do, and which objects there are then. The
/// rest is worth the time by hand, with `--broker`.
const SUITES: [(&str, &[&str]); 4] = [
    ("oslo-messaging-amqp test conformance", &[]),
    ("oslo-messaging-amqp test live", &["topology::"]),
    ("oslo-messaging-amqp test live", &["broker_limits::"]),
    ("oslo-messaging-amqp test interop", &["profile::"]),
];

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Elsewhere {
    Held,
    Failed,
    /// The release cannot be had here: why.
    LeftOut(String),
}

/// Whether the release is there, and if not, why.
#[derive(Debug)]
pub(crate) enum Prepared {
    Ready,
    LeftOut(String),
}

/// Makes the release ready if it is not.
///
/// # Errors
/// When we are interrupted; under CI also when the release cannot be had although nothing is in its way.
pub(crate) fn prepare(interrupt: &Interrupt) -> Result<Prepared> {
    if let Some(obstacle) = broker::obstacle() {
        return Ok(Prepared::LeftOut(obstacle));
    }
    match broker::make(RELEASE, interrupt) {
        Ok(_) => Ok(Prepared::Ready),
        Err(error) if interrupt.is_raised() || env::var_os("CI").is_some() => Err(error),
        Err(error) => Ok(Prepared::LeftOut(format!("{error:#}"))),
    }
}

/// Runs those of `suites` that are to run there, and has `summary` read what they say.
///
/// # Errors
/// When the node does not end, or we are interrupted.
pub(crate) fn run(
    prepared: Prepared,
    suites: &[Suite],
    summary: Summary,
    interrupt: &Interrupt,
) -> Result<(Elsewhere, Summary)> {
    if let Prepared::LeftOut(reason) = prepared {
        return Ok((Elsewhere::LeftOut(reason), summary));
    }
    let node = match Node::start_release(Some(RELEASE), &Settings::default()) {
        Ok(node) => node,
        // What the other broker showed is not to be lost with this one.
        Err(error) => {
            eprintln!("RabbitMQ {RELEASE} did not start: {error:#}");
            return Ok((Elsewhere::Failed, summary));
        }
    };
    let outcome = run_on(&node, suites, summary, interrupt);
    node.stop()?;
    outcome
}

fn run_on(node: &Node, suites: &[Suite], mut summary: Summary, interrupt: &Interrupt) -> Result<(Elsewhere, Summary)> {
    let mut held = true;
    let python = python::interpreter()?;
    for (name, which) in SUITES {
        let suite = suites.iter().find(|suite| suite.name == name).with_context(|| format!("{name} is not there"))?;
        // Not through cargo, which would build everything again for one package alone.
        let mut command = Command::new(&suite.executable);
        command.args(which).current_dir(&suite.directory).env(REPORT, report::directory()).env(PYTHON, &python);
        command.env(PROFILES, Profile::Oslo.name());
        point(&mut command, node);
        summary.enter(Suite { name: format!("{} on {}", suite.name, node.attached().broker()), ..suite.clone() });
        let success;
        (success, summary) = follow(&mut command, summary, interrupt)?;
        held &= success;
    }
    Ok((if held { Elsewhere::Held } else { Elsewhere::Failed }, summary))
}
