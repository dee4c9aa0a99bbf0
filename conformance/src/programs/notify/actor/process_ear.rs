//! Handlers that run in a process: it reports each call, and is told what to answer.

use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::programs::notify::ear::{Ear, came};
use crate::programs::notify::history::{Answer, Heard, Log};
use crate::programs::rpc::{Hear, Speaker};

/// The ear of one life of a listener that is a process.
#[derive(Debug)]
pub(super) struct ProcessEar {
    ear: Ear,
    speaker: Speaker,
    runtime: Handle,
    /// The handlers that run; `None` once the process is killed.
    handlers: Mutex<Option<JoinSet<()>>>,
}

/// One call of a handler, as the process reports it.
#[derive(Debug, Deserialize)]
struct Call {
    id: u64,
    events: Vec<Event>,
}

/// An event, as a handler of the process has it.
#[derive(Debug, Deserialize)]
struct Event {
    publisher_id: String,
    event_type: String,
    priority: String,
    payload: Value,
    context: Map<String, Value>,
    message_id: String,
    redelivered: bool,
}

/// What a handler of the process answers.
#[derive(Debug, Serialize)]
struct Line {
    answer: Answered,
}

#[derive(Debug, Serialize)]
struct Answered {
    id: u64,
    answer: Answer,
}

impl ProcessEar {
    /// An ear whose handlers run on the current runtime, and answer to `speaker`.
    pub(super) fn new(ear: Ear, speaker: Speaker) -> Self {
        Self { ear, speaker, runtime: Handle::current(), handlers: Mutex::new(Some(JoinSet::new())) }
    }

    /// Ends every handler in the middle of what it does.
    pub(super) fn kill(&self) {
        drop(self.handlers.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

impl Hear for ProcessEar {
    fn hear(&self, heard: Value) {
        let mut handlers = self.handlers.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(handlers) = handlers.as_mut() else { return };
        let (id, events) = match serde_json::from_value::<Call>(heard) {
            Ok(Call { id, events }) => (Some(id), events.iter().map(|event| event.heard(&self.ear.log)).collect()),
            Err(error) => (None, vec![unreadable(&error)]),
        };
        let hearing = self.ear.begin(events);
        let (ear, speaker) = (self.ear.clone(), self.speaker.clone());
        let handle = async move {
            // Noted before the process can know it, and before anything can come of it.
            let answer = ear.finish(hearing).await;
            if let Some(id) = id {
                speaker.say(&Line { answer: Answered { id, answer } });
            }
        };
        handlers.spawn_on(handle, &self.runtime);
    }
}

impl Event {
    fn heard(&self, log: &Log) -> Heard {
        let context: Vec<String> = self.context.iter().map(|(name, value)| format!("{name}={value}")).collect();
        Heard {
            attempt: 1,
            redelivered: self.redelivered,
            message_id: self.message_id.clone(),
            ..came(log, &self.payload, [&self.publisher_id, &self.event_type, &self.priority], &context)
        }
    }
}

fn unreadable(error: &serde_json::Error) -> Heard {
    let wrong = Some(format!("a report that cannot be read: {error}"));
    Heard { number: None, attempt: 1, redelivered: false, message_id: String::new(), wrong }
}
