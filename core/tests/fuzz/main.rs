//! Replays what the fuzz targets start from, and what they have found, through the same checks: `cargo xtask fuzz` finds
//! more, and what it finds is added to `corpus`.

mod checks;

use std::path::{Path, PathBuf};
use std::{fs, panic};

use checks::CHECKS;

fn corpus(name: &str) -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(name);
    let entries = fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut inputs: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    inputs.sort();
    inputs
}

#[test]
fn every_input_of_every_corpus_holds_what_its_check_says() {
    let mut failed = Vec::new();
    for check in &CHECKS {
        let inputs = corpus(check.name);
        assert!(inputs.len() >= 3, "{} has {} inputs", check.name, inputs.len());
        for path in inputs {
            let input = fs::read(&path).unwrap();
            if panic::catch_unwind(|| (check.run)(&input)).is_err() {
                failed.push(path);
            }
        }
    }
    assert!(failed.is_empty(), "see above: {failed:?}");
}

#[test]
fn every_corpus_has_a_check_and_a_target() {
    let names = |directory: PathBuf| -> Vec<String> {
        let entries = fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
        let stem = |path: PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
        let mut names: Vec<_> = entries.map(|entry| stem(entry.unwrap().path())).collect();
        names.sort();
        names
    };
    let mut checks = CHECKS.map(|check| check.name.to_owned());
    checks.sort();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    assert_eq!(names(root.join("tests/fuzz/corpus")), checks);
    // A package has no targets, and is not fuzzed.
    let targets = root.join("../fuzz/fuzz_targets");
    if targets.is_dir() {
        let mut targets = names(targets);
        // The driver replays its own.
        targets.retain(|target| target != "frames");
        assert_eq!(targets, checks);
    }
}
