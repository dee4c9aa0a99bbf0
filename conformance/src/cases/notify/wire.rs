//! Notifications as bytes, and where they go.

use std::convert::Infallible;
use std::sync::Arc;

use oslo_messaging::driver::{Address, Message, PublishOptions, Source, Subscription};
use oslo_messaging::wire::Format;
use oslo_messaging::{
    Context, Event, NotificationEndpoint, NotificationListener, Notifier, Payload, Priority, Result, Serializer, Target,
};
use serde_json::{Value, json};

use super::{listener, notifier, recording, send_events, sink};
use crate::cases::cases;
use crate::cases::peer::envelope;
use crate::{Failed, Outcome, Stage};

cases! { notify_wire;
    /// oslo.messaging TestMessagingNotifier: the exact message of each format, one for each topic.
    an_event_is_written_as_the_reference_writes_it [];
    /// Payload: NaN and infinities are null, lone surrogates are U+FFFD, integers of any size stay what they are.
    what_only_python_writes_is_read [];
    /// oslo.messaging TestSerializer.test_serializer: context and payload are serialised; a listener deserialises them.
    payload_and_context_pass_the_serializers [];
    /// oslo.messaging TestNotifyListener.test_two_exchanges: an event in another exchange is not received.
    exchanges_keep_topics_apart [];
    /// NotificationListenerBuilder::pool: Its queue is called as it is, whatever the topics are.
    one_pool_name_is_one_queue_whatever_the_topics [Pools];
}

/// Exchange and topic get the same unique names as those of listeners and sinks.
fn info(stage: &Stage, topic: &str) -> Address {
    Address::Notification { exchange: stage.name("e"), topic: stage.name(topic), priority: "info".to_owned() }
}

/// The notification in `body`. Format 2 has it as text in an envelope, which must have no other field.
fn content(format: Format, body: &[u8]) -> std::result::Result<Value, Failed> {
    let body: Value = serde_json::from_slice(body)?;
    if format == Format::V1 {
        return Ok(body);
    }
    let text = body["oslo.message"].as_str().ok_or("the content is text inside of the envelope")?;
    assert_eq!(body, json!({ "oslo.version": "2.0", "oslo.message": text }));
    Ok(serde_json::from_str(text)?)
}

/// The time must have the length of Python's `str(datetime)`, and `_unique_id` 32 characters.
/// Only the context value that `allow_context` names may travel; the token must not.
/// Both topics must carry the same `message_id`.
async fn an_event_is_written_as_the_reference_writes_it(stage: &Stage) -> Outcome {
    let (transport, context) = (stage.connect().await?, Context::new().with("user", "alice").with("token", "secret"));
    let source = Source::Notifications { addresses: vec![info(stage, "t"), info(stage, "u")], pool: None };
    let mut reading = stage.read(&transport, Subscription::new(source)).await?;
    for format in [Format::V1, Format::V2] {
        let sink = sink(stage, &["t", "u"]).await?.format(format);
        let notifier = Notifier::from_sink("conformance.host-1", sink).allow_context(["user"]);
        notifier.info(&context, "order.created", &json!({ "n": [1, null] })).await?;
        let mut ids = Vec::new();
        for incoming in reading.take(2).await? {
            let mut written = content(format, &incoming.message().body)?;
            incoming.acknowledge().await?;
            let mut take = |name: &str| written.as_object_mut().and_then(|fields| fields.remove(name));
            let (id, time, unique) = (take("message_id"), take("timestamp"), take("_unique_id"));
            assert_eq!(time.and_then(|time| Some(time.as_str()?.len())), Some("2026-11-22 18:11:31.065226".len()));
            assert!(unique.is_some_and(|unique| unique.as_str().is_some_and(|unique| unique.len() == 32)));
            ids.push(id.ok_or("an event has an id")?);
            let expected = json!({ "publisher_id": "conformance.host-1", "event_type": "order.created",
                "priority": "INFO", "payload": { "n": [1, null] }, "_context_user": "alice" });
            assert_eq!(written, expected, "{format:?}");
        }
        assert_eq!(ids[0], ids[1], "the event is the same on each topic");
    }
    Ok(())
}

