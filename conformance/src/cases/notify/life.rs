//! The life of a listener: what a stop, a shutdown and a drop do with events in hand.

use std::sync::Arc;

use oslo_messaging::driver::{Address, Message, PublishOptions, Source, Subscription};
use oslo_messaging::wire::{Format, Notification};
use oslo_messaging::{Deadline, ErrorKind, Event, NotificationEndpoint, NotificationListener, Payload, Priority};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::{listener, notifier, recording, send_events};
use crate::cases::cases;
use crate::{Failed, Outcome, Recorder, Stage};

cases! { notify_life;
    /// NotificationListener::stop: Stops taking events. Handlers go on.
    a_stopped_listener_finishes_what_it_handles_and_takes_no_more [Retention];
    /// NotificationListener::shutdown: Timeout if deadline passes first, and then every handler that still runs is
    /// aborted and its events go back to the broker.
    what_is_handled_past_the_deadline_goes_back [Retention, RedeliveredFlag];
    /// NotificationListener: Dropping it without wait aborts its handlers; what is unsettled goes back to the broker.
    a_dropped_listener_gives_back_what_it_held [Retention, RedeliveredFlag];
    /// NotificationListenerBuilder: Clone it to start the same listener again.
    it_starts_again_from_its_settings [Retention];
    /// oslo.messaging AMQPListener.__call__: it returns at a duplicate without settling it. Here it is done with.
    a_copy_is_settled_too [Retention];
}

/// Records that an `info` event began, takes one permit of `gate`, and records its redelivered flag at the end.
fn held(name: &'static str, recorder: &Recorder, gate: &Arc<Semaphore>) -> NotificationEndpoint<()> {
    let (recorder, gate) = (recorder.clone(), Arc::clone(gate));
    NotificationEndpoint::new(()).on(Priority::Info, "*", move |_, event: Event<Value>| {
        let (recorder, gate) = (recorder.clone(), Arc::clone(&gate));
        async move {
            recorder.record(name, format!("{} began", event.payload["n"]));
            gate.acquire().await.expect("the gate is never closed").forget();
            recorder.record(name, format!("{} ended, redelivered: {}", event.payload["n"], event.redelivered));
            Ok::<_, std::convert::Infallible>(())
        }
    })
}

/// Returns a listener whose handler has begun event 1 and waits for a permit of `gate`.
async fn holding(stage: &Stage, recorder: &Recorder, gate: &Arc<Semaphore>) -> Result<NotificationListener, Failed> {
    let builder = listener(stage, &["t"]).await?.endpoint(held("first", recorder, gate));
    let first = builder.start(stage.soon()).await?;
    send_events(&notifier(stage, &["t"]).await?, [1]).await?;
    recorder.wait(1).await?;
    Ok(first)
}

/// Starts a listener with a permit for each of `count` events, and returns what it recorded. No other event may come.
async fn next(stage: &Stage, count: usize) -> Result<Vec<String>, Failed> {
    let (recorder, gate) = (stage.recorder(), Arc::new(Semaphore::new(count)));
    let builder = listener(stage, &["t"]).await?.endpoint(held("next", &recorder, &gate));
    let next = builder.start(stage.soon()).await?;
    recorder.wait(2 * count).await?;
    recorder.quiet().await?;
    next.shutdown(stage.soon()).await?;
    Ok(recorder.at("next"))
}

/// The second event must go to the next listener without the redelivered flag, since no handler ever got it.
async fn a_stopped_listener_finishes_what_it_handles_and_takes_no_more(stage: &Stage) -> Outcome {
    let (recorder, gate) = (stage.recorder(), Arc::new(Semaphore::new(0)));
    let first = holding(stage, &recorder, &gate).await?;
    first.stop(stage.soon()).await?;
    send_events(&notifier(stage, &["t"]).await?, [2]).await?;
    assert_eq!(recorder.quiet().await?.len(), 1, "it takes no more");
    gate.add_permits(2);
    first.shutdown(stage.soon()).await?;
    assert_eq!(recorder.at("first"), ["1 began", "1 ended, redelivered: false"]);
    assert_eq!(next(stage, 1).await?, ["2 began", "2 ended, redelivered: false"]);
    Ok(())
}

/// The shutdown must end with `Timeout`, and the event must come back marked as redelivered.
async fn what_is_handled_past_the_deadline_goes_back(stage: &Stage) -> Outcome {
    let (recorder, gate) = (stage.recorder(), Arc::new(Semaphore::new(0)));
    let first = holding(stage, &recorder, &gate).await?;
    let error = first.shutdown(Deadline::after(stage.budget().quiet)).await.expect_err("the gate is shut");
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert_eq!(next(stage, 1).await?, ["1 began", "1 ended, redelivered: true"]);
    assert_eq!(recorder.at("first"), ["1 began"], "its handler was aborted");
    Ok(())
}

/// Drops without a stop, while the handler waits for the gate.
async fn a_dropped_listener_gives_back_what_it_held(stage: &Stage) -> Outcome {
    let (recorder, gate) = (stage.recorder(), Arc::new(Semaphore::new(0)));
    drop(holding(stage, &recorder, &gate).await?);
    assert_eq!(next(stage, 1).await?, ["1 began", "1 ended, redelivered: true"]);
    Ok(())
}

/// Three rounds. Two stops run at once in each, and both must succeed.
async fn it_starts_again_from_its_settings(stage: &Stage) -> Outcome {
    let recorder = stage.recorder();
    let builder = listener(stage, &["t"]).await?.endpoint(recording("recording", &recorder));
    let notifier = notifier(stage, &["t"]).await?;
    for n in 1..=3 {
        // Sent while no listener is up.
        send_events(&notifier, [n]).await?;
        let listener = builder.clone().start(stage.soon()).await?;
        recorder.wait(usize::try_from(n)?).await?;
        let (one, two) = tokio::join!(listener.stop(stage.soon()), listener.stop(stage.soon()));
        one.and(two)?;
        stage.soon().run("end", listener.wait()).await??;
        listener.shutdown(stage.soon()).await?;
    }
    assert_eq!(recorder.at("recording"), ["1", "2", "3"]);
    Ok(())
}

/// Three copies of one event, then another. The queue must be empty after the shutdown.
/// A copy that is skipped without a settlement would come back to the next reader.
async fn a_copy_is_settled_too(stage: &Stage) -> Outcome {
    let (transport, recorder) = (stage.connect().await?, stage.recorder());
    let listener =
        listener(stage, &["t"]).await?.endpoint(recording("recording", &recorder)).start(stage.soon()).await?;
    let to = Address::Notification { exchange: stage.name("e"), topic: stage.name("t"), priority: "info".to_owned() };
    for (n, unique_id) in [(1, "same"), (1, "same"), (1, "same"), (2, "other")] {
        let mut event = Notification::new(Payload::from(json!({ "n": n })));
        (event.priority, event.unique_id) = (Some("INFO".to_owned()), unique_id.to_owned());
        let message = Message::new(event.encode(Format::V2));
        transport.publish(&to, message, &PublishOptions::by(stage.soon())).await?;
    }
    recorder.wait(2).await?;
    listener.shutdown(stage.soon()).await?;
    assert_eq!(recorder.at("recording"), ["1", "2"]);
    let source = Source::Notifications { addresses: vec![to], pool: None };
    stage.read(&transport, Subscription::new(source)).await?.quiet().await
}
