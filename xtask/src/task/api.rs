//! `cargo xtask api`: compares the public API of the published crates with the text in `docs/api`.
//!
//! rustdoc describes a crate as JSON, and the crate `public-api` makes text of that: one line for each public item, with
//! its signature. The format of the JSON changes with the compiler, so another compiler than the usual one may make the
//! check impossible; that is reported and is no failure.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use public_api::Builder;
use rustdoc_types::FORMAT_VERSION;
use serde::Deserialize;
use xtask::process::command::{cargo, run as run_command};
use xtask::process::interrupt::Interrupt;
use xtask::workspace_root;

use super::workspace::Workspace;

/// Where the pinned texts are, one file for each package.
const PINNED: &str = "docs/api";

/// What rustdoc needs to write JSON; a warning of it belongs to the check of the documentation.
const JSON: &str = "-Z unstable-options --output-format json --cap-lints allow";

/// Traits that are left out of the text: the compiler implements them by itself, and no user names them.
const UNNAMED_TRAITS: [&str; 6] =
    ["Freeze", "RefUnwindSafe", "StructuralPartialEq", "UnsafeUnpin", "UnwindSafe", "Unpin"];

/// What is done with a difference.
#[derive(Debug, Args)]
pub(crate) struct Api {
    /// Writes the texts instead of comparing them.
    #[arg(long)]
    bless: bool,
}

/// What a comparison found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    /// Every text is as pinned.
    Same,
    /// At least one differs; the lines were printed.
    Different,
    /// The API was not read, for this reason.
    LeftOut(String),
}

/// The public items of one package.
struct PublicItems {
    package: String,
    /// One line for each item.
    text: String,
}

/// Compares, or writes with `--bless`; true unless a text differs.
///
/// # Errors
/// When rustdoc fails, a text cannot be read or written, or there is nothing to bless since the format of rustdoc is
/// unknown.
pub(crate) fn run(api: &Api, interrupt: &Interrupt) -> Result<bool> {
    if api.bless {
        let items = match read(interrupt)? {
            Ok(items) => items,
            Err(reason) => bail!("the public API was not read: {reason}"),
        };
        for items in &items {
            fs::write(items.pinned(), &items.text)
                .with_context(|| format!("could not write the API of {}", items.package))?;
        }
        println!("api: wrote {PINNED}");
        return Ok(true);
    }
    match compare(interrupt)? {
        Comparison::Same => println!("api: as pinned in {PINNED}"),
        Comparison::Different => return Ok(false),
        Comparison::LeftOut(reason) => println!("api: LEFT OUT: {reason}"),
    }
    Ok(true)
}

/// Compares every package with its pinned text, and prints each line that differs.
///
/// # Errors
/// When rustdoc fails, or a pinned text cannot be read.
pub(crate) fn compare(interrupt: &Interrupt) -> Result<Comparison> {
    let items = match read(interrupt)? {
        Ok(items) => items,
        Err(reason) => return Ok(Comparison::LeftOut(reason)),
    };
    let mut same = true;
    for items in items {
        let path = items.pinned();
        let pinned = fs::read_to_string(&path).with_context(|| format!("could not read {}", path.display()))?;
        let difference = difference(&pinned, &items.text);
        if !difference.is_empty() {
            same = false;
            println!("the public API of {} is not what {PINNED} lists:\n{}", items.package, difference.join("\n"));
        }
    }
    if same {
        return Ok(Comparison::Same);
    }
    println!("If the change is intended, name it in CHANGELOG.md and run `cargo xtask api --bless`.");
    Ok(Comparison::Different)
}

/// The public items of all packages, or why they cannot be read.
fn read(interrupt: &Interrupt) -> Result<Result<Vec<PublicItems>, String>> {
    let workspace = Workspace::read()?;
    let packages = workspace.published();
    let mut document = cargo(&["doc", "--quiet", "--no-deps", "--all-features"]);
    for package in &packages {
        document.args(["--package", package]);
    }
    document.env("RUSTDOC", workspace_root().join("xtask/rustdoc-json.sh")).env("RUSTDOCFLAGS", JSON);
    ensure!(run_command(&mut document, interrupt)?.success(), "rustdoc could not describe the public API");
    let mut items = Vec::new();
    for package in packages {
        let json = workspace.target_directory.join("doc").join(package.replace('-', "_")).with_extension("json");
        let version = format_version(&json)?;
        if version != FORMAT_VERSION {
            let reason =
                format!("this rustdoc writes version {version} of its JSON, and version {FORMAT_VERSION} can be read");
            return Ok(Err(reason));
        }
        // Every type has the blanket implementations of the standard library.
        let api = Builder::from_rustdoc_json(&json).omit_blanket_impls(true).build();
        let api = api.with_context(|| format!("could not read {}", json.display()))?;
        items.push(PublicItems { package: package.to_owned(), text: named(&api.to_string()) });
    }
    Ok(Ok(items))
}

