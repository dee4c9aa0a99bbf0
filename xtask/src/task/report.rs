//! What the conformance suite did in a run of the tests: the page, the table, and the table in docs/testing.md.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use oslo_messaging_conformance::report::{REPORT, Records, embed};
use xtask::workspace_root;

/// Where the page is, from the root of the workspace.
pub(crate) const PAGE: &str = "target/report/index.html";

/// The note of a run in which every test ran and held.
pub(crate) const EVERYTHING: &str = "every test, some against two brokers, and all of them held";

const DIRECTORY: &str = "target/report";
const TABLE: &str = "target/report/conformance.md";
/// Which run it was. Not JSON, since those are the records.
const NOTE: &str = "target/report/run.txt";
const DOCUMENT: &str = "docs/testing.md";

/// Forgets the last run, and has `command` write the records of a new one.
///
/// # Errors
/// When the directory of the last run cannot be removed.
pub(crate) fn begin(command: &mut Command) -> Result<()> {
    let directory = directory();
    if let Err(error) = fs::remove_dir_all(&directory)
        && error.kind() != ErrorKind::NotFound
    {
        return Err(error).with_context(|| format!("could not remove {}", directory.display()));
    }
    command.env(REPORT, directory);
    Ok(())
}

/// Where the records of a run are.
pub(crate) fn directory() -> PathBuf {
    at(DIRECTORY)
}

/// Makes the page and the table of a run that is over; `note` says which it was.
///
/// # Errors
/// When a record is not readable, or something cannot be written.
pub(crate) fn finish(note: &str) -> Result<()> {
    fs::create_dir_all(directory())?;
    fs::write(at(NOTE), note)?;
    let records = Records::read(&directory())?;
    fs::write(at(TABLE), records.markdown())?;
    fs::write(at(PAGE), records.html(note))?;
    Ok(())
}

/// Makes the page and the table again, and with `docs` puts the table into docs/testing.md.
///
/// # Errors
/// When there was no run, or not one that may stand in docs/testing.md.
pub(crate) fn run(docs: bool) -> Result<bool> {
    let note = fs::read_to_string(at(NOTE)).context("no tests have run yet: `cargo xtask test` comes first")?;
    finish(&note)?;
    let table = fs::read_to_string(at(TABLE))?;
    print!("{table}");
    if docs {
        if note != EVERYTHING {
            bail!("the last run was {note}: only one in which all of them ran and held may stand in {DOCUMENT}");
        }
        let text = fs::read_to_string(at(DOCUMENT))?;
        let text = embed(&text, &table).with_context(|| format!("{DOCUMENT} has no place for the table"))?;
        fs::write(at(DOCUMENT), text)?;
    }
    Ok(true)
}

fn at(path: &str) -> PathBuf {
    workspace_root().join(path)
}
