//! Checks how the sources of each crate are laid out, so that what was put in order stays in order.
//!
//! The rules: a bound on the files of a folder and on the lines of a file, `mod.rs` as a folder's own file, and no import
//! cycle between the modules of a folder. A module and what lies below it may import each other.

mod cycles;
mod files;
mod imports;
mod source;
mod tokens;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::Value;
use xtask::process::command::cargo;
use xtask::workspace_root;

use source::Sources;

/// How many source files a folder may hold.
const FOLDER: usize = 20;

/// The same in one crate: a driver is the part that most readers have to find their way in.
const NARROW_FOLDER: (&str, usize) = ("oslo-messaging-amqp", 14);

/// How many lines a file may have.
const FILE: usize = 500;

/// What the check read, and what it found.
#[derive(Debug, Default)]
pub(crate) struct Layout {
    crates: usize,
    files: usize,
    /// One line for each finding, which starts with the folder or the file.
    pub(crate) findings: Vec<String>,
}

/// Checks the `src` folder of every crate of the workspace.
///
/// # Errors
/// When cargo cannot name the crates, or a source file cannot be read.
pub(crate) fn check() -> Result<Layout> {
    let mut layout = Layout::default();
    for (name, directory) in crates()? {
        let sources = Sources::read(&directory, workspace_root())?;
        let bound = if name == NARROW_FOLDER.0 { NARROW_FOLDER.1 } else { FOLDER };
        layout.crates += 1;
        layout.files += sources.files.len();
        layout.findings.extend(files::findings(&sources, bound, FILE));
        layout.findings.extend(cycles::findings(&sources));
    }
    Ok(layout)
}

impl Layout {
    /// Prints the findings and their number; true if there are none.
    pub(crate) fn report(&self) -> bool {
        for finding in &self.findings {
            println!("{finding}");
        }
        println!("layout: {} findings in {} files of {} crates", self.findings.len(), self.files, self.crates);
        self.findings.is_empty()
    }
}

/// The name of each package of the workspace, and its `src` folder.
fn crates() -> Result<Vec<(String, PathBuf)>> {
    let output = cargo(&["metadata", "--no-deps", "--format-version=1"]).output().context("could not start cargo")?;
    let metadata: Value = serde_json::from_slice(&output.stdout).context("cargo metadata is not JSON")?;
    let packages = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
    let named = |package: &Value| {
        let directory = Path::new(package["manifest_path"].as_str()?).parent()?.join("src");
        Some((package["name"].as_str()?.to_owned(), directory))
    };
    packages.iter().map(|package| named(package).context("a package has no name or manifest")).collect()
}
