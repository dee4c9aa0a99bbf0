//! The directory of records, one file for each.

use std::env;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use super::{Part, Record, Records};
use crate::console::print_error;

/// The environment variable that names the directory for records. Without it nothing is written.
pub const REPORT: &str = "OSLO_TEST_REPORT";

/// Writes a record into the directory that [`REPORT`] names, if it names one. A failure is printed and fails no test.
pub(crate) fn write(record: &Record) {
    let Some(directory) = env::var_os(REPORT) else { return };
    if let Err(error) = write_to(directory.as_ref(), record) {
        print_error(&format!("no record could be written into {}: {error}", directory.display()));
    }
}

/// Writes a record to the file of its driver and part; a later run replaces it.
/// Characters other than letters, digits, `-`, `_` and `.` become `-` in the name of the file.
///
/// Fails if the directory or the file cannot be written.
pub(super) fn write_to(directory: &Path, record: &Record) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let part = match &record.part {
        Part::Cases(_) => "cases".to_owned(),
        Part::Programs(run) => format!("programs.{}.{}", run.kind, run.actors),
        Part::Flaws(_) => "flaws".to_owned(),
    };
    let name = format!("{}.{part}", record.driver);
    let safe = |char: char| if char.is_alphanumeric() || "-_.".contains(char) { char } else { '-' };
    let name: String = name.chars().map(safe).collect();
    fs::write(directory.join(name + ".json"), serde_json::to_vec_pretty(record)?)
}

impl Records {
    /// Reads every record of a directory. A missing directory has no records.
    ///
    /// # Errors
    /// A file cannot be read, or is not a record.
    pub fn read(directory: &Path) -> io::Result<Self> {
        let entries = match fs::read_dir(directory) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            entries => entries?,
        };
        let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
        paths.sort();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
        let read = |path: &Path| {
            let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
            serde_json::from_slice(&fs::read(path).map_err(named)?).map_err(|error| named(error.into()))
        };
        paths.iter().map(|path| read(path)).collect()
    }
}
