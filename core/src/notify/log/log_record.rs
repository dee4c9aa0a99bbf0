//! One log record, with the keys of the reference.

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
    name: String,
    levelno: u8,
    levelname: &'static str,
    /// Rust has no exception in flight.
    exc_info: Option<()>,
    pathname: Option<String>,
    lineno: Option<u32>,
    msg: String,
    #[serde(rename = "funcName")]
    func_name: Option<&'static str>,
    thread: Option<u64>,
    #[serde(rename = "processName")]
    process_name: String,
    process: u32,
    extra: Option<Map<String, Value>>,
}

impl LogRecord {
    /// What `event` says, inside of a span of that name.
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
fn level(level: Level) -> (u8, &'static str) {
    match level {
        Level::ERROR => (40, "ERROR"),
        Level::WARN => (30, "WARNING"),
        Level::INFO => (20, "INFO"),
        _ => (10, "DEBUG"),
    }
}

/// The number in `ThreadId(7)`: there is no stable way to have it but its text.
fn thread_number() -> Option<u64> {
    let id = format!("{:?}", thread::current().id());
    id.trim_start_matches("ThreadId(").trim_end_matches(')').parse().ok()
}

/// The file name of the program, as Python's `processName` names the process.
fn process_name() -> String {
    let path = std::env::args_os().next().unwrap_or_default();
    Path::new(&path).file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The message of a record and its other fields.
#[derive(Debug, Default)]
struct Fields {
    message: String,
    others: Map<String, Value>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        self.others.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
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
