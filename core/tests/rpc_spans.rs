//! What an operator can follow of RPC: a span for each call, cast and request.
//!
//! The one test of its program: which spans are wanted is remembered for a whole process, whichever thread asks first.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

mod common;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use common::{bus_server_and_shop, soon};
use oslo_messaging::{Context, RpcClient, Target};
use oslo_messaging_fake::FakeBroker;
use serde_json::{Value, json};
use tracing::field::{Field, Visit};
use tracing::span;

/// The spans that were made, each with its name and its fields.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<Vec<BTreeMap<String, String>>>>);

struct Fields<'a>(&'a mut BTreeMap<String, String>);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.to_owned());
    }
}

impl tracing::Subscriber for Spans {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, attributes: &span::Attributes<'_>) -> span::Id {
        let mut fields = BTreeMap::from([("name".to_owned(), attributes.metadata().name().to_owned())]);
        attributes.record(&mut Fields(&mut fields));
        let mut spans = self.0.lock().unwrap();
        spans.push(fields);
        span::Id::from_u64(spans.len() as u64)
    }

    fn record(&self, span: &span::Id, values: &span::Record<'_>) {
        let index = usize::try_from(span.into_u64()).unwrap() - 1;
        values.record(&mut Fields(&mut self.0.lock().unwrap()[index]));
    }

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, _: &tracing::Event<'_>) {}

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

#[tokio::test(start_paused = true)]
async fn a_call_and_a_cast_are_one_span_on_each_side_and_the_two_sides_name_the_same_message() {
    let (bus, server, shop) = bus_server_and_shop(&FakeBroker::new()).await;
    let caller = RpcClient::new(&bus, Target::topic("shop"));
    let spans = Spans::default();
    let _watching = tracing::subscriber::set_default(spans.clone());
    let _: Value = caller.call(&Context::new(), "echo", &json!({"arg": 1})).await.unwrap();
    caller.cast(&Context::new(), "note", &json!({"arg": 1})).await.unwrap();
    // A server that stops leaves to the next what it has not taken.
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    server.shutdown(soon()).await.unwrap();
    assert_eq!(shop.logged().len(), 1);
    let seen = spans.0.lock().unwrap().clone();
    let seen: Vec<_> = seen.iter().filter(|span| span["name"].starts_with("rpc.")).collect();
    let names: Vec<_> = seen.iter().map(|span| (span["name"].as_str(), span["rpc.method"].as_str())).collect();
    assert_eq!(names, [("rpc.call", "echo"), ("rpc.handle", "echo"), ("rpc.cast", "note"), ("rpc.handle", "note")]);
    for pair in seen.chunks(2) {
        assert_eq!(pair[0]["messaging.message_id"], pair[1]["messaging.message_id"]);
        assert_eq!(pair[0]["messaging.message_id"].len(), 32, "{pair:?}");
        for span in pair {
            assert_eq!((span["messaging.system"].as_str(), span["messaging.destination"].as_str()), ("oslo", "shop"));
        }
    }
}
