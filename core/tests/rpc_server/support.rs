//! What these tests have in common.

use bytes::Bytes;
use oslo_messaging::driver::{Address, Message, PublishOptions, Transport as _};
use oslo_messaging::{Bus, Context, Payload, RpcClient, Target, wire};
use oslo_messaging_fake::FakeBroker;
use serde_json::{Value, json};

use crate::common::soon;

pub(crate) fn client(bus: &Bus) -> RpcClient {
    RpcClient::new(bus, Target::topic("shop"))
}

pub(crate) fn shop_topic() -> Address {
    Address::Topic { exchange: "openstack".into(), topic: "shop".into() }
}

pub(crate) fn request(method: &str, unique_id: &str) -> wire::Request {
    wire::Request::new(method.to_owned(), Payload::encode(&json!({"arg": unique_id})).unwrap())
        .with_unique_id(unique_id.to_owned())
}

/// Publishes a hand-made request and returns once the server has seen what was sent before and after it.
pub(crate) async fn send(bus: &Bus, broker: &FakeBroker, bodies: Vec<Bytes>) {
    let transport = broker.transport();
    for body in bodies {
        let options = PublishOptions::by(soon()).mandatory();
        transport.publish(&shop_topic(), Message::new(body), &options).await.unwrap();
    }
    let _: Value = client(bus).call(&Context::new(), "echo", &json!({"arg": "fence"})).await.unwrap();
}
