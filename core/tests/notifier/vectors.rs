//! What a notifier publishes is what the reference published, but for ids and time.

use oslo_messaging::driver::Message;
use oslo_messaging::notify::{AllowedContext, MessagingSink, Redact};
use oslo_messaging::wire::Format;
use oslo_messaging::{Context, Notifier, Priority};
use oslo_messaging_fake::FakeBroker;
use serde_json::{Value, json};

use crate::spy::{bus, fields, shape};

/// The request context of the reference, which knows itself what of it may leave the process.
struct Known(Context);

impl Redact for Known {
    fn redacted(&self, _: &AllowedContext) -> Context {
        self.0.clone()
    }
}

fn notifications() -> Vec<Value> {
    let file: Value = serde_json::from_str(include_str!("../vectors/messages.json")).unwrap();
    let messages = file["messages"].as_array().unwrap();
    messages.iter().filter(|message| message["kind"] == "notification").cloned().collect()
}

/// The fields in their order, with the form of what is never twice the same.
fn comparable(message: &Message) -> Vec<(String, Value)> {
    let comparable = |(name, value): (String, Value)| match name.as_str() {
        "message_id" | "timestamp" | "_unique_id" => (name, json!(shape(&value))),
        _ => (name, value),
    };
    fields(message).into_iter().map(comparable).collect()
}

#[tokio::test]
async fn an_event_is_published_as_the_reference_published_it() {
    let vectors = notifications();
    assert_eq!(vectors.len(), 11);
    for vector in vectors {
        let theirs = Message::new(vector["body"].as_str().unwrap().to_owned());
        let written = fields(&theirs);
        let field = |name: &str| written.iter().find(|(field, _)| field == name).unwrap().1.clone();
        let context = written.iter().filter_map(|(name, value)| Some((name.strip_prefix("_context_")?, value)));
        let context = context.fold(Context::new(), |context, (name, value)| context.with(name, value.clone()));
        let format = if vector["body"].as_str().unwrap().contains("oslo.version") { Format::V2 } else { Format::V1 };

        let (bus, spy) = bus(&FakeBroker::new());
        let notifier = Notifier::from_sink("shop.shop1", MessagingSink::new(&bus).format(format));
        let priority: Priority = field("priority").as_str().unwrap().parse().unwrap();
        let event_type = field("event_type");
        notifier.notify(priority, &Known(context), event_type.as_str().unwrap(), &field("payload")).await.unwrap();

        let ours = &spy.published()[0];
        assert_eq!(comparable(&ours.message), comparable(&theirs));
        assert_eq!(ours.format(), format);
        assert_eq!(json!(ours.route()), json!([vector["exchange"], vector["routing_key"]]));
        // The driver writes the others alike on every message.
        assert_eq!(json!(ours.message.headers), vector["properties"]["headers"]);
        assert_eq!(ours.message.expiration, None);
        assert!(vector["properties"].get("expiration").is_none());
    }
}
