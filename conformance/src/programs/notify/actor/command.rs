//! The commands that a process takes in a program of notifications. Each is one line of JSON.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::Stage;
use crate::programs::notify::handler::{ALLOWED, payload};
use crate::programs::notify::program::{Listener, Reads};
use crate::programs::notify::window;
use crate::programs::notify::{Event, handler};

/// A command of the protocol that [`Foreign`](crate::programs::Foreign) describes.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Command {
    Listen(Listen),
    Stop,
    Notify(Notify),
}

/// Starts a listener that reports each call of a handler. Names are those of the bus.
#[derive(Debug, Serialize)]
pub(in crate::programs::notify) struct Listen {
    exchange: String,
    topics: Vec<String>,
    priorities: Vec<&'static str>,
    pool: Option<String>,
    /// A regular expression that matches from the beginning; `None` for every type.
    event_type: Option<String>,
    /// A regular expression that matches from the beginning; `None` for every publisher.
    publisher_id: Option<String>,
    batch: Option<usize>,
    /// How long a batch waits from its first event on; without `batch` it has no effect.
    batch_timeout_ms: u64,
    concurrency: usize,
    /// Whether the listener requeues what its handlers requeue, and what they fail on. Otherwise it acknowledges both.
    allow_requeue: bool,
}

/// Publishes an event. It ends when the event is confirmed.
#[derive(Debug, Serialize)]
pub(in crate::programs::notify) struct Notify {
    exchange: String,
    topic: String,
    priority: &'static str,
    publisher_id: String,
    event_type: String,
    payload: Value,
    context: Map<String, Value>,
    /// The names of the context values that may be sent.
    allowed: Vec<&'static str>,
    /// `messaging` writes no envelope, `messagingv2` writes one.
    driver: &'static str,
}

impl Listen {
    /// Exchange, topics and pool become the names on the bus; patterns become regular expressions.
    pub(in crate::programs::notify) fn new(stage: &Stage, listener: &Listener) -> Self {
        Self {
            exchange: stage.name(&listener.exchange),
            topics: listener.topics.iter().map(|topic| stage.name(topic)).collect(),
            priorities: listener.priorities.iter().map(|priority| priority.as_str()).collect(),
            pool: match &listener.reads {
                Reads::Pool(pool) => Some(stage.name(pool)),
                Reads::Shared | Reads::Private => None,
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
    /// The context holds a value that must not be sent, beside the allowed one.
    pub(in crate::programs::notify) fn new(stage: &Stage, event: &Event, number: usize) -> Self {
        let context = handler::context(number);
        let value = |text: &str| serde_json::from_str(text).expect("a context holds JSON");
        let context = context.values().map(|(name, text)| (name.to_owned(), value(text.as_str())));
        Self {
            exchange: stage.name(&event.exchange),
            topic: stage.name(&event.topic),
            priority: event.priority.as_str(),
            publisher_id: event.publisher.clone(),
            event_type: event.event_type.clone(),
            payload: payload(number),
            context: context.collect(),
            allowed: vec![ALLOWED],
            driver: if event.bare { "messaging" } else { "messagingv2" },
        }
    }
}

/// The regular expression of a pattern, which is a name, or a prefix before `*`.
fn event_type(pattern: &str) -> Option<String> {
    match pattern.strip_suffix('*') {
        Some("") => None,
        Some(beginning) => Some(escaped(beginning)),
        None => Some(format!("{}\\Z", escaped(pattern))),
    }
}

/// Dots are the only special characters in the names of programs.
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
