//! The line of results.

use std::fmt;

use serde_json::{Map, Value};

use crate::Arguments;

/// What a program measured: one JSON object of a name, a kind of work and figures.
#[derive(Debug, Clone)]
pub struct Line(Map<String, Value>);

impl Line {
    /// A line without figures.
    pub fn new(program: &str, arguments: &Arguments) -> Self {
        let mut fields = Map::new();
        fields.insert("program".into(), program.into());
        fields.insert("work".into(), arguments.work().into());
        Self(fields)
    }

    /// Adds a figure.
    #[must_use]
    pub fn with(mut self, name: &str, figure: impl Into<Value>) -> Self {
        self.0.insert(name.into(), figure.into());
        self
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Value::Object(self.0.clone()))
    }
}
