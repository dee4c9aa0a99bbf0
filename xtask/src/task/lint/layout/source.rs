//! The source files of one crate, and the module that each of them is.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// The names that lead to a module from the root of its crate; the root has none.
pub(super) type ModulePath = Vec<String>;

/// All files below `src`.
#[derive(Debug, Default)]
pub(super) struct Sources {
    /// `src`, from the root of the workspace.
    pub(super) directory: PathBuf,
    /// Sorted by path.
    pub(super) files: Vec<Source>,
}

#[derive(Debug)]
pub(super) struct Source {
    /// From the root of the workspace: what a message shows.
    pub(super) path: PathBuf,
    pub(super) module: ModulePath,
    pub(super) text: String,
}

impl Sources {
    /// Reads every `.rs` file below `directory`. Messages show their paths relative to `workspace`.
    ///
    /// # Errors
    /// When a folder or a file cannot be read.
    pub(super) fn read(directory: &Path, workspace: &Path) -> Result<Self> {
        let mut paths = Vec::new();
        collect(directory, &mut paths)?;
        paths.sort();
        let read = |path: PathBuf| {
            let text = fs::read_to_string(&path).with_context(|| format!("could not read {}", path.display()))?;
            let module = module_of(path.strip_prefix(directory).unwrap_or(&path));
            let path = path.strip_prefix(workspace).unwrap_or(&path).to_owned();
            Ok(Source { path, module, text })
        };
        let files = paths.into_iter().map(read).collect::<Result<_>>()?;
        Ok(Self { directory: directory.strip_prefix(workspace).unwrap_or(directory).to_owned(), files })
    }

    /// The modules that are files.
    pub(super) fn modules(&self) -> BTreeSet<ModulePath> {
        self.files.iter().map(|file| file.module.clone()).collect()
    }
}

impl Source {
    /// The folder that it lies in, from the root of the workspace.
    pub(super) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }
}

fn collect(directory: &Path, paths: &mut Vec<PathBuf>) -> Result<()> {
    let entries = fs::read_dir(directory).with_context(|| format!("could not read {}", directory.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, paths)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
    Ok(())
}

/// The module of a file, given by its path below `src`.
pub(super) fn module_of(path: &Path) -> ModulePath {
    let mut names: ModulePath =
        path.with_extension("").components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
    if names.last().is_some_and(|last| last == "mod" || (names.len() == 1 && (last == "lib" || last == "main"))) {
        names.pop();
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_module_of_a_file_follows_from_its_path() {
        for (path, module) in
            [("lib.rs", ""), ("main.rs", ""), ("a.rs", "a"), ("a/mod.rs", "a"), ("a/lib.rs", "a::lib")]
        {
            assert_eq!(module_of(Path::new(path)).join("::"), module, "{path}");
        }
    }
}
