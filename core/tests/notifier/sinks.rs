//! Sinks other than the bus, and several at once.

use std::time::Duration;

use async_trait::async_trait;
use oslo_messaging::notify::{LogSink, NoopSink, NotificationSink, OutgoingEvent, RecordingSink};
use oslo_messaging::{Context, Deadline, Error, ErrorKind, Executed, Notifier, Priority, Result, Retry};
use serde_json::{Value, json};
use tokio::time::Instant;

/// Fails, or never ends.
#[derive(Debug)]
enum Sick {
    Fails(ErrorKind),
    Hangs,
}

#[async_trait]
impl NotificationSink for Sick {
    async fn publish(&self, _: &OutgoingEvent, _: Deadline) -> Result<()> {
        match self {
            Self::Fails(kind) => Err(Error::new(*kind, "publish").with_executed(Executed::No)),
            Self::Hangs => std::future::pending().await,
        }
    }

    fn is_noop(&self) -> bool {
        false
    }
}

#[tokio::test]
async fn a_recording_sink_keeps_the_event_its_context_its_priority_and_its_retries() {
    let sink = RecordingSink::new();
    let notifier = Notifier::from_sink("shop.host-1", sink.clone()).allow_context(["user"]).retry(Retry::times(5));
    notifier.warn(&Context::new().with("user", "bob"), "order.late", &json!({"id": 1})).await.unwrap();
    let [event] = &sink.recorded()[..] else { panic!("one event was sent") };
    assert_eq!((event.publisher_id.as_str(), event.event_type.as_str()), ("shop.host-1", "order.late"));
    assert_eq!((event.priority, event.retry), (Priority::Warn, Retry::times(5)));
    assert_eq!(event.payload.decode::<Value>().unwrap(), json!({"id": 1}));
    assert_eq!(event.context.get::<String>("user").as_deref(), Some("bob"));
}

#[tokio::test]
async fn a_notifier_is_disabled_only_if_nothing_can_come_of_an_event() {
    let nowhere = Notifier::from_sink("p", NoopSink);
    assert!(!nowhere.is_enabled());
    assert!(!nowhere.clone().with_sink(NoopSink).is_enabled());
    assert!(nowhere.clone().with_sink(LogSink).is_enabled());
    nowhere.info(&Context::new(), "e", &1).await.unwrap();
}

#[tokio::test]
async fn every_sink_is_tried_and_the_first_error_is_returned() {
    let (before, after) = (RecordingSink::new(), RecordingSink::new());
    let notifier = Notifier::from_sink("p", before.clone())
        .with_sink(Sick::Fails(ErrorKind::Denied))
        .with_sink(Sick::Fails(ErrorKind::Topology))
        .with_sink(after.clone());
    let error = notifier.info(&Context::new(), "order.created", &1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(error.to_string().contains("order.created"), "{error}");
    let ids = |sink: &RecordingSink| sink.recorded().into_iter().map(|event| event.message_id).collect::<Vec<_>>();
    assert_eq!(ids(&before).len(), 1);
    assert_eq!(ids(&before), ids(&after), "one event");
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_never_ends_holds_nobody_past_the_deadline() {
    let sink = RecordingSink::new();
    let notifier = Notifier::from_sink("p", Sick::Hangs).with_sink(sink.clone()).timeout(Duration::from_secs(5));
    let begin = Instant::now();
    let error = notifier.info(&Context::new(), "e", &1).await.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Timeout, Executed::Maybe));
    assert!(begin.elapsed() <= Duration::from_millis(5_100), "{:?}", begin.elapsed());
    assert_eq!(sink.recorded().len(), 1);
}
