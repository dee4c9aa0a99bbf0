//! What of a context and a payload leaves the process.

use oslo_messaging::notify::{AllowedContext, RecordingSink, Redact, Secret};
use oslo_messaging::{Context, Error, ErrorKind, Notifier, Payload, Result, Serializer};
use serde::Serialize;
use serde_json::{Value, json};

fn recorder() -> (Notifier, RecordingSink) {
    let sink = RecordingSink::new();
    (Notifier::from_sink("p", sink.clone()), sink)
}

fn values(context: &Context) -> Vec<(&str, &str)> {
    context.values().map(|(name, value)| (name, value.as_str())).collect()
}

fn login() -> Context {
    Context::new().with("user", "alice").with("auth_token", "hunter2").with("request_id", "req-1")
}

#[tokio::test]
async fn no_value_of_a_context_leaves_the_process_that_is_not_allowed() {
    let (notifier, sink) = recorder();
    notifier.info(&login(), "e", &1).await.unwrap();
    notifier.prepare().allow_context(["request_id", "absent"]).info(&login(), "e", &1).await.unwrap();
    notifier.info(&login(), "e", &1).await.unwrap();
    let sent: Vec<_> = sink.recorded().iter().map(|event| values(&event.context).len()).collect();
    assert_eq!(sent, [0, 1, 0]);
    assert_eq!(values(&sink.recorded()[1].context), [("request_id", "\"req-1\"")]);
}

/// A context that hides its token and shows the rest, and what the notifier allows besides.
struct Request(Context);

impl Redact for Request {
    fn redacted(&self, allowed: &AllowedContext) -> Context {
        let token = if allowed.contains("auth_token") { "shown" } else { "***" };
        self.0.with("auth_token", token)
    }
}

#[tokio::test]
async fn what_a_type_lets_out_itself_is_sent_as_it_is() {
    let (notifier, sink) = recorder();
    notifier.info(&Request(login()), "e", &1).await.unwrap();
    notifier.allow_context(["auth_token"]).info(&Request(login()), "e", &1).await.unwrap();
    let sent = sink.recorded();
    assert_eq!(
        values(&sent[0].context),
        [("user", "\"alice\""), ("auth_token", "\"***\""), ("request_id", "\"req-1\"")]
    );
    assert_eq!(sent[1].context.get::<String>("auth_token").as_deref(), Some("shown"));
}

#[derive(Serialize)]
struct Created {
    user: String,
    password: Secret<String>,
}

#[tokio::test]
async fn a_secret_in_a_payload_is_sent_masked() {
    let (notifier, sink) = recorder();
    let created = Created { user: "alice".into(), password: Secret::new("hunter2".into()) };
    notifier.info(&Context::new(), "user.created", &created).await.unwrap();
    let payload: Value = sink.recorded()[0].payload.decode().unwrap();
    assert_eq!(payload, json!({"user": "alice", "password": "***"}));
}

/// Wraps payloads and adds to contexts; refuses `null`.
#[derive(Debug)]
struct Wrapping;

impl Serializer for Wrapping {
    fn serialize(&self, context: &Context, value: Payload) -> Result<Payload> {
        if value.is_null() {
            return Err(Error::new(ErrorKind::Encode, "wrap"));
        }
        let seen: Vec<&str> = context.values().map(|(name, _)| name).collect();
        Payload::encode(&json!({"wrapped": value.decode::<Value>()?, "seen": seen}))
    }

    fn deserialize(&self, _: &Context, value: Payload) -> Result<Payload> {
        Ok(value)
    }

    fn serialize_context(&self, context: &Context) -> Result<Context> {
        Ok(context.with("serialized", true))
    }

    fn deserialize_context(&self, context: &Context) -> Result<Context> {
        Ok(context.clone())
    }
}

#[tokio::test]
async fn a_serializer_translates_the_payload_and_the_redacted_context_and_sees_no_more() {
    let (notifier, sink) = recorder();
    let notifier = notifier.allow_context(["user"]).serializer(Wrapping);
    notifier.info(&login(), "e", &7).await.unwrap();
    let event = &sink.recorded()[0];
    assert_eq!(event.payload.decode::<Value>().unwrap(), json!({"wrapped": 7, "seen": ["user"]}));
    assert_eq!(values(&event.context), [("user", "\"alice\""), ("serialized", "true")]);
    assert_eq!(notifier.info(&login(), "e", &()).await.unwrap_err().kind(), ErrorKind::Encode);
    assert_eq!(sink.recorded().len(), 1);
}
