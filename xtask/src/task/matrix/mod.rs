//! `cargo xtask matrix`: every case of the conformance suite, those that disturb the bus included, on every broker and in
//! every profile.

mod table;

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use oslo_messaging_conformance::report::{REPORT, Records, embed};
use xtask::broker::{self, Node, Release, Settings};
use xtask::process::interrupt::Interrupt;
use xtask::profile::{PROFILES, Profile};
use xtask::workspace_root;

use crate::task::test::suite::{self, Suite};
use crate::task::test::summary::Summary;
use crate::task::test::{follow, point};
use table::Table;

/// What runs in each cell: the cases, and those of them that need a node of their own.
const SUITES: [&str; 2] = ["conformance", "disturbed"];

/// Where its records, its page and its table are, from the root of the workspace.
const DIRECTORY: &str = "target/matrix";
const DOCUMENT: &str = "docs/matrix.md";

/// Which cells.
#[derive(Debug, Args)]
pub(crate) struct Matrix {
    /// Only this release (3.10, 4.0, 4.3 or 4.3-denied); may be given several times.
    #[arg(long = "broker", value_name = "RELEASE")]
    releases: Vec<Release>,
    /// Only this profile (oslo, durable, quorum or stream); may be given several times.
    #[arg(long = "profile", value_name = "PROFILE")]
    profiles: Vec<Profile>,
    /// Puts the table into docs/matrix.md; refused unless all of it ran and held.
    #[arg(long)]
    docs: bool,
}

/// Fills the table; true if every case passed in every cell.
///
/// # Errors
/// When a release cannot be had, the tests do not build, or we are interrupted.
pub(crate) fn run(matrix: &Matrix, interrupt: &Interrupt) -> Result<bool> {
    if let Some(obstacle) = broker::obstacle() {
        bail!("the releases cannot be had here: {obstacle}");
    }
    if let Err(error) = fs::remove_dir_all(at(DIRECTORY))
        && error.kind() != ErrorKind::NotFound
    {
        return Err(error).context("the last run could not be removed");
    }
    let suites = suites(interrupt)?;
    let mut table = Table::default();
    for release in chosen(&matrix.releases, &Release::ALL) {
        broker::make(release, interrupt)?;
        let node = Node::start_release(Some(release), &Settings::default())?;
        for profile in chosen(&matrix.profiles, &Profile::ALL) {
            let (ended_well, records) = fill(&suites, &node, release, profile, interrupt)?;
            table.add(node.attached().broker(), profile, ended_well, records);
        }
        node.stop()?;
    }
    let text = table.markdown();
    fs::write(at(DIRECTORY).join("matrix.md"), &text)?;
    let page = at(DIRECTORY).join("index.html");
    fs::write(&page, table.records().html("every broker and every profile that was asked for"))?;
    print!("{text}");
    println!("report: {DIRECTORY}/index.html");
    if matrix.docs {
        let whole = matrix.releases.is_empty() && matrix.profiles.is_empty();
        if !whole || !table.held() {
            bail!("only a table of which every cell ran and held may stand in {DOCUMENT}");
        }
        let document = fs::read_to_string(at(DOCUMENT))?;
        let document = embed(&document, &text).with_context(|| format!("{DOCUMENT} has no place for the table"))?;
        fs::write(at(DOCUMENT), document)?;
    }
    Ok(table.held())
}

/// Runs what belongs into one cell, and returns whether it ended well and what it wrote down.
fn fill(
    suites: &[Suite],
    node: &Node,
    release: Release,
    profile: Profile,
    interrupt: &Interrupt,
) -> Result<(bool, Records)> {
    let directory = at(DIRECTORY).join(release.name()).join(profile.name());
    let mut held = true;
    for suite in suites {
        eprintln!("--- {} on {}, {profile}", suite.name, node.attached().broker());
        let mut command = Command::new(&suite.executable);
        command.current_dir(&suite.directory).env(REPORT, &directory).env(PROFILES, profile.name());
        point(&mut command, node);
        let (success, _) = follow(&mut command, Summary::new(vec![]), interrupt)?;
        interrupt.check()?;
        held &= success;
    }
    Ok((held, Records::read(&directory)?))
}

fn suites(interrupt: &Interrupt) -> Result<Vec<Suite>> {
    let mut arguments = vec!["-p".to_owned(), "oslo-messaging-amqp".to_owned()];
    arguments.extend(SUITES.iter().flat_map(|suite| ["--test".to_owned(), (*suite).to_owned()]));
    suite::build(&arguments, interrupt)
}

fn chosen<T: Copy>(named: &[T], all: &[T]) -> Vec<T> {
    if named.is_empty() { all.to_vec() } else { named.to_vec() }
}

fn at(path: &str) -> PathBuf {
    workspace_root().join(path)
}
