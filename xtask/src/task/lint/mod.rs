//! `cargo xtask lint`: everything that can be wrong without running a test.

mod layout;

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::{env, fs};

use anyhow::{Context as _, Result};
use xtask::process::command::{cargo, run as run_command};
use xtask::process::interrupt::Interrupt;

/// The packages that are not published, so have nothing to be packaged.
const UNPUBLISHED: [&str; 3] = ["xtask", "oslo-messaging-examples", "oslo-messaging-amqp-testkit"];

/// What `cargo deny` says when it cannot reach the list of known vulnerabilities.
const NO_ADVISORIES: &str = "failed to fetch advisory database";

/// Runs every check, also after one has failed, and prints which did.
pub(crate) fn run(interrupt: &Interrupt) -> Result<bool> {
    let mut failed = Vec::new();
    eprintln!("--- layout");
    if !layout::check()?.report() {
        failed.push("layout");
    }
    forget_packages()?;
    for (name, mut command) in checks() {
        eprintln!("--- {name}");
        if !run_command(&mut command, interrupt)?.success() {
            failed.push(name);
        }
    }
    let left_out = if has_cargo_deny() {
        check_dependencies(interrupt, &mut failed)?
    } else {
        Some("dependencies, since cargo-deny is not installed (`cargo install --locked cargo-deny`)")
    };
    if let Some(what) = left_out {
        println!("lint: LEFT OUT: {what}");
    }
    match failed.as_slice() {
        [] => println!("lint: nothing found"),
        failed => println!("lint: failed: {}", failed.join(", ")),
    }
    Ok(failed.is_empty())
}

fn checks() -> [(&'static str, Command); 4] {
    let mut documentation = cargo(&["doc", "--quiet", "--workspace", "--no-deps", "--all-features"]);
    documentation.env("RUSTDOCFLAGS", "-D warnings");
    let clippy = ["clippy", "--quiet", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"];
    [
        ("formatting", cargo(&["fmt", "--all", "--check"])),
        ("lints", cargo(&clippy)),
        ("documentation", documentation),
        ("packaging", packaging()),
    ]
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

/// Packages all published crates together, so that each finds the others although no registry has them yet, and builds
/// each from its package: one that needs a file from outside its directory fails here.
fn packaging() -> Command {
    let mut command = cargo(&["package", "--quiet", "--workspace", "--allow-dirty"]);
    for package in UNPUBLISHED {
        command.args(["--exclude", package]);
    }
    command
}

/// Checks the dependencies by `deny.toml`. Returns what had to be left out.
fn check_dependencies(interrupt: &Interrupt, failed: &mut Vec<&'static str>) -> Result<Option<&'static str>> {
    eprintln!("--- dependencies");
    let mut rules = cargo(&["deny", "--log-level", "error", "--all-features", "check", "bans", "licenses", "sources"]);
    if !run_command(&mut rules, interrupt)?.success() {
        failed.push("dependencies");
    }
    eprintln!("--- advisories");
    let mut advisories = cargo(&["deny", "--log-level", "error", "--all-features", "check", "advisories"]);
    let Output { status, stderr, .. } = advisories.stdin(Stdio::null()).output().context("could not start cargo")?;
    let said = String::from_utf8_lossy(&stderr);
    if status.success() {
        return Ok(None);
    }
    eprint!("{said}");
    // A machine that cannot reach the list can still lint, and says what it left out.
    if said.contains(NO_ADVISORIES) {
        return Ok(Some("advisories, since their list cannot be fetched"));
    }
    failed.push("advisories");
    Ok(None)
}

fn has_cargo_deny() -> bool {
    let mut version = cargo(&["deny", "--version"]);
    version.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}
