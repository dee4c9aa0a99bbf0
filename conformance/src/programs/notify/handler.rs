//! The handlers of a program: they record each event and do what it says: succeed, fail, requeue or take long.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use oslo_messaging::notify::{NotificationFilter, NotificationResult};
use oslo_messaging::wire::Notification;
use oslo_messaging::{Context, Event as Received, Exception, Failure, NotificationEndpoint, Result};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::Event;
use super::history::{Answer, Happened, Heard, Log};
use super::program::{Listener, Reads};

/// The only context value that notifiers may send.
pub(super) const ALLOWED: &str = "request_id";
/// Text that a wrong encoding or a wrong escape changes.
const TEXT: &str = "\u{e9}\u{1f980} \" \\ \n \u{0}";

/// More events than any program has. A handler that gets more keeps them forever: on a paused clock, endless
/// redelivery takes no time and would never end.
const ENDLESS: usize = 5_000;

/// How often the readers of each copy requeued each event. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Returns(Arc<Mutex<BTreeMap<(Reads, usize), u32>>>);

/// What becomes of an event whose handler fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnFailure {
    /// Its listener tries it again, and counts the tries.
    Retry,
    /// Its listener requeues it, and counts nothing.
    Requeue,
    /// Its listener acknowledges it, as it does an event that its handler requeues.
    Drop,
}

/// What the handlers of one listener share: which events fail, and where they report.
#[derive(Debug, Clone)]
pub(super) struct Handler {
    pub(super) listener: usize,
    /// Requeues of one event count together among the readers of one copy.
    pub(super) reads: Reads,
    pub(super) log: Log,
    /// Shared by all listeners, because any reader of a queue may get a requeued event.
    pub(super) returns: Returns,
    /// How often each event failed at listeners that do not count. Shared like `returns`.
    pub(super) failures: Returns,
    pub(super) on_failure: OnFailure,
    /// How long the handler of a slow event sleeps: a third of `Budget::quiet`.
    pub(super) nap: Duration,
}

/// A call of a handler: its position in the history, and its events with their numbers and tries.
#[derive(Debug)]
pub(super) struct Call {
    run: usize,
    sent: Vec<(usize, Event, u32)>,
}

/// The failure of a handler; it carries the index of the listener.
pub(super) struct HandlerFailed(usize);

impl Exception for HandlerFailed {
    fn failure(&self) -> Failure {
        Failure::new("conformance", "HandlerFailed", self.0.to_string())
    }
}

/// The failure detail of a dead letter that `listener` made.
pub(super) fn detail(listener: usize) -> String {
    format!("conformance.HandlerFailed: {listener}")
}

/// Holds the number, text that is hard to encode, the largest integer and a null.
pub(super) fn payload(number: usize) -> Value {
    json!({ "n": number, "text": TEXT, "large": u64::MAX, "none": null })
}

/// The context that an event with `number` is sent with: what may leave, and what may not.
pub(super) fn context(number: usize) -> Context {
    Context::new().with(ALLOWED, format!("req-{number}")).with("token", "hunter2")
}

/// The endpoint of `listener`, with a handler for each of its priorities.
pub(super) fn endpoint(listener: &Listener, handler: Handler) -> Result<NotificationEndpoint<Handler>> {
    let mut endpoint = NotificationEndpoint::new(handler);
    if let Some(publisher) = &listener.publisher {
        endpoint = endpoint.filter(NotificationFilter::new().publisher_id(publisher)?);
    }
    Ok(listener.priorities.iter().fold(endpoint, |endpoint, priority| match listener.batch {
        None => endpoint
            .on(*priority, &listener.types, async |handler: Arc<Handler>, event| handler.handle(vec![event]).await),
        Some(_) => endpoint
            .on_batch(*priority, &listener.types, async |handler: Arc<Handler>, events| handler.handle(events).await),
    }))
}

impl Handler {
    async fn handle(&self, events: Vec<Received<Value>>) -> Result<NotificationResult, HandlerFailed> {
        let call = self.begin(events.iter().map(|event| heard(&self.log, event)).collect());
        match self.finish(call).await {
            Answer::Handled => Ok(NotificationResult::Handled),
            Answer::Requeued => Ok(NotificationResult::Requeue),
            Answer::Failed => Err(HandlerFailed(self.listener)),
        }
    }