/// Sends the same content bare and in the envelope of format 2.0.
/// Catches a parser that refuses the whole event for one value outside of JSON.
async fn what_only_python_writes_is_read(stage: &Stage) -> Outcome {
    let (transport, recorder) = (stage.connect().await?, stage.recorder());
    let seen = recorder.clone();
    let endpoint = NotificationEndpoint::new(()).on(Priority::Info, "*", move |_, event: Event<Payload>| {
        seen.record("recording", event.payload.as_str().replace(", ", ","));
        async { Ok::<_, Infallible>(()) }
    });
    let listener = listener(stage, &["t"]).await?.endpoint(endpoint).start(stage.soon()).await?;
    let payload = r#"[NaN, -Infinity, 123456789012345678901234567890, 1e400, "a\ud800b"]"#;
    let content = format!(r#"{{"event_type": "order.created", "priority": "INFO", "payload": {payload}}}"#);
    for body in [content.clone(), envelope(&content)] {
        transport.publish(&info(stage, "t"), Message::new(body), &PublishOptions::by(stage.soon())).await?;
    }
    recorder.wait(2).await?;
    assert_eq!(recorder.at("recording"), ["[null,null,123456789012345678901234567890,1e400,\"a\u{fffd}b\"]"; 2]);
    Ok(listener.shutdown(stage.soon()).await?)
}

/// Wraps what it serialises in a list and takes it out again; puts a mark on a context each way.
#[derive(Debug)]
struct Wraps;

impl Serializer for Wraps {
    fn serialize(&self, _: &Context, value: Payload) -> Result<Payload> {
        Payload::encode(&[value])
    }

    fn deserialize(&self, _: &Context, value: Payload) -> Result<Payload> {
        value.decode::<[Payload; 1]>().map(|[value]| value)
    }

    fn serialize_context(&self, context: &Context) -> Result<Context> {
        Ok(context.with("marked", "by the notifier"))
    }

    fn deserialize_context(&self, context: &Context) -> Result<Context> {
        Ok(context.with("read", "by the listener"))
    }
}

/// The tap has no serializer, so it reads the payload as it travelled: in the list that `Wraps` put around it.
async fn payload_and_context_pass_the_serializers(stage: &Stage) -> Outcome {
    let (recorder, plain) = (stage.recorder(), stage.recorder());
    let seen = recorder.clone();
    let endpoint = NotificationEndpoint::new(()).on(Priority::Info, "*", move |_, event: Event<Value>| {
        let names: Vec<_> = event.context.values().map(|(name, _)| name).collect();
        seen.record("recording", json!([event.payload, names]));
        async { Ok::<_, Infallible>(()) }
    });
    let builder = listener(stage, &["t"]).await?.endpoint(endpoint).serializer(Wraps);
    let listening = builder.start(stage.soon()).await?;
    let endpoint = NotificationEndpoint::new(plain.clone()).on(
        Priority::Info,
        "*",
        async |plain: Arc<crate::Recorder>, event: Event<Value>| {
            plain.record("plain", event.payload);
            Ok::<_, Infallible>(())
        },
    );
    let looking = listener(stage, &["t"]).await?.endpoint(endpoint).tap().start(stage.soon()).await?;
    send_events(&notifier(stage, &["t"]).await?.serializer(Wraps), [1]).await?;
    recorder.wait(1).await?;
    plain.wait(1).await?;
    assert_eq!(recorder.at("recording"), [r#"[{"n":1},["marked","read"]]"#]);
    assert_eq!(plain.at("plain"), [r#"[{"n":1}]"#], "so it travelled");
    listening.shutdown(stage.soon()).await?;
    Ok(looking.shutdown(stage.soon()).await?)
}

/// Four events, two of which have no listener in their exchange; only the other two may arrive.
/// The sinks declare no queue, because a declared queue would give the unread events a place to wait.
async fn exchanges_keep_topics_apart(stage: &Stage) -> Outcome {
    let recorder = stage.recorder();
    let mut listeners = Vec::new();
    for (name, exchange) in [("one", "e1"), ("two", "e2")] {
        // The topics differ too: on RabbitMQ two exchanges that feed one queue would feed both listeners.
        let target = Target::topic(stage.name(name)).exchange(stage.name(exchange));
        let builder = NotificationListener::builder(&stage.bus().await?).target(target);
        listeners.push(builder.endpoint(recording(name, &recorder)).start(stage.soon()).await?);
    }
    for (topic, exchange, n) in [("one", "e1", 1), ("two", "e2", 2), ("one", "e2", 3), ("two", "e", 4)] {
        let sink = sink(stage, &[topic]).await?.exchange(stage.name(exchange)).without_queue();
        send_events(&Notifier::from_sink("conformance.host-1", sink), [n]).await?;
    }
    recorder.wait(2).await?;
    recorder.quiet().await?;
    assert_eq!((recorder.at("one"), recorder.at("two")), (vec!["1".to_owned()], vec!["2".to_owned()]));
    for listener in listeners {
        listener.shutdown(stage.soon()).await?;
    }
    Ok(())
}

async fn one_pool_name_is_one_queue_whatever_the_topics(stage: &Stage) -> Outcome {
    let (recorder, pool) = (stage.recorder(), stage.name("pool"));
    let mut members = Vec::new();
    for topic in ["t", "u"] {
        let builder = listener(stage, &[topic]).await?.endpoint(recording(topic, &recorder)).pool(&pool);
        members.push(builder.start(stage.soon()).await?);
    }
    let sink = sink(stage, &["t"]).await?.without_queue();
    send_events(&Notifier::from_sink("conformance.host-1", sink), 0..20).await?;
    recorder.wait(20).await?;
    recorder.quiet().await?;
    let shares = [recorder.at("t"), recorder.at("u")];
    assert!(shares.iter().all(|share| !share.is_empty()), "the one that listens to u has its share too: {shares:?}");
    assert_eq!(super::sorted(shares.concat())?, (0..20).collect::<Vec<_>>(), "and each event has one of them");
    for member in members {
        member.shutdown(stage.soon()).await?;
    }
    Ok(())
}
