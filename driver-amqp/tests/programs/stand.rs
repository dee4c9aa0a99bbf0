//! The node as a harness that loses connections, and has actors in Python too.

use std::env;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use oslo_messaging::driver::Transport;
use oslo_messaging::{Deadline, Result};
use oslo_messaging_conformance::programs::Foreign;
use oslo_messaging_conformance::{Budget, Disturbance, Harness, async_trait};
use xtask::broker::{AttachedNode, RABBIT_URL, Release};
use xtask::setup::python::PYTHON;

use testkit::harness::Rabbit;
use testkit::harness::relayed::Relayed;

/// A node behind a relay, with processes of the reference implementation beside our own connections.
#[derive(Debug)]
pub(crate) struct Stand {
    rabbit: Rabbit,
    /// A node that was not started for tests is reached as it is, and loses no connections.
    relayed: Option<Relayed>,
    foreign: std::result::Result<Foreign, String>,
}

impl Stand {
    /// The node of `rabbit`, and actors by the interpreter that the environment names.
    pub(crate) fn new(rabbit: Rabbit) -> Self {
        let variable = |name| env::var(name).map_err(|_| format!("{name} is not set: `cargo xtask test` sets it"));
        let foreign = variable(PYTHON).and_then(|python| {
            let (url, release) = (variable(RABBIT_URL)?, Release::from_env().map_err(|error| error.to_string())?);
            let url = release.map_or(url.clone(), |release| release.reference_url(&url));
            Ok(Foreign::new(move || actor(&python, &url)))
        });
        Self { rabbit, relayed: relayed(), foreign }
    }

    /// The same with connections of its own to lose; processes are shared.
    pub(crate) fn afresh(&self) -> Self {
        Self { rabbit: self.rabbit.clone(), relayed: relayed(), foreign: self.foreign.clone() }
    }
}

fn relayed() -> Option<Relayed> {
    AttachedNode::from_env().ok().map(|node| Relayed::to(node.port()))
}

fn actor(python: &str, url: &str) -> Command {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/actor.py");
    let mut command = Command::new(python);
    // No bytecode beside the sources, no warnings about the reference's own dependencies.
    command.args(["-B", "-W", "ignore"]).arg(script).arg(url);
    command
}

#[async_trait]
impl Harness for Stand {
    async fn transport(&self) -> Result<Arc<dyn Transport>> {
        match &self.relayed {
            Some(relayed) => relayed.connect(self.rabbit.config(), Deadline::after(self.budget().arrive)).await,
            None => self.rabbit.transport().await,
        }
    }

    fn disturbances(&self) -> &'static [Disturbance] {
        if self.relayed.is_some() { &[Disturbance::Cut] } else { &[] }
    }

    async fn disturb(&self, what: Disturbance) -> std::result::Result<(), String> {
        match (what, &self.relayed) {
            (Disturbance::Cut, Some(relayed)) => relayed.cut().await,
            _ => Err(format!("nothing here can {what}")),
        }
    }

    fn budget(&self) -> Budget {
        self.rabbit.budget()
    }

    fn driver(&self) -> String {
        self.rabbit.driver()
    }

    fn foreign(&self) -> std::result::Result<Foreign, String> {
        self.foreign.clone()
    }
}
