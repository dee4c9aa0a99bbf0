//! Servers with a serializer, also with one that fails.

use std::sync::Arc;
use std::time::Duration;

use oslo_messaging::{Bus, Context, Error, ErrorKind, Executed, Payload, Serializer};
use oslo_messaging_fake::FakeBroker;
use serde_json::{Value, json};

use crate::common::{Shop, builder, soon};
use crate::support::client;

#[derive(Debug)]
struct Explosive;

impl Serializer for Explosive {
    fn serialize(&self, _: &Context, _: Payload) -> oslo_messaging::Result<Payload> {
        panic!("the result blew up")
    }

    fn deserialize(&self, _: &Context, value: Payload) -> oslo_messaging::Result<Payload> {
        assert_ne!(value.as_str(), "\"bomb\"", "the argument blew up");
        Ok(value)
    }

    fn serialize_context(&self, context: &Context) -> oslo_messaging::Result<Context> {
        Ok(context.clone())
    }

    fn deserialize_context(&self, context: &Context) -> oslo_messaging::Result<Context> {
        Ok(context.clone())
    }
}

#[tokio::test(start_paused = true)]
async fn a_serializer_that_panics_costs_its_call_and_not_the_server() {
    let bus = Bus::new(FakeBroker::new().transport());
    let shop = Arc::new(Shop::default());
    let server = builder(&bus, &shop).serializer(Explosive).start(soon()).await.unwrap();
    for (arg, said) in [("bomb", "the argument blew up"), ("echo", "the result blew up"), ("bomb", "the argument")] {
        let error = client(&bus).call::<Value>(&Context::new(), "echo", &json!({ "arg": arg })).await.unwrap_err();
        assert!(error.remote().unwrap().message().contains(said), "{error}");
    }
    server.shutdown(soon()).await.unwrap();
}

/// Takes what a request says from the key that its context names.
#[derive(Debug)]
struct Keyed;

impl Keyed {
    fn tagged(context: &Context, value: &Payload) -> oslo_messaging::Result<Payload> {
        let key: String = context.get("key").unwrap_or_else(|| "no key".to_owned());
        Payload::encode(&json!(format!("{key}:{}", value.decode::<String>()?)))
    }
}

impl Serializer for Keyed {
    fn serialize(&self, context: &Context, value: Payload) -> oslo_messaging::Result<Payload> {
        Self::tagged(context, &value)
    }

    fn deserialize(&self, context: &Context, value: Payload) -> oslo_messaging::Result<Payload> {
        Self::tagged(context, &value)
    }

    fn serialize_context(&self, context: &Context) -> oslo_messaging::Result<Context> {
        Ok(context.clone())
    }

    fn deserialize_context(&self, context: &Context) -> oslo_messaging::Result<Context> {
        let name: String = context.get("key_name").unwrap_or_default();
        Ok(context.with("key", format!("key of {name}")))
    }
}

#[tokio::test(start_paused = true)]
async fn a_serializer_is_given_the_context_that_it_made_itself_for_arguments_and_result() {
    let bus = Bus::new(FakeBroker::new().transport());
    let server = builder(&bus, &Arc::new(Shop::default())).serializer(Keyed).start(soon()).await.unwrap();
    let context = Context::new().with("key_name", "alice");
    let answer: String = client(&bus).call(&context, "echo", &json!({"arg": "pear"})).await.unwrap();
    assert_eq!(answer, "key of alice:key of alice:pear");
    server.shutdown(soon()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_refusal_by_a_layer_or_the_serializer_does_not_claim_that_the_method_ran() {
    let bus = Bus::new(FakeBroker::new().transport());
    let shop = Arc::new(Shop::default());
    let shut = tower::timeout::TimeoutLayer::new(Duration::ZERO);
    for settings in [builder(&bus, &shop).layer(shut), builder(&bus, &shop).serializer(Refusing)] {
        let server = settings.start(soon()).await.unwrap();
        let context = Context::new();
        for arg in ["refused", "bomb"] {
            let args = json!({ "arg": arg });
            let error = client(&bus).call::<Value>(&context, "gated", &args).await.unwrap_err();
            let remote = error.remote().unwrap();
            assert_eq!((remote.module(), remote.class()), ("oslo_messaging_rust", "RequestFailed"), "{error}");
            assert_eq!(error.executed(), Executed::Maybe);
        }
        server.shutdown(soon()).await.unwrap();
    }
}

/// Takes no argument.
#[derive(Debug)]
struct Refusing;

impl Serializer for Refusing {
    fn serialize(&self, _: &Context, value: Payload) -> oslo_messaging::Result<Payload> {
        Ok(value)
    }

    fn deserialize(&self, _: &Context, value: Payload) -> oslo_messaging::Result<Payload> {
        assert_ne!(value.as_str(), "\"bomb\"", "the argument blew up");
        Err(Error::new(ErrorKind::Decode, "translate"))
    }

    fn serialize_context(&self, context: &Context) -> oslo_messaging::Result<Context> {
        Ok(context.clone())
    }

    fn deserialize_context(&self, context: &Context) -> oslo_messaging::Result<Context> {
        Ok(context.clone())
    }
}
