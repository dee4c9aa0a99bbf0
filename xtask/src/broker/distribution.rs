//! Releases of RabbitMQ that this machine does not have, each in a distribution of its own below `target/brokers`.
//!
//! Where a Docker engine runs, it is the content of the official image; else the Debian that has the release. Either way a
//! node runs in it as a process of this machine, so that it can be killed, frozen and asked like any other.

use std::env;
use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::programs::Programs;
use super::release::Release;
use crate::process::command::{output_within, run};
use crate::process::interrupt::Interrupt;
use crate::setup::install;
use crate::workspace_root;

/// How long an engine may take to say that it runs, or to make and remove a container.
const ENGINE: Duration = Duration::from_secs(30);

/// The rules by which a Debian is made; those of all suites since 2003 are the same, and old tools know no new suites.
const RULES: &str = "/usr/share/debootstrap/scripts/sid";

/// Makes a Debian in `$4` in a mount namespace of its own, so that whatever is mounted meanwhile is gone with it.
const BOOTSTRAP: &str =
    r#"exec debootstrap --force-check-gpg --variant=minbase --include=rabbitmq-server "$1" "$4" "$2" "$3""#;

/// Takes the files of an image out of the engine.
const UNPACK: &str = r#"
container=$(docker create "$1" true) || exit 1
docker export "$container" | tar --extract --directory "$2"
unpacked=$?
docker rm "$container" >/dev/null
exit "$unpacked""#;

/// Why no other release can be had here, if that is so.
#[must_use]
pub fn obstacle() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("only root may run a broker in another distribution".to_owned());
    }
    for program in ["unshare", "chroot", "mount"] {
        if !in_path(program) {
            return Some(format!("`{program}`, which runs a broker in another distribution, is not in PATH"));
        }
    }
    let apart = output_within(Command::new("unshare").args(["--mount", "true"]), ENGINE);
    if let Err(error) = apart {
        return Some(format!("no mount namespace can be made: {error}"));
    }
    (!engine_runs() && !install::can_have_debootstrap()).then(|| {
        "neither a Docker engine runs here, nor is there debootstrap, nor Debian's way to install it".to_owned()
    })
}

/// The programs of `release`, where [`make`] has put them.
///
/// # Errors
/// When they were not made; the message says how to.
pub(super) fn find(release: Release) -> Result<Programs> {
    let found = Programs::find_in(&home(release).join("root"));
    found.with_context(|| format!("`cargo xtask broker --version {release}` makes it"))
}

/// The programs of `release`, made ready if they are not: about a minute, and 400 MB.
///
/// # Errors
/// When the release cannot be had; what was tried has left its words in the message.
pub fn make(release: Release, interrupt: &Interrupt) -> Result<Programs> {
    if let Some(obstacle) = obstacle() {
        bail!("RabbitMQ {release} cannot be had: {obstacle}");
    }
    if let Ok(programs) = find(release) {
        return Ok(programs);
    }
    // Made beside its place and moved, so that what is there is whole, also when two are at it.
    let making = brokers().join(format!("{}.{}", release.version(), std::process::id()));
    let made = fill(release, &making, interrupt).and_then(|()| settle(release, &making));
    if made.is_err() {
        let _ = fs::remove_dir_all(&making);
    }
    made.with_context(|| format!("RabbitMQ {release} could not be made ready"))?;
    find(release)
}

fn brokers() -> PathBuf {
    workspace_root().join("target").join("brokers")
}

fn home(release: Release) -> PathBuf {
    brokers().join(release.version())
}

fn fill(release: Release, making: &Path, interrupt: &Interrupt) -> Result<()> {
    let root = making.join("root");
    // The user `nobody` must be able to enter it.
    fs::DirBuilder::new().recursive(true).mode(0o755).create(&root)?;
    eprintln!("making {} with RabbitMQ {}", home(release).display(), release.version());
    let mut command = if engine_runs() {
        let mut unpack = Command::new("sh");
        unpack.args(["-c", UNPACK, "unpack"]).arg(format!("rabbitmq:{}", release.version())).arg(&root);
        unpack
    } else {
        let mirror = install::debootstrap()?;
        let mut bootstrap = Command::new("unshare");
        bootstrap.args(["--mount", "--propagation", "private", "sh", "-c", BOOTSTRAP, "bootstrap"]);
        bootstrap.args([release.suite(), &mirror, RULES]).arg(&root);
        bootstrap
    };
    let log = making.join("log");
    let file = fs::File::create(&log)?;
    command.stdout(file.try_clone()?).stderr(file);
    if !run(&mut command, interrupt)?.success() {
        let said = fs::read_to_string(&log).unwrap_or_default();
        let lines: Vec<_> = said.lines().rev().take(10).collect();
        bail!("{}", lines.into_iter().rev().collect::<Vec<_>>().join("\n"));
    }
    // By itself nothing in there knows what a node is reached by.
    let hosts = root.join("etc").join("hosts");
    if fs::metadata(&hosts).map_or(0, |file| file.len()) == 0 {
        fs::write(&hosts, "127.0.0.1 localhost\n")?;
    }
    Ok(())
}

/// Puts what was made where it is looked for, if it is what was asked for.
fn settle(release: Release, making: &Path) -> Result<()> {
    let version = Programs::find_in(&making.join("root"))?.version()?;
    if !version.starts_with(&format!("{}.", release.version())) {
        bail!("what is offered is RabbitMQ {version}: Debian's {} has moved on", release.suite());
    }
    match fs::rename(making, home(release)) {
        // Another process was faster.
        Err(_) if find(release).is_ok() => fs::remove_dir_all(making).map_err(Into::into),
        moved => moved.map_err(Into::into),
    }
}

fn engine_runs() -> bool {
    in_path("docker") && output_within(Command::new("docker").arg("info"), ENGINE).is_ok()
}

fn in_path(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|directory| directory.join(program).is_file())
}
