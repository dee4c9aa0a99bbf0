//! Notifications: which listener gets which event.

use std::convert::Infallible;
use std::sync::Arc;

use oslo_messaging::notify::NotificationFilter;
use oslo_messaging::wire::{Compression, Format};
use oslo_messaging::{Bus, Context, Event, NotificationEndpoint, Notifier, Priority};
use serde_json::{Value, json};

use super::{Recording, listener, notifier, recording, send_events, sink, sorted};
use crate::cases::cases;
use crate::{Outcome, Recorder, Stage};

cases! { notify;
    /// oslo.messaging NotifyTestCase.test_simple: priority, type, payload and publisher arrive.
    an_event_arrives_with_all_its_parts [];
    /// oslo.messaging deserialize_msg: a body without an envelope is the message itself.
    both_formats_are_read_alike [];
    /// oslo.messaging NotifyTestCase.test_compression: the payload is intact.
    a_compressed_event_arrives_as_it_was [];
    /// oslo.messaging NotifyTestCase.test_all_categories: each priority arrives once, in any order.
    every_priority_is_heard [];
    /// oslo.messaging NotifyTestCase.test_multiple_topics, test_independent_topics: both topics, and not a third.
    one_listener_hears_its_topics_and_no_other [];
    /// oslo.messaging MessagingDriver.notify: one message for each topic.
    an_event_on_two_topics_is_heard_on_each [];
    /// oslo.messaging NotifyTestCase.test_multiple_servers: each listener has a share, and together all.
    listeners_share_a_topic [];
    /// oslo.messaging TestNotifyListener.test_two_endpoints: both are called.
    every_endpoint_has_every_event [];
    /// oslo.messaging NotificationFilter: only what matches is given to the endpoint; the rest is done with.
    a_filter_keeps_events_from_its_endpoint_alone [];
    /// oslo.messaging FAQ: the publisher declares the queue, so that nothing is lost before a consumer exists.
    what_is_told_before_anybody_listens_is_kept [EnsureQueue, Retention];
    /// MessagingSink::without_queue: the queue is not declared; without a listener an event is lost.
    without_a_queue_nothing_is_kept [];
    /// NotificationEndpoint::on: first polled in the order in which events arrived.
    order_holds_from_one_publisher [];
}

/// Records each part of a `warn` event; of the id and the timestamp only their lengths, since they vary.
fn attentive(recorder: &Recorder) -> NotificationEndpoint<Recording> {
    let recording = Recording { name: "recording", recorder: recorder.clone() };
    NotificationEndpoint::new(recording).on(
        Priority::Warn,
        "order.*",
        async |recording: Arc<Recording>, event: Event<Value>| {
            let user = event.context.get::<String>("user");
            let ids = (event.message_id.len(), event.timestamp.len());
            let Event { publisher_id, event_type, priority, payload, redelivered, attempt, .. } = event;
            let heard = json!([publisher_id, event_type, priority.as_str(), payload, user, ids, redelivered, attempt]);
            recording.recorder.record(recording.name, heard);
            Ok::<_, Infallible>(())
        },
    )
}

/// The context value `auth_token` is not allowed, so only `user` may arrive.
async fn parts_arrive(stage: &Stage, notifier: Notifier) -> Outcome {
    let recorder = stage.recorder();
    let listener = listener(stage, &["t"]).await?.endpoint(attentive(&recorder)).start(stage.soon()).await?;
    let context = Context::new().with("user", "bob").with("auth_token", "secret");
    let payload = json!({ "text": "\u{e4}\"\\\n".repeat(400), "big": 18_446_744_073_709_551_615_u64, "list": [null] });
    notifier.allow_context(["user"]).warn(&context, "order.refused", &payload).await?;
    let heard = recorder.wait(1).await?;
    let expected = json!(["conformance.host-1", "order.refused", "warn", payload, "bob", [36, 26], false, 1]);
    assert_eq!(heard[0].what, expected.to_string());
    Ok(listener.shutdown(stage.soon()).await?)
}

