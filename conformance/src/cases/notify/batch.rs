//! Notifications: events that are handed over in batches.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use oslo_messaging::{Event, NotificationEndpoint, Priority};
use serde_json::Value;
use tokio::time::Instant;

use super::{
    HandlerFailed, Recording, impatient, listener, many, notifier, numbers, queue, recording_batches, send_events,
};
use crate::cases::cases;
use crate::{Outcome, Recorder, Stage};

/// How long a batch waits here. Long enough for a real broker to hand over what it has.
const WINDOW: Duration = Duration::from_secs(2);

cases! { notify_batch;
    /// oslo.messaging NotifyTestCase.test_multiple_servers batch: 205 of size 100 come as 100, 100 and 5.
    two_hundred_and_five_come_as_a_hundred_a_hundred_and_five [EnsureQueue, Retention];
    /// oslo.messaging get_batch_notification_listener: batch_timeout, from the first message on.
    a_batch_waits_for_its_window_from_its_first_event_on [];
    /// oslo.messaging TestNotifyListener.test_batch_exception: the batches before and after it are handled.
    one_that_fails_costs_no_other [Requeue, Retention, EnsureQueue];
    /// oslo.messaging BatchNotificationDispatcher.dispatch: messages are grouped by priority.
    priorities_come_apart [EnsureQueue, Retention];
}

/// All events wait in the queue before the listener starts, so the sizes do not depend on the speed of the sender.
async fn two_hundred_and_five_come_as_a_hundred_a_hundred_and_five(stage: &Stage) -> Outcome {
    send_events(&notifier(stage, &["t"]).await?, 0..205).await?;
    let recorder = stage.recorder();
    let builder =
        listener(stage, &["t"]).await?.endpoint(recording_batches("recording", &recorder)).batch(many(100), WINDOW);
    let listener = builder.start(stage.soon()).await?;
    recorder.wait(3).await?;
    recorder.quiet().await?;
    let batches = recorder.at("recording");
    assert_eq!(batches.iter().map(|batch| batch.split(' ').count()).collect::<Vec<_>>(), [100, 100, 5]);
    assert_eq!(batches.join(" "), (0..205).map(|n| n.to_string()).collect::<Vec<_>>().join(" "));
    Ok(listener.shutdown(stage.soon()).await?)
}

/// The batch must come after one window at least, and before four.
/// A window that began at the start of the listener would end too early.
async fn a_batch_waits_for_its_window_from_its_first_event_on(stage: &Stage) -> Outcome {
    let recorder = stage.recorder();
    let builder =
        listener(stage, &["t"]).await?.endpoint(recording_batches("recording", &recorder)).batch(many(100), WINDOW);
    let listener = builder.start(stage.soon()).await?;
    let notifier = notifier(stage, &["t"]).await?;
    // Silence before the first event is no part of its wait.
    recorder.quiet().await?;
    let begun = Instant::now();
    send_events(&notifier, [1, 2]).await?;
    recorder.wait(1).await?;
    let waited = begun.elapsed();
    assert_eq!(recorder.at("recording"), ["1 2"]);
    assert!(waited >= WINDOW && waited < WINDOW * 4, "{waited:?}");
    Ok(listener.shutdown(stage.soon()).await?)
}

/// The middle batch of three fails and is tried twice; its three events must end as three dead letters.
async fn one_that_fails_costs_no_other(stage: &Stage) -> Outcome {
    let recorder = stage.recorder();
    let recording = Recording { name: "recording", recorder: recorder.clone() };
    let failing = async |recording: Arc<Recording>, events: Vec<Event<Value>>| {
        recording.recorder.record(recording.name, numbers(&events));
        if events[0].payload["n"] == 3 { Err(HandlerFailed) } else { Ok(()) }
    };
    let endpoint = NotificationEndpoint::new(recording).on_batch(Priority::Info, "*", failing);
    send_events(&notifier(stage, &["t"]).await?, 0..9).await?;
    let builder = listener(stage, &["t"]).await?.endpoint(endpoint).batch(many(3), WINDOW).on_failure(impatient(2));
    let listener = builder.start(stage.soon()).await?;
    recorder.wait(4).await?;
    recorder.quiet().await?;
    let mut batches = recorder.at("recording");
    batches.sort();
    assert_eq!(batches, ["0 1 2", "3 4 5", "3 4 5", "6 7 8"]);
    listener.shutdown(stage.soon()).await?;
    let queue = queue(stage, "t", Priority::Info);
    let mut dead = oslo_messaging::notify::DeadLetters::open(&stage.bus().await?, &queue, stage.soon()).await?;
    assert_eq!(dead.purge(stage.budget().quiet).await?, 3);
    Ok(dead.close(stage.soon()).await?)
}

/// The priorities alternate. Each handler must get one batch with both events of its priority.
async fn priorities_come_apart(stage: &Stage) -> Outcome {
    let recorder: Recorder = stage.recorder();
    let notifier = notifier(stage, &["t"]).await?;
    for (n, priority) in [Priority::Info, Priority::Error, Priority::Info, Priority::Error].into_iter().enumerate() {
        let context = oslo_messaging::Context::new();
        notifier.notify(priority, &context, "order.created", &serde_json::json!({ "n": n })).await?;
    }
    let endpoint = recording_batches("info", &recorder).on_batch(
        Priority::Error,
        "*",
        async |recording: Arc<Recording>, events: Vec<Event<Value>>| {
            recording.recorder.record("error", numbers(&events));
            Ok::<_, Infallible>(())
        },
    );
    let listener = listener(stage, &["t"]).await?.endpoint(endpoint).batch(many(4), WINDOW).start(stage.soon()).await?;
    recorder.wait(2).await?;
    recorder.quiet().await?;
    assert_eq!((recorder.at("info"), recorder.at("error")), (vec!["0 2".to_owned()], vec!["1 3".to_owned()]));
    Ok(listener.shutdown(stage.soon()).await?)
}
