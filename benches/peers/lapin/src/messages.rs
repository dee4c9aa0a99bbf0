//! The messages, byte for byte as oslo.messaging writes them, and their properties.

use std::borrow::Cow;
use std::time::{SystemTime, UNIX_EPOCH};

use lapin::BasicProperties;
use lapin::types::{FieldTable, ShortString};
use serde::{Deserialize, Serialize};

/// What a caller waits for, in milliseconds.
const TIMEOUT: u64 = 60_000;

/// The arguments of a request, and the payload of an event.
#[derive(Debug, Serialize, Deserialize)]
pub struct Text<'a> {
    #[serde(borrow)]
    pub s: Cow<'a, str>,
}

/// A call or a cast.
#[derive(Debug, Serialize, Deserialize)]
pub struct Request<'a> {
    pub method: Cow<'a, str>,
    #[serde(borrow)]
    pub args: Text<'a>,
    #[serde(borrow)]
    pub _msg_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub _reply_q: Option<Cow<'a, str>>,
    _timeout: Option<f64>,
    #[serde(borrow)]
    _unique_id: Cow<'a, str>,
    _deadline: Option<u64>,
}

/// The answer to a call.
#[derive(Debug, Serialize, Deserialize)]
pub struct Reply<'a> {
    #[serde(borrow)]
    pub result: Cow<'a, str>,
    failure: Option<Cow<'a, str>>,
    ending: bool,
    #[serde(borrow)]
    pub _msg_id: Cow<'a, str>,
    #[serde(borrow)]
    _unique_id: Cow<'a, str>,
}

/// A notification.
#[derive(Debug, Serialize, Deserialize)]
pub struct Event<'a> {
    message_id: Cow<'a, str>,
    publisher_id: Cow<'a, str>,
    event_type: Cow<'a, str>,
    priority: Cow<'a, str>,
    #[serde(borrow)]
    pub payload: Text<'a>,
    timestamp: Cow<'a, str>,
    _unique_id: Cow<'a, str>,
}

#[derive(Serialize, Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "oslo.version")]
    version: &'a str,
    #[serde(rename = "oslo.message", borrow)]
    message: Cow<'a, str>,
}

/// A call of `echo`, or without `reply` a cast to `note`: `reply` is the id of the call and the queue of the answer.
pub fn request(text: &str, reply: Option<(&str, &str)>) -> Vec<u8> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970").as_millis();
    let deadline = u64::try_from(now).expect("it fits for ages") + TIMEOUT;
    seal(&Request {
        method: if reply.is_some() { "echo" } else { "note" }.into(),
        args: Text { s: text.into() },
        _msg_id: reply.map(|(id, _)| id.into()),
        _reply_q: reply.map(|(_, queue)| queue.into()),
        _timeout: None,
        _unique_id: id().into(),
        _deadline: reply.map(|_| deadline),
    })
}

/// The answer of `echo` to the call `msg_id`.
pub fn reply(text: &str, msg_id: &str) -> Vec<u8> {
    let (result, _msg_id) = (text.into(), msg_id.into());
    seal(&Reply { result, failure: None, ending: true, _msg_id, _unique_id: id().into() })
}

/// An event of level info.
pub fn event(text: &str) -> Vec<u8> {
    seal(&Event {
        message_id: id().into(),
        publisher_id: "bench.host".into(),
        event_type: "bench.event".into(),
        priority: "INFO".into(),
        payload: Text { s: text.into() },
        timestamp: "2026-11-30 01:00:00.000000".into(),
        _unique_id: id().into(),
    })
}

/// The inner message of an envelope.
pub fn open(body: &[u8]) -> Cow<'_, str> {
    serde_json::from_slice::<Envelope<'_>>(body).expect("the body is an envelope").message
}

/// A random id in the reference's form.
pub fn id() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

/// The properties that kombu sets; a call expires with its caller's patience.
pub fn properties(mode: u8, expires: bool) -> BasicProperties {
    let properties = BasicProperties::default()
        .with_content_type("application/json".into())
        .with_content_encoding("utf-8".into())
        .with_delivery_mode(mode)
        .with_priority(0)
        .with_headers(FieldTable::default())
        .with_message_id(ShortString::from(id()));
    if expires { properties.with_expiration(TIMEOUT.to_string().into()) } else { properties }
}

fn seal(inner: &impl Serialize) -> Vec<u8> {
    let message = serde_json::to_string(inner).expect("it has no map with other keys than strings").into();
    serde_json::to_vec(&Envelope { version: "2.0", message }).expect("as above")
}
