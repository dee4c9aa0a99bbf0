//! Exactly which objects exist afterwards.

use std::collections::BTreeSet;

use oslo_messaging::driver::{Address, Message, Source, Subscription, Transport};
use oslo_messaging_amqp::AmqpConfig;
use xtask::broker::Release;

use testkit::stage::{Stage, fanout, options, publish, server, soon, subscribe, take, texts, topic};

/// How often a server takes over from the last one of its topic. Without the second declaration one in some twenty fails.
const HANDOVERS: usize = 200;

/// The columns of `rabbitmqctl`, one line an object.
type Lines = BTreeSet<String>;

pub(crate) async fn a_server_an_inbox_and_a_notifier_make_the_reference_s_objects() {
    let stage = Stage::shared().await;
    let transport = stage.connect().await;
    let _server = subscribe(&transport, &server("compute")).await;
    let inbox = subscribe(&transport, &Subscription::new(Source::Inbox)).await;
    let Address::Direct { queue: reply } = inbox.address().clone() else { panic!("an inbox has a queue") };
    let event =
        Address::Notification { exchange: "nova".into(), topic: "notifications".into(), priority: "info".into() };
    transport.publish(&event, Message::new("{}"), &options().ensure_queue()).await.expect("a notification");
    transport.publish(&topic("compute"), Message::new("{}"), &options()).await.expect("a request");
    let (queues, exchanges, bindings) = look(&stage).await;

    let fanout =
        queues.iter().find_map(|line| line.split(' ').next().filter(|name| name.starts_with("compute_fanout_")));
    let fanout = fanout.expect("a fanout queue").to_owned();
    let [hidden, given] =
        [fanout.strip_prefix("compute_fanout_"), reply.strip_prefix("reply_")].map(Option::unwrap_or_default);
    assert!([hidden, given].iter().all(|id| id.len() == 32 && id.chars().all(|c| c.is_ascii_hexdigit())), "{queues:?}");
    let private = r#"durable=true auto_delete=false exclusive=false [["x-expires","long",1800000]]"#;
    // Where the broker denies transient queues, exchanges and shared queues are durable together.
    let durable = stage.node.release().is_some_and(Release::denies_transient);
    let shared = format!("durable={durable} auto_delete=false exclusive=false {{}}");
    assert_eq!(
        queues,
        lines(&[
            format!("compute {shared}"),
            format!("compute.host-1 {shared}"),
            format!("{fanout} {private}"),
            format!("{reply} {private}"),
            format!("notifications.info {shared}"),
        ])
    );
    assert_eq!(
        exchanges,
        lines(&[
            format!("compute_fanout fanout durable={durable} auto_delete=true internal=false {{}}"),
            format!("nova topic durable={durable} auto_delete=false internal=false {{}}"),
            format!("x-compute topic durable={durable} auto_delete=false internal=false {{}}"),
        ])
    );
    assert_eq!(
        bindings,
        lines(&[
            "compute_fanout -> queue ".to_owned() + &fanout + " by compute {}",
            "nova -> queue notifications.info by notifications.info {}".into(),
            "x-compute -> queue compute by compute {}".into(),
            "x-compute -> queue compute.host-1 by compute.host-1 {}".into(),
        ])
    );
}

pub(crate) async fn what_goes_with_its_last_user_and_when_the_rest_expires_is_as_the_options_say() {
    let stage = Stage::shared().await;
    let options = [("amqp_auto_delete", "true"), ("rabbit_transient_queues_ttl", "60")];
    let config = options
        .into_iter()
        .fold(AmqpConfig::default(), |config, (name, value)| config.with_option(name, value).expect("an option"));
    let transport = stage.connect_with(config).await;
    let server = subscribe(&transport, &server("compute")).await;
    let (queues, exchanges, _) = look(&stage).await;
    let durable = stage.node.release().is_some_and(Release::denies_transient);
    for name in ["compute", "compute.host-1"] {
        assert!(
            queues.contains(&format!("{name} durable={durable} auto_delete=true exclusive=false {{}}")),
            "{queues:?}"
        );
    }
    let fanout = queues.iter().find(|line| line.starts_with("compute_fanout_")).expect("a fanout queue");
    assert!(fanout.ends_with(r#"auto_delete=false exclusive=false [["x-expires","long",60000]]"#), "{fanout}");
    let exchange = format!("x-compute topic durable={durable} auto_delete=true internal=false {{}}");
    assert!(exchanges.contains(&exchange), "{exchanges:?}");
    server.close(soon()).await.expect("a close");
    let (queues, exchanges, _) = look(&stage).await;
    assert!(queues.is_empty() && exchanges.is_empty(), "{queues:?} {exchanges:?}");
}

pub(crate) async fn a_server_starts_while_the_last_one_of_its_topic_stops() {
    let stage = Stage::shared().await;
    let [one, other] = [stage.connect().await, stage.connect().await];
    let server = server("compute");
    let mut last = subscribe(&one, &server).await;
    for handover in 0..HANDOVERS {
        let next = if handover % 2 == 0 { &other } else { &one };
        // The fanout exchange goes with its last queue, before or after the new queue is bound.
        let (closed, started) = tokio::join!(last.close(soon()), next.subscribe(&server, soon()));
        closed.expect("the last server stops");
        last = started.unwrap_or_else(|error| panic!("handover {handover}: {error}"));
    }
    publish(&one, &fanout("compute"), "to all").await.expect("a fanout");
    assert_eq!(texts(&take(&mut *last, 1).await), ["to all"]);
}

/// The queues, the exchanges that are not every broker's, and the bindings that are not every queue's.
async fn look(stage: &Stage) -> (Lines, Lines, Lines) {
    stage
        .control(|stage| {
            let queues = stage.node.queues(&stage.vhost).expect("queues");
            let exchanges = stage.node.exchanges(&stage.vhost).expect("exchanges");
            let bindings = stage.node.bindings(&stage.vhost).expect("bindings");
            let text = |row: &serde_json::Map<String, serde_json::Value>, column: &str| match &row[column] {
                serde_json::Value::String(text) => text.clone(),
                // rabbitmqctl prints an empty table as an empty list.
                serde_json::Value::Array(empty) if empty.is_empty() => "{}".into(),
                other => other.to_string(),
            };
            let queue = |row| {
                let [name, durable, auto, exclusive, arguments] =
                    ["name", "durable", "auto_delete", "exclusive", "arguments"].map(|column| text(row, column));
                format!("{name} durable={durable} auto_delete={auto} exclusive={exclusive} {arguments}")
            };
            let exchange = |row| {
                let [name, kind, durable, auto, internal, arguments] =
                    ["name", "type", "durable", "auto_delete", "internal", "arguments"].map(|column| text(row, column));
                format!("{name} {kind} durable={durable} auto_delete={auto} internal={internal} {arguments}")
            };
            let binding = |row| {
                let [source, kind, destination, key, arguments] =
                    ["source_name", "destination_kind", "destination_name", "routing_key", "arguments"]
                        .map(|column| text(row, column));
                format!("{source} -> {kind} {destination} by {key} {arguments}")
            };
            let ours = |line: &String| !line.starts_with("amq.") && !line.starts_with(' ');
            (
                queues.iter().map(queue).collect(),
                exchanges.iter().map(exchange).filter(ours).collect(),
                bindings.iter().map(binding).filter(ours).collect(),
            )
        })
        .await
}

fn lines(lines: &[impl ToString]) -> Lines {
    lines.iter().map(ToString::to_string).collect()
}
