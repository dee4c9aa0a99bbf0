//! Installing what the live tests need, where that can be done without asking: on Debian and its like, as root.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::process::command::output_within;

/// How long `apt-get` may take for one of its two steps.
const APT: Duration = Duration::from_secs(900);

/// How long asking Python about one of its modules may take.
const ASK: Duration = Duration::from_secs(60);

const APT_GET: &str = "/usr/bin/apt-get";
const DEBOOTSTRAP: &str = "/usr/sbin/debootstrap";

/// The script that Debian's packages ask before they start a service.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Says no: "action forbidden by policy".
const NO_SERVICES: &str = "#!/bin/sh\nexit 101\n";

/// Makes sure that Python 3 can make virtual environments.
///
/// # Errors
/// When it cannot, and its module cannot be installed; the message says how to.
pub fn python_venv() -> Result<()> {
    // Debian splits `ensurepip` off; `import venv` alone succeeds without it.
    let usable = || output_within(Command::new("python3").args(["-c", "import venv, ensurepip"]), ASK).map(drop);
    let Err(missing) = usable() else { return Ok(()) };
    apt("python3-venv").context(missing).context("Python 3 with its `venv` module is needed (Debian: python3-venv)")?;
    usable()
}

/// Whether there is `debootstrap`, or it can be installed without asking.
#[must_use]
pub(crate) fn can_have_debootstrap() -> bool {
    Path::new(DEBOOTSTRAP).exists() || (rustix::process::geteuid().is_root() && Path::new(APT_GET).exists())
}

/// Makes sure that `debootstrap` is installed, and returns the mirror of Debian that this machine installs from.
///
/// # Errors
/// When it cannot be installed, or no mirror of Debian is set up here.
pub(crate) fn debootstrap() -> Result<String> {
    if !Path::new(DEBOOTSTRAP).exists() {
        apt("debootstrap")?;
    }
    let mut sources = Command::new(APT_GET);
    sources.args([
        "indextargets",
        "--format",
        "$(REPO_URI)",
        "Created-By: Packages",
        "Origin: Debian",
        "Label: Debian",
    ]);
    let mirrors = output_within(&mut sources, ASK).context("the sources of packages could not be asked for")?;
    let mirror =
        mirrors.lines().next().context("no mirror of Debian is among the sources of packages (`apt-get update`?)")?;
    Ok(mirror.to_owned())
}

/// Installs `package`. A service that it brings is not started.
///
/// # Errors
/// When it cannot be installed; the message says how to.
pub(crate) fn apt(package: &str) -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        bail!("{package} cannot be installed without being root: `sudo apt-get install {package}`");
    }
    if !Path::new(APT_GET).exists() {
        bail!("{package} can be installed automatically on Debian and its like only");
    }
    eprintln!("installing {package}");
    let _policy = NoServices::enforce()?;
    for arguments in [&["update"][..], &["install", "--yes", "--no-install-recommends", package]] {
        let mut command = Command::new(APT_GET);
        // RUNLEVEL: what init scripts are asked with; in single-user mode none starts a broker.
        command.arg("--quiet").args(arguments).env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1");
        output_within(&mut command, APT)?;
    }
    Ok(())
}

/// While this lives, packages start no services. A policy that the machine already has is left alone.
struct NoServices {
    ours: bool,
}

impl NoServices {
    fn enforce() -> Result<Self> {
        if Path::new(POLICY).exists() {
            return Ok(Self { ours: false });
        }
        fs::write(POLICY, NO_SERVICES).with_context(|| format!("could not write {POLICY}"))?;
        let policy = Self { ours: true };
        fs::set_permissions(POLICY, fs::Permissions::from_mode(0o755))?;
        Ok(policy)
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if self.ours {
            // A failure cannot be returned; the next run would leave the file alone.
            let _ = fs::remove_file(POLICY);
        }
    }
}