    /// Records the call. Events that no step has sent are recorded, but do not decide its answer.
    pub(super) fn begin(&self, heard: Vec<Heard>) -> Call {
        let event = |heard: &Heard| Some((heard.number?, self.log.message(heard.number?)?, heard.attempt));
        let sent = heard.iter().filter_map(event).collect();
        Call { run: self.log.note(Happened::Ran { listener: self.listener, heard }), sent }
    }

    /// Sleeps if an event is slow, decides for the whole batch, and records that: it fails if any event must
    /// fail, else it is requeued if any event must be.
    pub(super) async fn finish(&self, Call { run, sent }: Call) -> Answer {
        if run > ENDLESS {
            pending::<()>().await;
        }
        if sent.iter().any(|(_, event, _)| event.slow) {
            sleep(self.nap).await;
        }
        let answer = if self.fails(&sent) { Answer::Failed } else { self.answer(&sent) };
        self.log.note(Happened::Answered { run, answer });
        answer
    }

    /// A batch fails if any of its events must. Foreign listeners that
    /// requeue count no tries, so they are counted here.
    fn fails(&self, sent: &[(usize, Event, u32)]) -> bool {
        match self.on_failure {
            OnFailure::Retry | OnFailure::Drop => sent.iter().any(|(_, event, attempt)| *attempt <= event.failing),
            OnFailure::Requeue => {
                self.failures.any_left(&self.reads, sent.iter().map(|(number, event, _)| (*number, event.failing)))
            }
        }
    }

    /// Requeues the batch if any event of it has not been requeued as often as it says.
    fn answer(&self, sent: &[(usize, Event, u32)]) -> Answer {
        let requeues = self.on_failure != OnFailure::Drop
            && self.returns.any_left(&self.reads, sent.iter().map(|(number, event, _)| (*number, event.requeued)));
        if requeues { Answer::Requeued } else { Answer::Handled }
    }
}

impl Returns {
    /// Counts once more each event that has not reached its number of times yet. Returns whether there was one.
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

/// Adds the try, the redelivered flag and the id to the comparison with the event that was sent.
pub(super) fn heard(log: &Log, event: &Received<Value>) -> Heard {
    let context: Vec<String> =
        event.context.values().map(|(name, value)| format!("{name}={}", value.as_str())).collect();
    Heard {
        attempt: event.attempt,
        redelivered: event.redelivered,
        message_id: event.message_id.clone(),
        ..compare(log, &event.payload, [&event.publisher_id, &event.event_type, event.priority.as_str()], &context)
    }
}

/// The same for a message that no handler got: attempt 0, without a mark.
pub(super) fn unheard(log: &Log, notification: &Notification) -> Heard {
    let context: Vec<String> =
        notification.context.iter().map(|(name, value)| format!("{name}={}", value.as_str())).collect();
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let (publisher, event_type) = (text(&notification.publisher_id), text(&notification.event_type));
    let priority = text(&notification.priority).to_lowercase();
    let payload = notification.payload.decode().unwrap_or_default();
    let message_id = text(&notification.message_id);
    Heard { message_id, ..compare(log, &payload, [&publisher, &event_type, &priority], &context) }
}

/// Says in `wrong` all that came if payload, texts or context differ from what was sent.
pub(super) fn compare(log: &Log, carried: &Value, said: [&str; 3], context: &[String]) -> Heard {
    let number = carried["n"].as_u64().and_then(|number| usize::try_from(number).ok());
    let sent = number.and_then(|number| Some((number, log.message(number)?)));
    let right = sent.is_some_and(|(number, event)| {
        *carried == payload(number)
            && said == [&event.publisher, &event.event_type, event.priority.as_str()]
            && *context == [format!("{ALLOWED}=\"req-{number}\"")]
    });
    let wrong = (!right).then(|| format!("{said:?} {carried} {context:?}"));
    Heard { number, attempt: 0, redelivered: false, message_id: String::new(), wrong }
}
