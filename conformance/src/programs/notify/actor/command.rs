//! What a process is asked to do in a program of notifications. As JSON each is one line.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::Stage;
use crate::programs::notify::ear::{ALLOWED, payload};
use crate::programs::notify::play::window;
use crate::programs::notify::program::{Listener, Reads};
use crate::programs::notify::{Tell, ear};

/// One command.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Command {
    Listen(Listen),
    Stop,
    Notify(Notify),
}

/// Listen for events, and report each call of a handler.
#[derive(Debug, Serialize)]
pub(in crate::programs::notify) struct Listen {
    exchange: String,
    topics: Vec<String>,
    priorities: Vec<&'static str>,
    pool: Option<String>,
    /// Regular expressions that match from the beginning.
    event_type: Option<String>,
    publisher_id: Option<String>,
    batch: Option<usize>,
    batch_timeout_ms: u64,
    concurrency: usize,
    /// Whether handlers may give events back.
    allow_requeue: bool,
}

/// Publish an event, and answer when it is confirmed.
#[derive(Debug, Serialize)]
pub(in crate::programs::notify) struct Notify {
    exchange: String,
    topic: String,
    priority: &'static str,
    publisher_id: String,
    event_type: String,
    payload: Value,
    context: Map<String, Value>,
    /// The names in the context whose values may leave.
    allowed: Vec<&'static str>,
    driver: &'static str,
}

impl Listen {
    /// What `listener` listens for, by its names on the bus.
    pub(in crate::programs::notify) fn new(stage: &Stage, listener: &Listener) -> Self {
        Self {
            exchange: stage.name(&listener.exchange),
            topics: listener.topics.iter().map(|topic| stage.name(topic)).collect(),
            priorities: listener.priorities.iter().map(|priority| priority.as_str()).collect(),
            pool: match &listener.reads {
                Reads::Pool(pool) => Some(stage.name(pool)),
                Reads::Everybodys | Reads::Own => None,
            },
            event_type: event_type(&listener.types),
            publisher_id: listener.publisher.as_deref().map(escaped),
            batch: listener.batch,
            batch_timeout_ms: u64::try_from(window(stage.budget()).as_millis()).expect("a window is short"),
            concurrency: listener.concurrency,
            allow_requeue: !listener.drops,
        }
    }
}

impl Notify {
    /// The event with `number`, by its names on the bus.
    pub(in crate::programs::notify) fn new(stage: &Stage, tell: &Tell, number: usize) -> Self {
        let context = ear::context(number);
        let value = |text: &str| serde_json::from_str(text).expect("a context holds JSON");
        let context = context.values().map(|(name, text)| (name.to_owned(), value(text.as_str())));
        Self {
            exchange: stage.name(&tell.exchange),
            topic: stage.name(&tell.topic),
            priority: tell.priority.as_str(),
            publisher_id: tell.publisher.clone(),
            event_type: tell.event_type.clone(),
            payload: payload(number),
            context: context.collect(),
            allowed: vec![ALLOWED],
            driver: if tell.bare { "messaging" } else { "messagingv2" },
        }
    }
}

/// The regular expression of a pattern: a name, or what comes before a `*`.
fn event_type(pattern: &str) -> Option<String> {
    match pattern.strip_suffix('*') {
        Some("") => None,
        Some(beginning) => Some(escaped(beginning)),
        None => Some(format!("{}\\Z", escaped(pattern))),
    }
}

fn escaped(text: &str) -> String {
    text.replace('.', "\\.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_of_types_is_a_regular_expression() {
        assert_eq!(event_type("*"), None);
        assert_eq!(event_type("order.*").as_deref(), Some("order\\."));
        assert_eq!(event_type("order.made").as_deref(), Some("order\\.made\\Z"));
    }
}
