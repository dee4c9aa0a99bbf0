//! The rules about folders and files: how many, how long, and which file is a folder's own.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::source::Sources;

/// What breaks a rule: folders with more than `folder` files, files with more than `file` lines, and `x.rs` beside `x/`.
pub(super) fn findings(sources: &Sources, folder: usize, file: usize) -> Vec<String> {
    let mut counts = BTreeMap::<&Path, usize>::new();
    for source in &sources.files {
        *counts.entry(source.folder()).or_default() += 1;
    }
    let crowded = counts.iter().filter(|(_, count)| **count > folder);
    let mut found: Vec<String> =
        crowded.map(|(path, count)| format!("{}: {count} source files, at most {folder}", path.display())).collect();
    let folders: BTreeSet<&Path> = counts.keys().copied().collect();
    for source in &sources.files {
        let lines = source.text.lines().count();
        if lines > file {
            found.push(format!("{}: {lines} lines, at most {file}", source.path.display()));
        }
        let own = source.path.with_extension("");
        if folders.contains(own.as_path()) {
            found.push(format!("{}: the folder's own file is {}/mod.rs", source.path.display(), own.display()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::source::{Source, module_of};
    use super::*;

    fn sources(files: &[(&str, usize)]) -> Sources {
        let source = |&(path, lines): &(&str, usize)| Source {
            path: Path::new("core/src").join(path),
            module: module_of(Path::new(path)),
            text: "line\n".repeat(lines),
        };
        Sources { directory: "core/src".into(), files: files.iter().map(source).collect() }
    }

    #[test]
    fn a_folder_with_too_many_files_is_named_with_their_number() {
        let sources = sources(&[("lib.rs", 1), ("a/mod.rs", 1), ("a/b.rs", 1), ("a/c.rs", 1), ("a/d/e.rs", 1)]);
        assert_eq!(findings(&sources, 2, 9), ["core/src/a: 3 source files, at most 2"]);
        assert_eq!(findings(&sources, 3, 9), [""; 0]);
    }

    #[test]
    fn a_file_that_is_too_long_is_named_with_its_lines() {
        assert_eq!(findings(&sources(&[("lib.rs", 9), ("a.rs", 10)]), 9, 9), ["core/src/a.rs: 10 lines, at most 9"]);
    }

    #[test]
    fn a_file_beside_the_folder_of_its_name_is_not_the_folder_s_own() {
        let found = findings(&sources(&[("lib.rs", 1), ("a.rs", 1), ("a/b.rs", 1)]), 9, 9);
        assert_eq!(found, ["core/src/a.rs: the folder's own file is core/src/a/mod.rs"]);
    }
}
