//! Checks how the sources of each crate are laid out, so that what was put in order stays in order.
//!
//! The rules: a bound on the files of a folder and on the lines of a file, `mod.rs` as a folder's own file, and no import
//! cycle between the modules of a folder. A module and what lies below it may import each other.

mod cycles;
mod files;
mod imports;
mod source;
mod tokens;

use anyhow::Result;
use xtask::workspace_root;

use crate::task::workspace::Workspace;
use source::Sources;

/// How many source files a folder may hold.
const FOLDER: usize = 14;

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
    for package in Workspace::read()?.packages() {
        let sources = Sources::read(&package.sources()?, workspace_root())?;
        layout.crates += 1;
        layout.files += sources.files.len();
        layout.findings.extend(files::findings(&sources, FOLDER, FILE));
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
