//! The suites that a whole run of the tests repeats on the strictest broker: the newest release with its own defaults.

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

/// The newest release as it is shipped. It denies what the release that most machines have installed allows.
pub(crate) const RELEASE: Release = Release::V4_3Denied;

/// The suites that run there, with a filter: the conformance of the driver, and the objects on the broker. `--broker` runs the
/// others on it.
const SUITES: [(&str, &[&str]); 4] = [
    ("oslo-messaging-amqp test conformance", &[]),
    ("oslo-messaging-amqp test live", &["topology::"]),
    ("oslo-messaging-amqp test live", &["broker_limits::"]),
    ("oslo-messaging-amqp test interop", &["profile::"]),
];

/// The result of these suites.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StrictBroker {
    Held,
    Failed,
    /// Why the release is not available here.
    LeftOut(String),
}

/// Whether the release is available, and if not, why.
#[derive(Debug)]
pub(crate) enum Prepared {
    Ready,
    LeftOut(String),
}

/// Makes the release available if it is not.
///
/// # Errors
/// When interrupted; under CI also when making the release fails.
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

/// Runs those of `suites` that belong here, and adds their output to `summary`.
///
/// # Errors
/// When the node does not end, or we are interrupted.
pub(crate) fn run(
    prepared: Prepared,
    suites: &[Suite],
    summary: Summary,
    interrupt: &Interrupt,
) -> Result<(StrictBroker, Summary)> {
    if let Prepared::LeftOut(reason) = prepared {
        return Ok((StrictBroker::LeftOut(reason), summary));
    }
    let node = match Node::start_release(Some(RELEASE), &Settings::default()) {
        Ok(node) => node,
        // The results on the other broker count all the same.
        Err(error) => {
            eprintln!("RabbitMQ {RELEASE} did not start: {error:#}");
            return Ok((StrictBroker::Failed, summary));
        }
    };
    let outcome = run_on(&node, suites, summary, interrupt);
    node.stop()?;
    outcome
}

fn run_on(
    node: &Node,
    suites: &[Suite],
    mut summary: Summary,
    interrupt: &Interrupt,
) -> Result<(StrictBroker, Summary)> {
    let mut held = true;
    let python = python::interpreter()?;
    for (name, which) in SUITES {
        let suite = suites.iter().find(|suite| suite.name == name).with_context(|| format!("{name} is missing"))?;
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
    Ok((if held { StrictBroker::Held } else { StrictBroker::Failed }, summary))
}
