//! The reference implementation in a Python environment of its own, for tests that speak with it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::process::command::output_within;
use crate::setup::install;
use crate::workspace_root;

/// The variable that names the interpreter with the reference implementation.
pub const PYTHON: &str = "OSLO_TEST_PYTHON";

/// What the project is compatible with.
const REQUIREMENT: &str = "oslo.messaging==18.3.1";

/// How long making an empty environment may take.
const CREATE: Duration = Duration::from_secs(120);

/// How long fetching the reference implementation and all it needs may take.
const FETCH: Duration = Duration::from_secs(600);

/// Makes `target/python` with the reference implementation in it, unless it is there, and returns its interpreter.
///
/// # Errors
/// When Python 3 or its `venv` module is missing and cannot be installed, or the packages cannot be fetched.
pub fn interpreter() -> Result<PathBuf> {
    let home = workspace_root().join("target").join("python");
    let interpreter = home.join("bin").join("python");
    // Written last, so an environment that was left half made is made again.
    let stamp = home.join("requirement");
    if fs::read_to_string(&stamp).is_ok_and(|made| made == REQUIREMENT) && interpreter.exists() {
        return Ok(interpreter);
    }
    install::python_venv()?;
    eprintln!("making {} with {REQUIREMENT}", home.display());
    output_within(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&home), CREATE)?;
    let mut pip = Command::new(&interpreter);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", REQUIREMENT]);
    output_within(&mut pip, FETCH)?;
    fs::write(&stamp, REQUIREMENT).with_context(|| format!("could not write {}", stamp.display()))?;
    Ok(interpreter)
}
