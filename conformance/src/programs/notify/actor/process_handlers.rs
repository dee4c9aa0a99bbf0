//! The handlers of a listener that is a process: it reports each call and waits for the answer.

use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::foreign::process::{Answers, Report, Reports};
use crate::programs::notify::handler::{Handler, compare};
use crate::programs::notify::history::{Answer, Heard, Log};

/// The handlers of one life of a listener.
#[derive(Debug)]
pub(super) struct ProcessHandlers {
    handler: Handler,
    answers: Answers,
    /// Calls are reported on the thread that reads the output, which has no runtime of its own.
    runtime: Handle,
    /// The calls in progress; `None` once the process is killed.
    calls: Mutex<Option<JoinSet<()>>>,
}

/// One call of a handler, as the process reports it. The answer carries its `id`.
#[derive(Debug, Deserialize)]
struct Call {
    id: u64,
    events: Vec<Received>,
}

/// An event as a handler of the process got it.
#[derive(Debug, Deserialize)]
struct Received {
    publisher_id: String,
    event_type: String,
    priority: String,
    payload: Value,
    context: Map<String, Value>,
    message_id: String,
    redelivered: bool,
}

/// The line that answers a report.
#[derive(Debug, Serialize)]
struct Line {
    answer: Answered,
}

#[derive(Debug, Serialize)]
struct Answered {
    /// That of the call which it answers.
    id: u64,
    answer: Answer,
}

impl ProcessHandlers {
    /// Runs calls on the current runtime and answers them with `answers`.
    pub(super) fn new(handler: Handler, answers: Answers) -> Self {
        Self { handler, answers, runtime: Handle::current(), calls: Mutex::new(Some(JoinSet::new())) }
    }

    /// Aborts every call. Later reports are dropped.
    pub(super) fn kill(&self) {
        drop(self.calls.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

impl Reports for ProcessHandlers {
    fn report(&self, report: Report) -> bool {
        let Report::Heard(report) = report else { return false };
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(calls) = calls.as_mut() else { return true };
        let (id, events) = match serde_json::from_value::<Call>(report) {
            Ok(Call { id, events }) => (Some(id), events.iter().map(|event| event.heard(&self.handler.log)).collect()),
            Err(error) => (None, vec![invalid(&error)]),
        };
        let call = self.handler.begin(events);
        let (handler, answers) = (self.handler.clone(), self.answers.clone());
        let handle = async move {
            // The answer is in the history before the process knows it, and so before any effect of it.
            let answer = handler.finish(call).await;
            if let Some(id) = id {
                answers.write(&Line { answer: Answered { id, answer } });
            }
        };
        calls.spawn_on(handle, &self.runtime);
        true
    }
}

impl Received {
    /// What to record of it. The process counts no tries.
    fn heard(&self, log: &Log) -> Heard {
        let context: Vec<String> = self.context.iter().map(|(name, value)| format!("{name}={value}")).collect();
        Heard {
            attempt: 1,
            redelivered: self.redelivered,
            message_id: self.message_id.clone(),
            ..compare(log, &self.payload, [&self.publisher_id, &self.event_type, &self.priority], &context)
        }
    }
}

/// What to record of a report that does not decode. It breaks a rule.
fn invalid(error: &serde_json::Error) -> Heard {
    let wrong = Some(format!("an invalid report: {error}"));
    Heard { number: None, attempt: 1, redelivered: false, message_id: String::new(), wrong }
}
