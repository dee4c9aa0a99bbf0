//! Headers and settings that lapin cannot take: each costs at most the message that carries it.

use oslo_messaging::config::TransportUrl;
use oslo_messaging::driver::{Address, Listener, Message, Source, Subscription, Transport};
use oslo_messaging::{Deadline, ErrorKind};
use oslo_messaging_amqp::{AmqpConfig, AmqpTransport};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use testkit::raw::frame::{Payload, entry, headers, method, nested};
use testkit::raw::publisher::RawPublisher;
use testkit::stage::{ARRIVE, Stage, publish, refusal, server, soon, subscribe, take, unique, within};

/// As deep as overflows the stack of a parser that calls itself for each level.
const DEPTH: usize = 1_200;
const BAD: &[u8] = b"caf\xe9";

/// Publishes hostile messages into `queue`, and then a harmless one to `to`; all of them arrive, on the same connection.
async fn survives(
    stage: &Stage,
    transport: &AmqpTransport,
    listener: &mut dyn Listener,
    to: (&str, &Address),
    hostile: Vec<Payload>,
) -> Vec<Message> {
    let mut raw = RawPublisher::on(stage).await;
    for properties in &hostile {
        raw.publish("", to.0, properties, b"hostile").await;
    }
    publish(transport, to.1, "harmless").await.expect("the publishing connection lives");
    let mut messages = Vec::new();
    for message in take(listener, hostile.len() + 1).await {
        messages.push(message.message().clone());
        message.acknowledge().await.expect("an acknowledgement");
    }
    assert_eq!(messages.pop().expect("it came last").body, "harmless");
    assert!(messages.iter().all(|message| message.body == "hostile"), "{messages:?}");
    assert_eq!((transport.counters().losses, transport.counters().recoveries), (0, 0));
    messages
}

pub(crate) async fn headers_nested_1200_deep_cost_no_connection_of_a_server_or_a_caller() {
    let stage = Stage::shared().await;
    let transport = stage.connect().await;
    let topic = unique("t");
    let deep = || vec![b'A', b'F'].into_iter().map(|tag| headers(&entry(b"n", tag, &nested(tag, DEPTH)))).collect();
    let mut listener = subscribe(&transport, &server(&topic)).await;
    let to = Address::Queue { name: topic.clone() };
    survives(&stage, &transport, listener.as_mut(), (&topic, &to), deep()).await;
    let mut inbox = subscribe(&transport, &Subscription::new(Source::Inbox)).await;
    let Address::Direct { queue } = inbox.address().clone() else { panic!("an inbox is reached directly") };
    let to = Address::Direct { queue: queue.clone() };
    survives(&stage, &transport, inbox.as_mut(), (&queue, &to), deep()).await;
}

pub(crate) async fn short_strings_that_are_not_utf_8_are_read_with_question_marks() {
    let stage = Stage::shared().await;
    let transport = stage.connect().await;
    let topic = unique("t");
    let mut listener = subscribe(&transport, &server(&topic)).await;
    let to = Address::Queue { name: topic.clone() };
    // content_type, content_encoding, correlation_id, reply_to, message_id, type, app_id: the broker checks the others.
    let mut hostile: Vec<_> =
        [15, 14, 10, 9, 7, 5, 3].iter().map(|bit| Payload::default().number16(1 << bit).short(BAD)).collect();
    hostile.push(headers(&text(BAD, b"value")));
    hostile.push(headers(&entry(b"n", b'F', &Payload::default().long(&text(BAD, BAD)).0)));
    let messages = survives(&stage, &transport, listener.as_mut(), (&topic, &to), hostile).await;
    assert_eq!(messages[4].id, "caf?");
    assert_eq!(messages[7].headers["caf?"], "value");
    assert!(messages.iter().all(|message| message.undecodable.is_none()));
}

