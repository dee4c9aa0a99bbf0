//! `cargo xtask lint`: everything that can be wrong without running a test.

mod layout;

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::{env, fs};

use anyhow::{Context as _, Result};
use xtask::process::command::{cargo, run as run_command, rustup_cargo};
use xtask::process::interrupt::Interrupt;
use xtask::workspace_root;

use super::api::{self, Comparison};
use super::workspace::Workspace;

/// What `cargo deny` says when it cannot reach the list of known vulnerabilities.
const NO_ADVISORIES: &str = "failed to fetch advisory database";

/// How the tags of releases begin.
const RELEASE_TAGS: &str = "v[0-9]*";

/// What the checks came to.
struct Findings<'a> {
    interrupt: &'a Interrupt,
    /// The names of the checks that found something.
    failed: Vec<&'static str>,
    /// What was not checked, with the reason.
    left_out: Vec<String>,
}

/// Runs every check, also after one has failed, and prints which did.
pub(crate) fn run(interrupt: &Interrupt) -> Result<bool> {
    let workspace = Workspace::read()?;
    let mut findings = Findings { interrupt, failed: Vec::new(), left_out: Vec::new() };
    eprintln!("--- layout");
    if !layout::check()?.report() {
        findings.failed.push("layout");
    }
    forget_packages()?;
    for (name, mut command) in checks(&workspace) {
        findings.check(name, &mut command)?;
    }
    findings.compare_api()?;
    findings.compare_with_release(&workspace)?;
    findings.check_rust_version(&workspace)?;
    findings.check_dependencies()?;
    Ok(findings.report())
}

fn checks(workspace: &Workspace) -> [(&'static str, Command); 4] {
    let mut documentation = cargo(&["doc", "--quiet", "--workspace", "--no-deps", "--all-features"]);
    documentation.env("RUSTDOCFLAGS", "-D warnings");
    let clippy = ["clippy", "--quiet", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"];
    // Packages all of them together, so that each finds the others although no registry has them yet, and builds each from
    // its package: one that needs a file from outside its directory fails here.
    let packaging = cargo(&["package", "--quiet", "--allow-dirty"]);
    [
        ("formatting", cargo(&["fmt", "--all", "--check"])),
        ("lints", cargo(&clippy)),
        ("documentation", documentation),
        ("packaging", of_published(packaging, workspace)),
    ]
}

/// The command, for each package that is published.
fn of_published(mut command: Command, workspace: &Workspace) -> Command {
    for package in workspace.published() {
        command.args(["--package", package]);
    }
    command
}

/// Removes what an earlier packaging unpacked. Cargo takes a version that it unpacked once for unchanged, also one that
/// no registry has, and would build today's packages against yesterday's.
fn forget_packages() -> Result<()> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo")));
    let Some(Ok(registries)) = home.map(|home| fs::read_dir(home.join("registry/src"))) else { return Ok(()) };
    for registry in registries {
        let registry = registry?;
        // A registry without a host is one that cargo made up for packaging.
        if registry.file_name().to_string_lossy().starts_with('-') {
            fs::remove_dir_all(registry.path()).with_context(|| format!("could not remove {registry:?}"))?;
        }
    }
    Ok(())
}

impl Findings<'_> {
    /// Runs `command`, whose failure is a finding.
    fn check(&mut self, name: &'static str, command: &mut Command) -> Result<()> {
        eprintln!("--- {name}");
        if !run_command(command, self.interrupt)?.success() {
            self.failed.push(name);
        }
        Ok(())
    }

    /// Compares the public API with the pinned text.
    fn compare_api(&mut self) -> Result<()> {
        eprintln!("--- public API");
        match api::compare(self.interrupt)? {
            Comparison::Same => {}
            Comparison::Different => self.failed.push("public API"),
            Comparison::LeftOut(reason) => self.left_out.push(format!("public API, since {reason}")),
        }
        Ok(())
    }

    /// Compares the published packages with the last release: what breaks their users needs a new major version.
    fn compare_with_release(&mut self, workspace: &Workspace) -> Result<()> {
        let name = "semantic versions";
        if !succeeds(cargo(&["semver-checks", "--version"])) {
            let why = "cargo-semver-checks is not installed (`cargo install --locked cargo-semver-checks`)";
            self.left_out.push(format!("{name}, since {why}"));
            return Ok(());
        }
        let Some(release) = last_release()? else {
            self.left_out.push(format!("{name}, since no release is tagged {RELEASE_TAGS}"));
            return Ok(());
        };
        let command = cargo(&["semver-checks", "--all-features", "--baseline-rev", &release]);
        self.check(name, &mut of_published(command, workspace))
    }

    /// Builds the published packages with the oldest compiler that they promise to build with.
    fn check_rust_version(&mut self, workspace: &Workspace) -> Result<()> {
        let version = workspace.rust_version()?;
        let toolchain = format!("+{version}");
        let mut asked = rustup_cargo();
        asked.args([&toolchain, "--version"]);
        if !succeeds(asked) {
            let install = format!("rustup toolchain install --profile minimal {version}");
            self.left_out.push(format!("least Rust release, since Rust {version} is not installed (`{install}`)"));
            return Ok(());
        }
        let mut command = rustup_cargo();
        command.args([&toolchain, "check", "--quiet", "--all-features"]);
        self.check("least Rust release", &mut of_published(command, workspace))
    }

    /// Checks the dependencies by `deny.toml`.
    fn check_dependencies(&mut self) -> Result<()> {
        if !succeeds(cargo(&["deny", "--version"])) {
            let why = "cargo-deny is not installed (`cargo install --locked cargo-deny`)";
            self.left_out.push(format!("dependencies, since {why}"));
            return Ok(());
        }
        let deny = ["deny", "--log-level", "error", "--all-features", "check"];
        self.check("dependencies", cargo(&deny).args(["bans", "licenses", "sources"]))?;
        eprintln!("--- advisories");
        let mut advisories = cargo(&deny);
        advisories.arg("advisories").stdin(Stdio::null());
        let Output { status, stderr, .. } = advisories.output().context("could not start cargo")?;
        let said = String::from_utf8_lossy(&stderr);
        if status.success() {
            return Ok(());
        }
        eprint!("{said}");
        // A machine that cannot reach the list can still lint, and says what it left out.
        if said.contains(NO_ADVISORIES) {
            self.left_out.push("advisories, since their list cannot be fetched".to_owned());
        } else {
            self.failed.push("advisories");
        }
        Ok(())
    }

    /// Prints what was left out and what failed; true if nothing failed.
    fn report(&self) -> bool {
        for what in &self.left_out {
            println!("lint: LEFT OUT: {what}");
        }
        match self.failed.as_slice() {
            [] => println!("lint: nothing found"),
            failed => println!("lint: failed: {}", failed.join(", ")),
        }
        self.failed.is_empty()
    }
}

/// Whether the program is there and answers; what it says is not shown.
fn succeeds(mut command: Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// The tag of the newest release before this commit; `None` if there is none.
fn last_release() -> Result<Option<String>> {
    let mut git = Command::new("git");
    git.args(["describe", "--tags", "--abbrev=0", "--match", RELEASE_TAGS]).current_dir(workspace_root());
    let output = git.output().context("could not start git")?;
    let tag = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Ok(Some(tag).filter(|tag| output.status.success() && !tag.is_empty()))
}
