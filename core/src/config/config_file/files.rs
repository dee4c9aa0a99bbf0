//! Finds and reads the files of a configuration, as `--config-file` and `--config-dir` do in Python.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::ini::Sections;
use super::{ini, invalid};
use crate::{Error, Result};

/// Reads and parses one file on the calling thread.
///
/// Errors: `Config` with the path, and with the number of the line where the text is not valid.
pub(super) fn read(file: &Path) -> Result<Sections> {
    let text = fs::read_to_string(file).map_err(|error| invalid("the file cannot be read").with_source(error));
    text.and_then(|text| ini::parse(&text)).map_err(|error| error.with_context("file", file.display()))
}

/// The files that `path` stands for: itself, or what `--config-dir` reads of a directory, which is `*.conf` in lexical
/// order (oslo.config `_ConfigDirOpt`).
///
/// Errors: `Config`, with the directory that cannot be read.
pub(super) fn of(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let listed = fs::read_dir(path).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let unreadable = |error| -> Error {
        invalid("the directory cannot be read").with_context("directory", path.display()).with_source(error)
    };
    let mut files: Vec<_> = listed.map_err(unreadable)?.into_iter().map(|entry| entry.path()).collect();
    // Of what an operator mounts, `..data` and the like are directories.
    files.retain(|file| file.extension() == Some(OsStr::new("conf")) && !is_hidden(file) && !file.is_dir());
    files.sort();
    Ok(files)
}

/// A name that begins with a dot, which Python's `glob("*.conf")` does not list.
fn is_hidden(file: &Path) -> bool {
    file.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}