/// A broker adds to a message where it has been, also to one that fills a frame.
pub(crate) async fn a_message_that_outgrew_its_frame_on_its_way_is_read() {
    let stage = Stage::shared().await;
    let transport = stage.connect().await;
    let (topic, source) = (unique("t"), unique("src"));
    let mut listener = subscribe(&transport, &server(&topic)).await;
    let policy = format!(r#"{{"dead-letter-exchange":"","dead-letter-routing-key":"{topic}","message-ttl":100}}"#);
    let value = vec![b'h'; 130_900];
    let pattern = source.clone();
    let set_policy = move |stage: &Stage| {
        let arguments = ["set_policy", "-p", &stage.vhost, "moves", &pattern, &policy, "--apply-to", "queues"];
        stage.node.rabbitmqctl(&arguments).expect("a policy");
    };
    stage.control(set_policy).await;
    let mut raw = RawPublisher::on(&stage).await;
    raw.declare(&source).await;
    raw.publish("", &source, &headers(&text(b"h", &value)), b"grown").await;
    let messages = take(listener.as_mut(), 1).await;
    let message = messages[0].message();
    assert_eq!((&message.body[..], message.headers["h"].as_bytes()), (&b"grown"[..], &value[..]));
    assert_eq!(message.undecodable, None);
    publish(&transport, &Address::Queue { name: topic }, "next").await.expect("it goes on");
    take(listener.as_mut(), 1).await;
    assert_eq!(transport.counters().losses, 0);
}

pub(crate) async fn a_broker_without_a_frame_limit_is_used_and_one_with_too_low_a_limit_is_named() {
    let (mut node, stage) = Stage::own().await;
    node.spoil();
    let set = async |frame_max: &'static str| {
        let limit = format!("application:set_env(rabbit, frame_max, {frame_max}).");
        stage.control(move |stage| stage.node.rabbitmqctl(&["eval", &limit]).expect("a limit")).await;
    };
    for unlimited in ["0", "1073741824"] {
        set(unlimited).await;
        let transport = stage.connect().await;
        let topic = unique("t");
        let mut listener = subscribe(&transport, &server(&topic)).await;
        let body = "b".repeat(300_000);
        publish(&transport, &Address::Queue { name: topic }, &body).await.expect("a message of several frames");
        assert_eq!(take(listener.as_mut(), 1).await[0].message().body, body);
        transport.close(soon()).await.expect("a goodbye");
    }
    set("4096").await;
    let error = refusal(AmqpTransport::connect(&stage.url(), AmqpConfig::default(), soon()).await);
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(error.to_string().contains("frame_max of 4096 bytes is too small"), "{error}");
}

/// Before login: any peer that answers at the address of a broker could do it.
pub(crate) async fn a_greeting_nested_1200_deep_is_answered() {
    let peer = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = peer.local_addr().expect("an address").port();
    let greeting = async {
        let (mut stream, _) = peer.accept().await.expect("a connection");
        stream.read_exact(&mut [0; 8]).await.expect("the protocol");
        let properties = entry(b"n", b'F', &nested(b'F', DEPTH));
        let start = Payload::default().byte(0).byte(9).long(&properties).long(b"PLAIN AMQPLAIN").long(b"en_US");
        stream.write_all(&method(0, 10, 10, start)).await.expect("a greeting");
        let mut answer = [0; 11];
        stream.read_exact(&mut answer).await.expect("an answer");
        answer
    };
    let url = TransportUrl::parse(&format!("rabbit://guest:guest@127.0.0.1:{port}/")).expect("a URL");
    let connecting = AmqpTransport::connect(&url, AmqpConfig::default(), Deadline::after(ARRIVE / 6));
    let (answer, connected) =
        within(ARRIVE, "the greeting", Box::pin(async { tokio::join!(greeting, connecting) })).await;
    assert_eq!(answer[7..], [0, 10, 0, 11], "it goes on to log in");
    assert_eq!(refusal(connected).kind(), ErrorKind::Disconnected, "the peer has hung up");
}

/// A header with a long string.
fn text(name: &[u8], value: &[u8]) -> Vec<u8> {
    entry(name, b'S', &Payload::default().long(value).0)
}

/// What is not AMQP is reported as such, with its host.
pub(crate) async fn a_peer_that_speaks_something_else_is_named() {
    let peer = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = peer.local_addr().expect("an address").port();
    let answering = async {
        let (mut stream, _) = peer.accept().await.expect("a connection");
        stream.read_exact(&mut [0; 8]).await.expect("the protocol");
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.expect("an answer");
        stream
    };
    let url = TransportUrl::parse(&format!("rabbit://guest:guest@127.0.0.1:{port}/")).expect("a URL");
    let connecting = AmqpTransport::connect(&url, AmqpConfig::default(), Deadline::after(ARRIVE / 6));
    let (_stream, connected) =
        within(ARRIVE, "the answer", Box::pin(async { tokio::join!(answering, connecting) })).await;
    let error = refusal(connected).to_string();
    assert!(error.contains(&format!("127.0.0.1:{port}")) && error.contains("the peer answered HTTP"), "{error}");
}
