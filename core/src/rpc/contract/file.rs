//! A contract in a file that is committed beside its service.

use std::error::Error as StdError;
use std::path::{Path, PathBuf};
use std::{env, fmt, fs, io};

use super::Contract;
use super::comparison::{Change, Need, changes};

/// Writes the file instead of comparing it, if it is `1`.
const WRITE: &str = "OSLO_MESSAGING_WRITE_CONTRACTS";

/// How a contract and its file differ, or why that is not known.
///
/// `Display` and `Debug` list each change with the version that it needs, so a test can unwrap it.
pub struct ContractChanged {
    path: PathBuf,
    reason: Reason,
}

/// What was found.
enum Reason {
    /// At least one.
    Changes(Vec<Change>),
    /// The file cannot be read or written, or is no contract.
    File(Box<dyn StdError + Send + Sync>),
}

impl Contract {
    /// Compares the contract with the file at `path`, in a test of its service.
    ///
    /// With the environment variable `OSLO_MESSAGING_WRITE_CONTRACTS=1` it writes the file instead, so that the change is a
    /// part of the review.
    ///
    /// ```no_run
    /// # use oslo_messaging::{Context, Failure, service};
    /// #[service(namespace = "base", version = "1.3")]
    /// trait Compute {
    ///     async fn reboot(&self, context: Context, id: u64) -> Result<(), Failure>;
    /// }
    ///
    /// // In a test.
    /// ComputeEndpoint::contract().check_file("compute.contract.json").unwrap();
    /// ```
    ///
    /// # Errors
    /// If they differ, also compatibly: the error lists the changes, and says of each which version it needs. If the file
    /// is missing, cannot be read or is no contract.
    pub fn check_file(&self, path: impl AsRef<Path>) -> Result<(), ContractChanged> {
        let path = path.as_ref();
        let write = env::var_os(WRITE).is_some_and(|value| value == "1");
        let found = if write { self.write(path).map(|()| Vec::new()) } else { self.differences(path) };
        let reason = match found {
            Ok(changes) if changes.is_empty() => return Ok(()),
            Ok(changes) => Reason::Changes(changes),
            Err(error) => Reason::File(error),
        };
        Err(ContractChanged { path: path.to_owned(), reason })
    }

    fn write(&self, path: &Path) -> Result<(), Box<dyn StdError + Send + Sync>> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        Ok(fs::write(path, text)?)
    }

    fn differences(&self, path: &Path) -> Result<Vec<Change>, Box<dyn StdError + Send + Sync>> {
        let text = fs::read_to_string(path)?;
        Ok(changes(&serde_json::from_str(&text)?, self)?)
    }
}

impl fmt::Display for ContractChanged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        let changes = match &self.reason {
            Reason::Changes(changes) => changes,
            Reason::File(error) => {
                let is_missing =
                    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::NotFound);
                let remedy = if is_missing { format!("; {WRITE}=1 writes it") } else { String::new() };
                return write!(f, "the contract in {path} was not compared: {error}{remedy}");
            }
        };
        write!(f, "the service is not what {path} says:")?;
        for Change { what, need } in changes {
            match need {
                Need::Nothing => write!(f, "\n- {what}: compatible")?,
                Need::Version(version) => write!(f, "\n- {what}: needs {version}")?,
                Need::Since(version) => write!(f, "\n- {what}: needs since {version}")?,
            }
        }
        if changes.iter().all(|change| change.need == Need::Nothing) {
            write!(f, "\nRun the test with {WRITE}=1 to write the file.")?;
        }
        Ok(())
    }
}

impl fmt::Debug for ContractChanged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl StdError for ContractChanged {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.reason {
            Reason::Changes(_) => None,
            Reason::File(error) => Some(&**error),
        }
    }
}