async fn an_event_arrives_with_all_its_parts(stage: &Stage) -> Outcome {
    parts_arrive(stage, notifier(stage, &["t"]).await?).await
}

/// Format 1 has no envelope. Every other part of the event must be the same.
async fn both_formats_are_read_alike(stage: &Stage) -> Outcome {
    let sink = sink(stage, &["t"]).await?.format(Format::V1);
    parts_arrive(stage, Notifier::from_sink("conformance.host-1", sink)).await
}

async fn a_compressed_event_arrives_as_it_was(stage: &Stage) -> Outcome {
    let bus = Bus::builder(stage.connect().await?).compression(Compression::Zlib).build();
    let sink = oslo_messaging::notify::MessagingSink::new(&bus).topics([stage.name("t")]).exchange(stage.name("e"));
    parts_arrive(stage, Notifier::from_sink("conformance.host-1", sink)).await
}

async fn every_priority_is_heard(stage: &Stage) -> Outcome {
    let recorder = stage.recorder();
    let listener =
        listener(stage, &["t"]).await?.endpoint(recording("recording", &recorder)).start(stage.soon()).await?;
    let notifier = notifier(stage, &["t"]).await?;
    for (n, priority) in Priority::ALL.into_iter().enumerate() {
        notifier.notify(priority, &Context::new(), "order.created", &json!({ "n": n })).await?;
    }
    recorder.wait(7).await?;
    recorder.quiet().await?;
    assert_eq!(sorted(recorder.at("recording"))?, [0, 1, 2, 3, 4, 5, 6]);
    Ok(listener.shutdown(stage.soon()).await?)
}

/// A listener of two topics beside one of a third. Each topic gets one event.
async fn one_listener_hears_its_topics_and_no_other(stage: &Stage) -> Outcome {
    let recorder = stage.recorder();
    let both = listener(stage, &["t", "u"]).await?.endpoint(recording("both", &recorder)).start(stage.soon()).await?;
    let other = listener(stage, &["v"]).await?.endpoint(recording("other", &recorder)).start(stage.soon()).await?;
    for (topic, n) in [("t", 1), ("u", 2), ("v", 3)] {
        send_events(&notifier(stage, &[topic]).await?, [n]).await?;
    }
    recorder.wait(3).await?;
    recorder.quiet().await?;
    assert_eq!((sorted(recorder.at("both"))?, recorder.at("other")), (vec![1, 2], vec!["3".to_owned()]));
    both.shutdown(stage.soon()).await?;
    Ok(other.shutdown(stage.soon()).await?)
}

/// The listener reads both topics, so its handler must run twice.
async fn an_event_on_two_topics_is_heard_on_each(stage: &Stage) -> Outcome {
    let recorder = stage.recorder();
    let listener =
        listener(stage, &["t", "u"]).await?.endpoint(recording("recording", &recorder)).start(stage.soon()).await?;
    send_events(&notifier(stage, &["t", "u"]).await?, [1]).await?;
    recorder.wait(2).await?;
    recorder.quiet().await?;
    assert_eq!(recorder.at("recording"), ["1", "1"]);
    Ok(listener.shutdown(stage.soon()).await?)
}

/// Each listener must get at least one of the twenty events.
async fn listeners_share_a_topic(stage: &Stage) -> Outcome {
    let recorder = stage.recorder();
    let first = listener(stage, &["t"]).await?.endpoint(recording("first", &recorder)).start(stage.soon()).await?;
    let second = listener(stage, &["t"]).await?.endpoint(recording("second", &recorder)).start(stage.soon()).await?;
    send_events(&notifier(stage, &["t"]).await?, 0..20).await?;
    recorder.wait(20).await?;
    recorder.quiet().await?;
    let shares = [sorted(recorder.at("first"))?, sorted(recorder.at("second"))?];
    assert!(shares.iter().all(|share| !share.is_empty()), "each has some: {shares:?}");
    let mut all = shares.concat();
    all.sort_unstable();
    assert_eq!(all, (0..20).collect::<Vec<_>>());
    first.shutdown(stage.soon()).await?;
    Ok(second.shutdown(stage.soon()).await?)
}

