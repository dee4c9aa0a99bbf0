//! Where a run is written to: a file, line by line, so that the run itself keeps nothing in memory; or a channel, if it is short.

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, BufWriter, Write as _};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::time::Instant;

use super::record::Record;

/// The clock of a run, and where its records go. A clone writes to the same place.
#[derive(Debug, Clone)]
pub struct Journal {
    began: Instant,
    lines: Sender<Record>,
}

/// The records of a run in memory.
#[derive(Debug)]
pub struct Records(Mutex<Receiver<Record>>);

/// The thread that writes the file.
#[derive(Debug)]
pub struct Writing(JoinHandle<io::Result<()>>);

impl Journal {
    /// Begins a run and its file.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn begin(path: &Path) -> io::Result<(Self, Writing)> {
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory)?;
        }
        let file = BufWriter::new(File::create(path)?);
        let (lines, records) = channel();
        // A thread, so that a slow disk delays no operation.
        let writing = thread::Builder::new().name("journal".into()).spawn(move || write(file, &records))?;
        Ok((Self { began: Instant::now(), lines }, Writing(writing)))
    }

    /// Begins a run whose records stay in memory until they are taken.
    pub fn in_memory() -> (Self, Records) {
        let (lines, records) = channel();
        (Self { began: Instant::now(), lines }, Records(Mutex::new(records)))
    }

    /// When the run began.
    pub fn began(&self) -> Instant {
        self.began
    }

    /// How long ago the run began.
    pub fn now(&self) -> Duration {
        self.began.elapsed()
    }

    pub fn write(&self, record: Record) {
        // Fails only after the disk has, which `Writing::finish` reports, or when a short run no longer reads.
        let _ = self.lines.send(record);
    }

    /// Records that something did not go as it should.
    pub fn trouble(&self, what: impl Into<String>) {
        self.write(Record::Trouble(what.into()));
    }
}

impl Records {
    /// What was written since the last time.
    pub fn take(&self) -> Vec<Record> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).try_iter().collect()
    }
}

impl Writing {
    /// Waits until everything is in the file; every [`Journal`] must have been dropped.
    ///
    /// # Errors
    /// When something could not be written.
    pub fn finish(self) -> io::Result<()> {
        self.0.join().expect("writing does not panic")
    }
}

/// The records of a file, one after the other.
///
/// # Errors
/// When it cannot be opened; each item, when its line cannot be read.
pub fn read(path: &Path) -> io::Result<impl Iterator<Item = io::Result<Record>>> {
    let lines = BufReader::new(File::open(path)?).lines();
    let record = |(number, line): (usize, io::Result<String>)| {
        serde_json::from_str(&line?).map_err(|error| io::Error::other(format!("line {}: {error}", number + 1)))
    };
    Ok(lines.enumerate().map(record))
}

fn write(mut file: BufWriter<File>, records: &Receiver<Record>) -> io::Result<()> {
    for record in records {
        serde_json::to_writer(&mut file, &record)?;
        file.write_all(b"\n")?;
    }
    file.flush()
}
