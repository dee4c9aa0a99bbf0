//! What peers write reaches the log as part of short lines, whatever it is.

use std::convert::Infallible;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use oslo_messaging::driver::{Address, Message, PublishOptions, Transport};
use oslo_messaging::notify::{FailurePolicy, GiveUp};
use oslo_messaging::wire::{CallFields, Format, Notification, Reply, Request};
use oslo_messaging::{
    Bus, Context, Deadline, Endpoint, Event, Exception, Failure, NotificationEndpoint, NotificationListener, Payload,
    Priority, RpcClient, RpcServer, Target,
};
use oslo_messaging_fake::{FakeBroker, FakeTransport};
use serde_json::{Value, json};
use tracing_subscriber::fmt::MakeWriter;

/// What a log in plain text looks like that is written with every line there is.
#[derive(Debug, Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Written {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// Fails with a text of the peer's.
struct Refusal(String);

impl Exception for Refusal {
    fn failure(&self) -> Failure {
        Failure::new(&self.0, &self.0, &self.0)
    }
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(60))
}

fn topic() -> Address {
    Address::Topic { exchange: "openstack".into(), topic: "shop".into() }
}

async fn send(transport: &FakeTransport, to: &Address, message: Message) {
    transport.publish(to, message, &PublishOptions::by(soon()).ensure_queue()).await.unwrap();
}

/// Everything that a peer can say to a server: names, ids, a reply queue that is not there, an envelope it cannot read.
async fn to_a_server(transport: &FakeTransport, text: &str) {
    let args = Payload::encode(&json!({ "text": text })).unwrap();
    for method in [text, "refuse"] {
        for namespace in [None, Some(text.to_owned())] {
            let call = Some(CallFields::new(text, text));
            let version = namespace.clone();
            let request =
                Request::new(method, args.clone()).with_namespace(namespace).with_version(version).with_call(call);
            let request = request.with_unique_id(format!("{text}{method}"));
            // Twice, so that one is a copy; and once with a deadline long past.
            for deadline in [None, None, Some(now() - 60_000)] {
                let request = request.clone().with_deadline(deadline);
                send(transport, &topic(), Message::new(request.encode())).await;
            }
        }
    }
    let envelope = json!({"oslo.version": text, "oslo.message": text}).to_string();
    for message in [
        Message::new(envelope),
        Message::new(text.to_owned()),
        Message::new("{}").with_header("compression", &text[..text.len().min(100_000)]),
        Message::new(json!({"method": "refuse", "namespace": {text: text}}).to_string()),
    ] {
        send(transport, &topic(), message).await;
    }
}

/// Sends `text` to a listener and to a reply inbox.
async fn to_others(transport: &FakeTransport, inbox: &Address, text: &str) {
    let address = |priority: &str| Address::Notification {
        exchange: "openstack".into(),
        topic: "notifications".into(),
        priority: priority.into(),
    };
    let mut event = Notification::new(Payload::encode(&json!(text)).unwrap());
    event.event_type = Some(text.to_owned());
    event.publisher_id = Some(text.to_owned());
    event.message_id = Some(text.to_owned());
    for priority in ["INFO", text] {
        event.priority = Some(priority.to_owned());
        event.unique_id = format!("{text}{priority}");
        for _ in 0..2 {
            send(transport, &address("info"), Message::new(event.encode(Format::V2))).await;
        }
    }
    send(transport, &address("info"), Message::new(text.to_owned())).await;
    send(transport, &address("info"), Message::new("{}").with_header("compression", &text[..text.len().min(100_000)]))
        .await;
    for reply in [
        Reply::result(text, text, Payload::null()).encode(),
        json!({"_msg_id": {text: text}}).to_string().into(),
        text.to_owned().into(),
    ] {
        send(transport, inbox, Message::new(reply)).await;
    }
}

fn now() -> u64 {
    u64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap()
}

async fn everything(broker: &FakeBroker, text: &str) {
    let (bus, stranger) = (Bus::new(broker.transport()), broker.transport());
    let endpoint = Endpoint::new(())
        .method("refuse", async |_: Arc<()>, _: Context, args: Value| {
            Err::<(), _>(Refusal(args["text"].as_str().unwrap_or_default().to_owned()))
        })
        .method("inbox", async |_: Arc<()>, _: Context, (): ()| Ok::<_, Infallible>(()));
    let server = RpcServer::builder(&bus, Target::topic("shop").server("s")).endpoint(endpoint);
    let server = server.start(soon()).await.unwrap();
    let failing = NotificationEndpoint::new(())
        .on(Priority::Info, "*", async |_: Arc<()>, event: Event<String>| Err::<(), _>(Refusal(event.payload)));
    let policy = FailurePolicy::default().with_attempts(2).with_give_up(GiveUp::Drop);
    let listener = NotificationListener::builder(&bus).target(Target::topic("notifications"));
    let listener = listener.endpoint(failing).on_failure(policy).start(soon()).await.unwrap();
    let client = RpcClient::new(&bus, Target::topic("shop"));
    for method in ["inbox", "refuse", text] {
        let error = client.call::<Value>(&Context::new(), method, &json!({ "text": text })).await.err();
        if let Some(error) = error {
            tracing::error!(%error, ?error, "what an application logs");
        }
    }
    let inbox = broker.queues().into_iter().find(|queue| queue.name.starts_with("reply_")).unwrap();
    let inbox = Address::Direct { queue: inbox.name };
    to_a_server(&stranger, text).await;
    to_others(&stranger, &inbox, text).await;
    tokio::time::sleep(Duration::from_secs(300)).await;
    server.shutdown(soon()).await.unwrap();
    listener.shutdown(soon()).await.unwrap();
    bus.close(soon()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn whatever_a_peer_writes_the_log_has_short_lines_of_its_own_alone() {
    let forged = "\u{1b}[31mred\n2026-01-01 ERROR forged\r\u{202e}\u{2028}";
    for text in [forged.to_owned(), format!("{forged}{}", "long".repeat(1 << 16))] {
        let written = Written::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(written.clone())
            .finish();
        let watching = tracing::subscriber::set_default(subscriber);
        everything(&FakeBroker::new(), &text).await;
        drop(watching);
        let log = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        for (what, mark) in [
            ("a method", "does not support RPC"),
            ("a failure", "the method failed"),
            ("a reply queue", "a reply"),
            ("an id", "a repeated delivery"),
            ("a stale request", "a request was skipped"),
            ("a foreign reply", "matches no waiting call"),
            ("a request", "a request that cannot be read"),
            ("an event", "a notification that cannot be read"),
            ("a priority", "unknown priority"),
            ("a dropped event", "an event is dropped"),
            ("an error", "what an application logs"),
        ] {
            assert!(log.contains(mark), "{what} was logged");
        }
        for line in log.split('\n') {
            assert!(
                !line.contains(|char: char| char.is_control() || ('\u{2028}'..='\u{202e}').contains(&char)),
                "{line:?}"
            );
            assert!(!line.starts_with("2026-01-01 ERROR"), "{line:?}");
            assert!(line.len() < 16_384, "a line of {} bytes: {}", line.len(), &line[..300]);
        }
    }
}