/// The endpoints must run in the order in which they were added.
async fn every_endpoint_has_every_event(stage: &Stage) -> Outcome {
    let recorder = stage.recorder();
    let builder =
        listener(stage, &["t"]).await?.endpoint(recording("first", &recorder)).endpoint(recording("second", &recorder));
    let listener = builder.start(stage.soon()).await?;
    send_events(&notifier(stage, &["t"]).await?, [1]).await?;
    recorder.wait(2).await?;
    let heard: Vec<_> = recorder.quiet().await?.into_iter().map(|event| event.place).collect();
    assert_eq!(heard, ["first", "second"]);
    Ok(listener.shutdown(stage.soon()).await?)
}

/// One event fails the filter by its type, one by its publisher. The endpoint without a filter must get all three.
async fn a_filter_keeps_events_from_its_endpoint_alone(stage: &Stage) -> Outcome {
    let recorder = stage.recorder();
    let filter = NotificationFilter::new().publisher_id("conformance")?.event_type(r"order\.created$")?;
    let builder = listener(stage, &["t"]).await?.endpoint(recording("picky", &recorder).filter(filter));
    let listener = builder.endpoint(recording("all", &recorder)).start(stage.soon()).await?;
    let notifier = notifier(stage, &["t"]).await?;
    notifier.info(&Context::new(), "order.created.late", &json!({ "n": 1 })).await?;
    notifier.prepare().publisher_id("other").info(&Context::new(), "order.created", &json!({ "n": 2 })).await?;
    send_events(&notifier, [3]).await?;
    recorder.wait(4).await?;
    recorder.quiet().await?;
    assert_eq!((recorder.at("picky"), sorted(recorder.at("all"))?), (vec!["3".to_owned()], vec![1, 2, 3]));
    Ok(listener.shutdown(stage.soon()).await?)
}

/// The notifier declares the queue: no listener has existed yet on these topics.
async fn what_is_told_before_anybody_listens_is_kept(stage: &Stage) -> Outcome {
    send_events(&notifier(stage, &["t"]).await?, 0..10).await?;
    let recorder = stage.recorder();
    let listener =
        listener(stage, &["t"]).await?.endpoint(recording("recording", &recorder)).start(stage.soon()).await?;
    recorder.wait(10).await?;
    assert_eq!(recorder.at("recording"), (0..10).map(|n| n.to_string()).collect::<Vec<_>>());
    Ok(listener.shutdown(stage.soon()).await?)
}

/// Only the event that was sent after the listener started may arrive.
async fn without_a_queue_nothing_is_kept(stage: &Stage) -> Outcome {
    let notifier = Notifier::from_sink("conformance.host-1", sink(stage, &["t"]).await?.without_queue());
    send_events(&notifier, [1]).await?;
    let recorder = stage.recorder();
    let listener =
        listener(stage, &["t"]).await?.endpoint(recording("recording", &recorder)).start(stage.soon()).await?;
    send_events(&notifier, [2]).await?;
    recorder.wait(1).await?;
    recorder.quiet().await?;
    assert_eq!(recorder.at("recording"), ["2"]);
    Ok(listener.shutdown(stage.soon()).await?)
}

async fn order_holds_from_one_publisher(stage: &Stage) -> Outcome {
    let recorder = stage.recorder();
    let listener =
        listener(stage, &["t"]).await?.endpoint(recording("recording", &recorder)).start(stage.soon()).await?;
    send_events(&notifier(stage, &["t"]).await?, 0..200).await?;
    recorder.wait(200).await?;
    assert_eq!(recorder.at("recording"), (0..200).map(|n| n.to_string()).collect::<Vec<_>>());
    Ok(listener.shutdown(stage.soon()).await?)
}
