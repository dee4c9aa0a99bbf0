//! Reports: the results of the suite as records, and pages made of them.
//!
//! [`main`](crate::main), [`programs::main`](crate::programs::main) and [`prove`](crate::programs::prove)
//! write a [`Record`] each, as JSON, into the directory that the variable [`REPORT`] names, if it is set. The
//! author of a driver needs this to render a page:
//!
//! ```no_run
//! use oslo_messaging_conformance::report::Records;
//!
//! # fn main() -> std::io::Result<()> {
//! // after `OSLO_TEST_REPORT=target/report cargo test`
//! let records = Records::read("target/report".as_ref())?;
//! std::fs::write("target/report/index.html", records.html("my bus"))?;
//! std::fs::write("target/report/conformance.md", records.markdown())
//! # }
//! ```

mod files;
mod html;
mod markdown;
mod record;
mod table;

pub use files::REPORT;
pub use markdown::embed;
pub use record::{CaseRun, Ended, Excused, FlawRun, Part, ProgramRun, Record, Records};

pub(crate) use files::write;

#[cfg(test)]
mod tests;