impl PublicItems {
    /// The file that lists them.
    fn pinned(&self) -> PathBuf {
        workspace_root().join(PINNED).join(&self.package).with_extension("txt")
    }
}

/// `text` without the implementations of [`UNNAMED_TRAITS`].
fn named(text: &str) -> String {
    let is_unnamed = |line: &str| {
        let Some((implemented, _)) = line.strip_prefix("impl").and_then(|line| line.split_once(" for ")) else {
            return false;
        };
        let name = implemented.rsplit("::").next().unwrap_or_default();
        UNNAMED_TRAITS.contains(&name)
    };
    text.lines().filter(|line| !is_unnamed(line)).flat_map(|line| [line, "\n"]).collect()
}

/// Read before the rest: what follows it has another form in another version.
fn format_version(json: &Path) -> Result<u32> {
    #[derive(Deserialize)]
    struct Version {
        format_version: u32,
    }
    let text = fs::read(json).with_context(|| format!("could not read {}", json.display()))?;
    let version: Version =
        serde_json::from_slice(&text).with_context(|| format!("{} has no version", json.display()))?;
    Ok(version.format_version)
}

/// The lines that only `pinned` has, after a minus, and those that only `actual` has, after a plus.
///
/// A line that one has more often than the other counts so often.
fn difference(pinned: &str, actual: &str) -> Vec<String> {
    let only = |these: &str, those: &str, sign: char| {
        let mut counts = BTreeMap::<&str, usize>::new();
        for line in those.lines() {
            *counts.entry(line).or_default() += 1;
        }
        let mut found = Vec::new();
        for line in these.lines() {
            match counts.get_mut(line) {
                Some(left) if *left > 0 => *left -= 1,
                _ => found.push(format!("{sign} {line}")),
            }
        }
        found
    };
    let mut lines = only(pinned, actual, '-');
    lines.extend(only(actual, pinned, '+'));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_signature_is_one_line_less_and_one_line_more() {
        let pinned = "pub mod a\npub fn a::f()\npub fn a::g()\n";
        let actual = "pub mod a\npub fn a::f(u8)\npub fn a::g()\n";
        assert_eq!(difference(pinned, actual), ["- pub fn a::f()", "+ pub fn a::f(u8)"]);
        assert_eq!(difference(pinned, pinned), [""; 0]);
    }

    #[test]
    fn send_and_sync_are_a_part_of_the_api_and_traits_of_the_compiler_are_not() {
        let text = "impl core::marker::Send for a::B\nimpl<T> core::marker::Freeze for a::B<T> where T: Freeze\n\
            impl !core::marker::Sync for a::B\nimpl core::panic::unwind_safe::UnwindSafe for a::B\npub fn a::Unpin()\n";
        let kept = "impl core::marker::Send for a::B\nimpl !core::marker::Sync for a::B\npub fn a::Unpin()\n";
        assert_eq!(named(text), kept);
    }

    #[test]
    fn a_line_that_comes_more_often_is_a_difference() {
        assert_eq!(difference("impl A\n", "impl A\nimpl A\n"), ["+ impl A"]);
        assert_eq!(difference("impl A\nimpl A\n", "impl A\n"), ["- impl A"]);
    }

    #[test]
    fn every_published_package_has_a_pinned_text_and_no_other_has() {
        let names = |paths: Vec<PathBuf>| {
            let mut names: Vec<_> = paths.iter().map(|path| path.file_name().unwrap().to_owned()).collect();
            names.sort();
            names
        };
        let items = |package: &str| PublicItems { package: package.to_owned(), text: String::new() };
        let workspace = Workspace::read().unwrap();
        let expected = workspace.published().into_iter().map(|package| items(package).pinned());
        let found = fs::read_dir(workspace_root().join(PINNED)).unwrap().map(|entry| entry.unwrap().path());
        assert_eq!(names(found.collect()), names(expected.collect()));
    }
}
