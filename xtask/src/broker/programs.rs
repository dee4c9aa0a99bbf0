//! Where RabbitMQ's own scripts and the Erlang port mapper are installed.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

/// Names the directory of another RabbitMQ's scripts, to test against that version.
const RABBIT_BIN: &str = "OSLO_TEST_RABBIT_BIN";

/// Where Debian keeps the scripts as RabbitMQ ships them. Those in `/usr/sbin` are wrappers that insist on being root.
const DEBIAN: &str = "/usr/lib/rabbitmq/bin";

/// The programs a private node is made of.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Programs {
    /// The directory with `rabbitmq-server` and `rabbitmqctl`.
    pub scripts: PathBuf,
    /// `epmd`, through which an Erlang node finds another's port.
    pub mapper: PathBuf,
}

impl Programs {
    /// Looks in `OSLO_TEST_RABBIT_BIN`, in Debian's directory, then in `PATH`.
    ///
    /// # Errors
    /// When RabbitMQ or Erlang is not installed; the message says how to.
    pub fn find() -> Result<Self> {
        let named = env::var_os(RABBIT_BIN).map(PathBuf::from);
        let candidates = named.into_iter().chain([PathBuf::from(DEBIAN)]).chain(path_directories());
        let Some(scripts) = candidates.into_iter().find(|directory| has_scripts(directory)) else {
            bail!(
                "RabbitMQ is not installed. On Debian or Ubuntu: `apt-get install rabbitmq-server`. Elsewhere, install it \
                 and put its `sbin` directory into PATH or {RABBIT_BIN}."
            );
        };
        let Some(mapper) = path_directories().map(|directory| directory.join("epmd")).find(|file| file.is_file())
        else {
            bail!("`epmd`, a part of Erlang, is not in PATH");
        };
        Ok(Self { scripts, mapper })
    }
}

fn has_scripts(directory: &Path) -> bool {
    directory.join("rabbitmq-server").is_file() && directory.join("rabbitmqctl").is_file()
}

fn path_directories() -> impl Iterator<Item = PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).collect::<Vec<_>>().into_iter()
}
