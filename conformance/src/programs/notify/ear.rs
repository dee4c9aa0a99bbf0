//! The handlers of a program: they note what they hear and do what the event says.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use oslo_messaging::wire::Notification;
use oslo_messaging::{
    Context, Event, Exception, Failure, NotificationEndpoint, NotificationFilter, NotificationResult, Result,
};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::Tell;
use super::history::{Answer, Happened, Heard, Log};
use super::program::{Listener, Reads};

/// The only name whose value may leave with a context.
pub(super) const ALLOWED: &str = "request_id";
/// Text that suffers from whoever does not treat it as what it is.
const TEXT: &str = "\u{e9}\u{1f980} \" \\ \n \u{0}";

/// So much happens in no program. What comes again without end, in no time on a clock that is paused, is left in hand then.
const ENDLESS: usize = 5_000;

/// How often readers of a copy gave back which event. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Returns(Arc<Mutex<BTreeMap<(Reads, usize), u32>>>);

/// What becomes of an event whose handler fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnFailure {
    /// Its listener tries it again, and counts the tries.
    Retry,
    /// It goes back to its queue, and its listener counts nothing.
    GiveBack,
    /// It is dropped, as is what its handler gives back.
    Drop,
}

/// The state of the handlers of one listener.
#[derive(Debug, Clone)]
pub(super) struct Ear {
    pub(super) listener: usize,
    pub(super) reads: Reads,
    pub(super) log: Log,
    pub(super) returns: Returns,
    /// How often an event failed where its listener does not count.
    pub(super) failures: Returns,
    pub(super) on_failure: OnFailure,
    /// How long a slow event takes.
    pub(super) nap: Duration,
}

/// A handler that runs: its place in the history, and its events with their tries.
#[derive(Debug)]
pub(super) struct Hearing {
    run: usize,
    told: Vec<(usize, Tell, u32)>,
}

/// How a handler fails.
pub(super) struct Sick(usize);

impl Exception for Sick {
    fn failure(&self) -> Failure {
        Failure::new("conformance", "Sick", self.0.to_string())
    }
}

/// What a dead letter says of the failure of `listener`.
pub(super) fn detail(listener: usize) -> String {
    format!("conformance.Sick: {listener}")
}

/// What an event with `number` carries.
pub(super) fn payload(number: usize) -> Value {
    json!({ "n": number, "text": TEXT, "large": u64::MAX, "none": null })
}

/// The context that an event with `number` is told with: what may leave, and what may not.
pub(super) fn context(number: usize) -> Context {
    Context::new().with(ALLOWED, format!("req-{number}")).with("token", "hunter2")
}

/// The handlers of `listener`.
pub(super) fn endpoint(listener: &Listener, ear: Ear) -> Result<NotificationEndpoint<Ear>> {
    let mut endpoint = NotificationEndpoint::new(ear);
    if let Some(publisher) = &listener.publisher {
        endpoint = endpoint.filter(NotificationFilter::new().publisher_id(publisher)?);
    }
    Ok(listener.priorities.iter().fold(endpoint, |endpoint, priority| match listener.batch {
        None => endpoint.on(*priority, &listener.types, async |ear: Arc<Ear>, event| ear.hear(vec![event]).await),
        Some(_) => endpoint.on_batch(*priority, &listener.types, async |ear: Arc<Ear>, events| ear.hear(events).await),
    }))
}

impl Ear {
    async fn hear(&self, events: Vec<Event<Value>>) -> Result<NotificationResult, Sick> {
        let hearing = self.begin(events.iter().map(|event| heard(&self.log, event)).collect());
        match self.finish(hearing).await {
            Answer::Handled => Ok(NotificationResult::Handled),
            Answer::Requeued => Ok(NotificationResult::Requeue),
            Answer::Failed => Err(Sick(self.listener)),
        }
    }

    /// Notes that a handler runs.
    pub(super) fn begin(&self, heard: Vec<Heard>) -> Hearing {
        let tell = |heard: &Heard| Some((heard.number?, self.log.told(heard.number?)?, heard.attempt));
        let told = heard.iter().filter_map(tell).collect();
        Hearing { run: self.log.run(self.listener, heard), told }
    }

    /// Does what the events say, and notes what the handler answers.
    pub(super) async fn finish(&self, Hearing { run, told }: Hearing) -> Answer {
        if run > ENDLESS {
            pending::<()>().await;
        }
        if told.iter().any(|(_, tell, _)| tell.slow) {
            sleep(self.nap).await;
        }
        let answer = if self.fails(&told) { Answer::Failed } else { self.answer(&told) };
        self.log.note(Happened::Answered { run, answer });
        answer
    }

    fn fails(&self, told: &[(usize, Tell, u32)]) -> bool {
        match self.on_failure {
            OnFailure::Retry | OnFailure::Drop => told.iter().any(|(_, tell, attempt)| *attempt <= tell.failing),
            OnFailure::GiveBack => {
                self.failures.any_left(&self.reads, told.iter().map(|(number, tell, _)| (*number, tell.failing)))
            }
        }
    }

    /// Gives back what was not yet given back as often as it is to be.
    fn answer(&self, told: &[(usize, Tell, u32)]) -> Answer {
        let gives_back = self.on_failure != OnFailure::Drop
            && self.returns.any_left(&self.reads, told.iter().map(|(number, tell, _)| (*number, tell.requeued)));
        if gives_back { Answer::Requeued } else { Answer::Handled }
    }
}

impl Returns {
    /// Whether one of the events, each with how often that is to happen, has it still before it; counts it for each that has.
    fn any_left(&self, reads: &Reads, events: impl Iterator<Item = (usize, u32)>) -> bool {
        let mut returns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut any = false;
        for (number, times) in events {
            let done = returns.entry((reads.clone(), number)).or_default();
            if *done < times {
                *done += 1;
                any = true;
            }
        }
        any
    }
}

/// What there is to note of an event.
pub(super) fn heard(log: &Log, event: &Event<Value>) -> Heard {
    let context: Vec<String> =
        event.context.values().map(|(name, value)| format!("{name}={}", value.as_str())).collect();
    Heard {
        attempt: event.attempt,
        redelivered: event.redelivered,
        message_id: event.message_id.clone(),
        ..came(log, &event.payload, [&event.publisher_id, &event.event_type, event.priority.as_str()], &context)
    }
}

/// What there is to note of a message that nobody handled.
pub(super) fn unheard(log: &Log, notification: &Notification) -> Heard {
    let context: Vec<String> =
        notification.context.iter().map(|(name, value)| format!("{name}={}", value.as_str())).collect();
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let (publisher, event_type) = (text(&notification.publisher_id), text(&notification.event_type));
    let priority = text(&notification.priority).to_lowercase();
    let payload = notification.payload.decode().unwrap_or_default();
    let message_id = text(&notification.message_id);
    Heard { message_id, ..came(log, &payload, [&publisher, &event_type, &priority], &context) }
}

/// Compares what came with what was told.
pub(super) fn came(log: &Log, carried: &Value, said: [&str; 3], context: &[String]) -> Heard {
    let number = carried["n"].as_u64().and_then(|number| usize::try_from(number).ok());
    let told = number.and_then(|number| Some((number, log.told(number)?)));
    let right = told.is_some_and(|(number, tell)| {
        *carried == payload(number)
            && said == [&tell.publisher, &tell.event_type, tell.priority.as_str()]
            && *context == [format!("{ALLOWED}=\"req-{number}\"")]
    });
    let wrong = (!right).then(|| format!("{said:?} {carried} {context:?}"));
    Heard { number, attempt: 0, redelivered: false, message_id: String::new(), wrong }
}
