//! Objects that exist in another form, and objects that the user may not declare.

use lapin::options::{ExchangeDeclareOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use oslo_messaging::ErrorKind;
use oslo_messaging::driver::{Address, Source, Subscription, Transport};
use oslo_messaging_amqp::{AmqpConfig, AmqpTransport};
use serde_json::{Value, json};
use tracing::instrument::WithSubscriber as _;

use crate::log::Warnings;
use testkit::stage::{Stage, publish, refusal, server, soon, subscribe, take, text, topic, unique, url};

pub(crate) async fn an_exchange_of_another_type_is_a_topology_error() {
    let stage = Stage::shared().await;
    let bare = stage.bare().await;
    let channel = bare.create_channel().await.expect("a channel");
    let direct = lapin::ExchangeKind::Direct;
    let options = ExchangeDeclareOptions::default();
    channel.exchange_declare("x-taken".into(), direct, options, FieldTable::default()).await.expect("an exchange");
    let transport = stage.connect().await;
    for error in [
        refusal(publish(&transport, &topic("taken"), "").await),
        refusal(transport.subscribe(&server("taken"), soon()).await),
    ] {
        assert_eq!(error.kind(), ErrorKind::Topology, "{error}");
        assert!(error.to_string().contains("x-taken"), "{error}");
    }
    publish(&transport, &topic("free"), "").await.expect("others are not disturbed");
}

pub(crate) async fn a_durable_queue_where_ours_is_not_is_used_with_one_warning() {
    let stage = Stage::shared().await;
    existing(&stage, "adopted", QueueDeclareOptions::durable(), &[]).await;
    let transport = stage.connect().await;
    let mut listener = subscribe(&transport, &server("adopted")).await;
    let mut second = subscribe(&transport, &server("adopted")).await;
    publish(&transport, &topic("adopted"), "one").await.expect("a publish");
    publish(&transport, &topic("adopted"), "two").await.expect("a publish");
    for listener in [&mut listener, &mut second] {
        take(listener.as_mut(), 1).await.remove(0).acknowledge().await.expect("an acknowledgement");
    }
    let drift = transport.health().borrow().drift.clone();
    assert_eq!(drift.len(), 1, "{drift:?}");
    assert!(drift[0].contains("inequivalent arg 'durable' for queue 'adopted'"), "{drift:?}");
}

pub(crate) async fn strict_mode_refuses_what_differs() {
    let stage = Stage::shared().await;
    let options = QueueDeclareOptions { auto_delete: true, ..QueueDeclareOptions::durable() };
    existing(&stage, "strict", options, &[]).await;
    let transport = stage.connect_with(AmqpConfig::default().with_strict(true)).await;
    let error = refusal(transport.subscribe(&server("strict"), soon()).await);
    assert_eq!(error.kind(), ErrorKind::Topology, "{error}");
    assert!(error.to_string().contains("inequivalent arg"), "{error}");
}

pub(crate) async fn several_differences_are_adopted_and_each_is_reported() {
    let stage = Stage::shared().await;
    let options = QueueDeclareOptions { auto_delete: true, ..QueueDeclareOptions::durable() };
    existing(&stage, "several", options, &[("x-max-length", AMQPValue::LongInt(100))]).await;
    let transport = stage.connect().await;
    let mut listener = subscribe(&transport, &server("several")).await;
    publish(&transport, &topic("several"), "one").await.expect("a publish");
    assert_eq!(text(take(listener.as_mut(), 1).await[0].as_ref()), "one");
    let drift = transport.health().borrow().drift.join("\n");
    for argument in ["durable", "auto_delete", "x-max-length"] {
        assert!(drift.contains(&format!("inequivalent arg '{argument}'")), "{drift}");
    }
}

pub(crate) async fn an_exclusive_queue_of_another_connection_is_a_topology_error() {
    let stage = Stage::shared().await;
    let exclusive = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
    let _owner = existing(&stage, "exclusive", exclusive, &[]).await;
    let transport = stage.connect().await;
    let error = refusal(transport.subscribe(&server("exclusive"), soon()).await);
    assert_eq!(error.kind(), ErrorKind::Topology, "{error}");
    assert!(error.to_string().contains("exclusive"), "{error}");
}

/// A stream is durable, so the broker's first complaint is about that; it must not end the questions.
pub(crate) async fn a_stream_where_a_queue_is_expected_is_a_topology_error() {
    let stage = Stage::shared().await;
    let stream = AMQPValue::LongString("stream".into());
    existing(&stage, "log", QueueDeclareOptions::durable(), &[("x-queue-type", stream)]).await;
    let transport = stage.connect().await;
    let error = refusal(transport.subscribe(&server("log"), soon()).await);
    assert_eq!(error.kind(), ErrorKind::Topology, "{error}");
    assert!(error.to_string().contains("the value 'stream'"), "{error}");
}

/// A name says nothing about what has it, and here the broker's complaint names it.
pub(crate) async fn a_queue_that_is_called_stream_is_used_as_any_other() {
    let stage = Stage::shared().await;
    existing(&stage, "stream", QueueDeclareOptions::durable(), &[("x-max-length", AMQPValue::LongInt(100))]).await;
    let transport = stage.connect().await;
    let mut listener = subscribe(&transport, &server("stream")).await;
    publish(&transport, &topic("stream"), "one").await.expect("a publish");
    assert_eq!(text(take(listener.as_mut(), 1).await[0].as_ref()), "one");
    let drift = transport.health().borrow().drift.join("\n");
    assert!(drift.contains("inequivalent arg 'x-max-length' for queue 'stream'"), "{drift}");
}

/// The servers of a topic that an operator moves to quorum queues one by one.
pub(crate) async fn a_quorum_queue_and_a_classic_one_are_each_used_where_the_other_is_expected() {
    let stage = Stage::shared().await;
    let quorum = AmqpConfig::default().with_option("rabbit_quorum_queue", "true").expect("an option");
    for (name, first, second) in
        [("moved", AmqpConfig::durable(), quorum.clone()), ("moved-back", quorum, AmqpConfig::durable())]
    {
        let (before, after) = (stage.connect_with(first).await, stage.connect_with(second.clone()).await);
        drop(subscribe(&before, &server(name)).await);
        let mut listener = subscribe(&after, &server(name)).await;
        for transport in [&before, &after] {
            publish(transport, &topic(name), "one").await.expect("a publish");
            take(listener.as_mut(), 1).await.remove(0).acknowledge().await.expect("an acknowledgement");
        }
        let (kept, differing) = (before.health().borrow().drift.clone(), after.health().borrow().drift.clone());
        assert!(kept.is_empty(), "{kept:?}");
        for queue in [name.to_owned(), format!("{name}.host-1")] {
            let text = format!("inequivalent arg 'x-queue-type' for queue '{queue}'");
            assert!(differing.iter().any(|line| line.contains(&text)), "{differing:?}");
        }
        let strict = stage.connect_with(second.with_strict(true)).await;
        assert_eq!(refusal(strict.subscribe(&server(name), soon()).await).kind(), ErrorKind::Topology);
    }
}

/// In either order it is one queue: its messages outlive the broker and the last consumer.
pub(crate) async fn a_queue_of_ours_is_the_same_whether_its_reader_or_its_publisher_declares_it() {
    let stage = Stage::shared().await;
    let limited = AmqpConfig::quorum().with_option("rabbit_quorum_delivery_limit", "5").expect("an option");
    let deleting = AmqpConfig::default().with_option("amqp_auto_delete", "true").expect("an option");
    for (name, config, arguments) in [
        ("plain.dead", AmqpConfig::default(), json!([])),
        ("deleting.dead", deleting, json!([])),
        ("limited.dead", limited, json!([["x-queue-type", "longstr", "quorum"]])),
    ] {
        let config = config.with_strict(true);
        let reader = stage.connect_with(config.clone()).await;
        let listener = subscribe(&reader, &queue(name)).await;
        assert_eq!(form(&stage, name).await, (true, false, arguments), "{name}");
        listener.close(soon()).await.expect("a close");
        let publisher = stage.connect_with(config).await;
        publish(&publisher, &Address::Queue { name: name.into() }, "dead").await.expect("a publish");
        let mut listener = subscribe(&reader, &queue(name)).await;
        assert_eq!(text(take(listener.as_mut(), 1).await[0].as_ref()), "dead");
        for transport in [reader, publisher] {
            assert!(transport.health().borrow().drift.is_empty(), "{:?}", transport.health().borrow());
        }
    }
}

pub(crate) async fn a_lifted_delivery_limit_is_sent_and_warned_of_where_it_means_none() {
    let stage = Stage::shared().await;
    let config = AmqpConfig::quorum().with_option("rabbit_quorum_delivery_limit", "-1").expect("an option");
    let warnings = Warnings::default();
    let address = stage.url();
    let connecting = AmqpTransport::connect(&address, config, soon()).with_subscriber(warnings.clone());
    let transport = connecting.await.expect("a connection");
    let version = stage.control(|stage| stage.node.rabbitmqctl(&["version"]).expect("a version")).await;
    let old = version.lines().any(|line| line.trim().starts_with("3."));
    let warned = warnings.of("rabbit_quorum_delivery_limit");
    assert_eq!(warned.len(), usize::from(old), "{version}: {warned:?}");
    assert!(warned.iter().all(|line| line.contains(version.trim())), "{version}: {warned:?}");
    subscribe(&transport, &server("lifted")).await;
    let (.., arguments) = form(&stage, "lifted").await;
    let arguments = arguments.as_array().cloned().unwrap_or_default();
    let limit = arguments.iter().find(|argument| argument[0] == "x-delivery-limit");
    assert_eq!(limit.map(|argument| &argument[2]), Some(&json!(-1)), "{arguments:?}");
    transport.close(soon()).await.expect("a close");
}

pub(crate) async fn a_user_without_rights_is_denied_and_the_error_says_where() {
    let stage = Stage::shared().await;
    let user = unique("u");
    let name = user.clone();
    stage
        .control(move |stage| {
            stage.node.add_user(&name, "pw").expect("a user");
            stage.node.set_permissions(&name, &stage.vhost, "^x-mine$", "^$", "^$").expect("few rights");
        })
        .await;
    let address = url(&stage.node.url_as(&user, "pw", &stage.vhost));
    let transport = AmqpTransport::connect(&address, AmqpConfig::default(), soon()).await.expect("a connection");
    let mine = Address::Topic { exchange: "x-mine".into(), topic: "t".into() };
    for (what, error) in [
        ("x-other", refusal(publish(&transport, &topic("other"), "").await)),
        ("x-mine", refusal(publish(&transport, &mine, "").await)),
        ("forbidden", refusal(transport.subscribe(&queue("forbidden"), soon()).await)),
    ] {
        assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Denied, false), "{error}");
        assert!(error.to_string().contains(what), "{error}");
    }
    transport.close(soon()).await.expect("the connection has survived");
}

fn queue(name: &str) -> Subscription {
    Subscription::new(Source::Queue { name: name.into() })
}

/// Whether a queue is durable, whether it goes with its last reader, and its arguments.
async fn form(stage: &Stage, name: &'static str) -> (bool, bool, Value) {
    let queues = stage.control(|stage| stage.node.queues(&stage.vhost).expect("the queues")).await;
    let queue = queues.iter().find(|queue| queue["name"] == name).expect("it is there");
    let flag = |column: &str| queue[column].as_bool().expect("a flag");
    // rabbitmqctl prints an empty table as an empty list.
    (flag("durable"), flag("auto_delete"), queue["arguments"].clone())
}

/// A queue that another client declared.
async fn existing(
    stage: &Stage,
    name: &str,
    options: QueueDeclareOptions,
    arguments: &[(&str, AMQPValue)],
) -> lapin::Connection {
    let bare = stage.bare().await;
    let channel = bare.create_channel().await.expect("a channel");
    let mut table = FieldTable::default();
    for (name, value) in arguments {
        table.insert((*name).into(), value.clone());
    }
    channel.queue_declare(name.into(), options, table).await.expect("a queue");
    bare
}
