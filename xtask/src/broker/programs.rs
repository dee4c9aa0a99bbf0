//! Where RabbitMQ's own scripts and the Erlang port mapper are, and how one of them is run there.

use std::env;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

use crate::setup::install::apt;

/// Names the directory of another RabbitMQ's scripts, to test against that version.
const RABBIT_BIN: &str = "OSLO_TEST_RABBIT_BIN";

/// Where Debian keeps the scripts as RabbitMQ ships them. Those in `/usr/sbin` are wrappers that insist on being root.
const DEBIAN: &str = "/usr/lib/rabbitmq/bin";

/// Where the official image keeps them, and the mapper.
const IMAGE: &str = "/opt/rabbitmq/sbin";
const IMAGE_ERLANG: [&str; 2] = ["/opt/erlang/bin", "/usr/local/bin"];

/// `nobody` and its group, on every Linux: what a node runs as when we are root, since it needs no right at all.
pub(super) const NOBODY: u32 = 65534;

/// Enters another distribution in a mount namespace of its own, with this machine's processes and devices and the
/// directory that the nodes live in. Everything is the same process until the program, which so leads our process group.
const ENTER: &str = r#"
root=$1 shared=$2 directory=$3 user=$4
shift 4
mkdir -p "$root$shared" &&
mount -t proc proc "$root/proc" && mount --rbind /dev "$root/dev" && mount --bind "$shared" "$root$shared" &&
exec chroot --userspec="$user:$user" "$root" env --chdir="$directory" "$@"
"#;

/// The programs a private node is made of.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Programs {
    /// The directory with `rabbitmq-server` and `rabbitmqctl`.
    pub scripts: PathBuf,
    /// `epmd`, through which an Erlang node finds another's port.
    pub mapper: PathBuf,
    /// The distribution within which these paths are meant, if it is not the one that runs.
    pub root: Option<PathBuf>,
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
        Ok(Self { scripts, mapper, root: None })
    }

    /// Makes sure that RabbitMQ is installed. The service of its package is not started.
    ///
    /// # Errors
    /// When it is missing and cannot be installed; the message says how to.
    pub fn install() -> Result<()> {
        let Err(missing) = Self::find() else { return Ok(()) };
        apt("rabbitmq-server").context(missing)?;
        Self::find().map(drop)
    }

    /// Looks in the distribution below `root`: Debian's, or that of the official image.
    ///
    /// # Errors
    /// When RabbitMQ or Erlang is not there.
    pub fn find_in(root: &Path) -> Result<Self> {
        let inside = |path: &Path| root.join(path.strip_prefix("/").unwrap_or(path));
        let scripts = [DEBIAN, IMAGE].map(PathBuf::from).into_iter().find(|path| has_scripts(&inside(path)));
        let mappers = ["/usr/bin"].into_iter().chain(IMAGE_ERLANG).map(|path| Path::new(path).join("epmd"));
        let mapper = mappers.into_iter().find(|path| inside(path).symlink_metadata().is_ok());
        match (scripts, mapper) {
            (Some(scripts), Some(mapper)) => Ok(Self { scripts, mapper, root: Some(root.to_owned()) }),
            _ => bail!("{} holds no RabbitMQ", root.display()),
        }
    }

    /// The version of the server, such as `3.10.8`, as the name of its main part has it.
    ///
    /// # Errors
    /// When it does not lie where RabbitMQ puts it.
    pub fn version(&self) -> Result<String> {
        let script = self.scripts.join("rabbitmq-server");
        let script = match &self.root {
            Some(root) => root.join(script.strip_prefix("/").unwrap_or(&script)),
            None => script,
        };
        let script = fs::canonicalize(&script).with_context(|| format!("no {}", script.display()))?;
        let plugins = script.ancestors().nth(2).context("it lies too high")?.join("plugins");
        let entries = fs::read_dir(&plugins).with_context(|| format!("could not read {}", plugins.display()))?;
        let mut names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let version = names.find_map(|name| version_of(&name).map(str::to_owned));
        version.with_context(|| format!("{} says no version", plugins.display()))
    }

    /// `program`, to be run in `directory`; as the user `nobody` if we are root.
    pub(super) fn command(&self, program: &Path, directory: &Path) -> Command {
        if let Some(root) = &self.root {
            // What others bring into the directory beside a node's, such as certificates, is seen in there too.
            let shared = directory.parent().unwrap_or(directory);
            let mut command = Command::new("unshare");
            command.args(["--mount", "--propagation", "private", "sh", "-c", ENTER, "enter"]);
            command.arg(root).arg(shared).arg(directory).arg(NOBODY.to_string()).arg(program).current_dir("/");
            return command;
        }
        let mut command = Command::new(program);
        command.current_dir(directory);
        if rustix::process::geteuid().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }
}

/// The version in the name of RabbitMQ's main part: `rabbit-3.10.8`, a directory or an archive.
fn version_of(name: &str) -> Option<&str> {
    let version = name.strip_prefix("rabbit-")?;
    let version = version.strip_suffix(".ez").unwrap_or(version);
    version.starts_with(|first: char| first.is_ascii_digit()).then_some(version)
}

fn has_scripts(directory: &Path) -> bool {
    directory.join("rabbitmq-server").is_file() && directory.join("rabbitmqctl").is_file()
}

fn path_directories() -> impl Iterator<Item = PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).collect::<Vec<_>>().into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_from_the_main_part_alone() {
        assert_eq!(version_of("rabbit-3.10.8"), Some("3.10.8"));
        assert_eq!(version_of("rabbit-4.3.6.ez"), Some("4.3.6"));
        assert_eq!(version_of("rabbit_common-4.3.6"), None);
        assert_eq!(version_of("rabbit-server"), None);
    }

    #[test]
    fn what_is_missing_is_reported_with_its_place() {
        let error = Programs::find_in(Path::new("/nonexistent")).unwrap_err().to_string();
        assert_eq!(error, "/nonexistent holds no RabbitMQ");
    }
}
