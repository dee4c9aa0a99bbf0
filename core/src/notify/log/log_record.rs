//! One log record, with the keys of the reference.
//!
//! Every key is always written, so that a Python consumer finds the same keys whatever the publisher.
//! What Rust does not have is `null`.

use std::fmt;
use std::path::Path;
use std::thread;

use serde::Serialize;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level};

/// The payload of a `logrecord` event (oslo.messaging `notify/logger.py`, `LoggingNotificationHandler.emit`).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct LogRecord {
    /// The target of the event, which takes the place of Python's logger name.
    name: String,
    /// The number of Python's `logging`: 10 to 40.
    levelno: u8,
    /// In upper case; `WARNING`, not `WARN`, as Python names it.
    levelname: &'static str,
    /// Rust has no exception in flight.
    exc_info: Option<()>,
    /// The source file as the compiler saw it; `null` if the event has none.
    pathname: Option<String>,
    /// The line in `pathname`, counted from 1.
    lineno: Option<u32>,
    /// The formatted message, without the other fields.
    msg: String,
    /// The innermost span, since an event does not know its function.
    #[serde(rename = "funcName")]
    func_name: Option<&'static str>,
    /// A number within this process; not the id of the operating system.
    thread: Option<u64>,
    #[serde(rename = "processName")]
    process_name: String,
    /// The id of this process, as the system has it.
    process: u32,
    /// The other fields of the event by name; `null` if there are none.
    extra: Option<Map<String, Value>>,
}

impl LogRecord {
    /// What `event` says, inside of a span of that name.
    ///
    /// Reads the program arguments and the thread, so it must run where the event was recorded.
    pub(super) fn of(event: &Event<'_>, span: Option<&'static str>) -> Self {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let metadata = event.metadata();
        let (levelno, levelname) = level(*metadata.level());
        Self {
            name: metadata.target().to_owned(),
            levelno,
            levelname,
            exc_info: None,
            pathname: metadata.file().map(str::to_owned),
            lineno: metadata.line(),
            msg: fields.message,
            func_name: span,
            thread: thread_number(),
            process_name: process_name(),
            process: std::process::id(),
            extra: (!fields.others.is_empty()).then_some(fields.others),
        }
    }
}

/// The number and the name of Python's `logging` for a level.
///
/// `TRACE` becomes `DEBUG`: Python has no lower level.
fn level(level: Level) -> (u8, &'static str) {
    match level {
        Level::ERROR => (40, "ERROR"),
        Level::WARN => (30, "WARNING"),
        Level::INFO => (20, "INFO"),
        _ => (10, "DEBUG"),
    }
}

/// The number in `ThreadId(7)`: there is no stable way to have it but its text.
///
/// `None` if a later Rust prints it in another way.
fn thread_number() -> Option<u64> {
    let id = format!("{:?}", thread::current().id());
    id.trim_start_matches("ThreadId(").trim_end_matches(')').parse().ok()
}

/// The file name of the program, as Python's `processName` names the process.
///
/// Empty if the process was started without a name.
fn process_name() -> String {
    let path = std::env::args_os().next().unwrap_or_default();
    Path::new(&path).file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Collects the fields of one `tracing` event, with `message` apart from the others.
#[derive(Debug, Default)]
struct Fields {
    /// The field `message`; empty if the event has none.
    message: String,
    /// In the order of their names.
    others: Map<String, Value>,
}

impl Fields {
    /// A repeated name keeps the last value.
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        self.others.insert(field.name().to_owned(), value.into());
    }
}

/// Numbers and booleans stay what they are; everything else is text. A float that is not finite becomes `null`.
impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        // The macros of `tracing` record the formatted text under this name.
        if field.name() == "message" {
            self.message = text;
        } else {
            self.put(field, text);
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            self.put(field, value);
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }
}
