//! The node as a harness that has actors in Python too.

use std::env;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use oslo_messaging::{Result, Transport};
use oslo_messaging_conformance::programs::Foreign;
use oslo_messaging_conformance::{Budget, Harness, async_trait};
use xtask::broker::{RABBIT_URL, Release};
use xtask::python::PYTHON;

use crate::harness::Rabbit;

/// A node with processes of the reference implementation beside our own connections.
#[derive(Debug, Clone)]
pub(crate) struct Beside {
    rabbit: Rabbit,
    foreign: std::result::Result<Foreign, String>,
}

impl Beside {
    /// The node of `rabbit`, and actors by the interpreter that the environment names.
    pub(crate) fn new(rabbit: Rabbit) -> Self {
        let variable = |name| env::var(name).map_err(|_| format!("{name} is not set: `cargo xtask test` sets it"));
        let foreign = variable(PYTHON).and_then(|python| {
            let (url, release) = (variable(RABBIT_URL)?, Release::from_env().map_err(|error| error.to_string())?);
            let url = release.map_or(url.clone(), |release| release.reference_url(&url));
            Ok(Foreign::new(move || actor(&python, &url)))
        });
        Self { rabbit, foreign }
    }
}

fn actor(python: &str, url: &str) -> Command {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/actor.py");
    let mut command = Command::new(python);
    // No bytecode beside the sources, no warnings about the reference's own dependencies.
    command.args(["-B", "-W", "ignore"]).arg(script).arg(url);
    command
}

#[async_trait]
impl Harness for Beside {
    async fn transport(&self) -> Result<Arc<dyn Transport>> {
        self.rabbit.transport().await
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
