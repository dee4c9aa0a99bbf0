//! The messages of the reference, and JSON texts in a form that can be compared.

use std::collections::BTreeMap;

use oslo_messaging::driver::Message;
use oslo_messaging::wire::Envelope;
use serde::Deserialize;

#[derive(Deserialize)]
struct File {
    messages: Vec<Published>,
}

#[derive(Deserialize)]
struct Published {
    kind: String,
    properties: Properties,
    body: Option<String>,
    body_hex: Option<String>,
}

#[derive(Deserialize)]
struct Properties {
    headers: BTreeMap<String, String>,
}

/// A message as it came to a queue, and what kind it is.
pub(crate) struct Vector {
    pub(crate) kind: String,
    pub(crate) message: Message,
}

/// All of them, in the order they were published.
pub(crate) fn vectors() -> Vec<Vector> {
    let file: File = serde_json::from_str(include_str!("../vectors/messages.json")).unwrap();
    file.messages.into_iter().map(vector).collect()
}

fn vector(published: Published) -> Vector {
    let body = published.body.map(String::into_bytes).or_else(|| published.body_hex.map(|hex| bytes_of(&hex)));
    let message = Message::new(body.expect("a vector has a body"));
    let message = published
        .properties
        .headers
        .into_iter()
        .fold(message, |message, (name, value)| message.with_header(name, value));
    Vector { kind: published.kind, message }
}

fn bytes_of(hex: &str) -> Vec<u8> {
    hex.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// The names of the content's fields in their order, with the normal text of each value; a failure out of its string.
pub(crate) fn content(message: &Message) -> Vec<(String, String)> {
    let fields = Envelope::open(message).unwrap().fields().unwrap();
    let text = |(name, value): (String, oslo_messaging::Payload)| {
        let inside = if name == "failure" { value.decode::<Option<String>>().unwrap() } else { None };
        let text = normal(inside.as_deref().unwrap_or(value.as_str()));
        (name, text)
    };
    fields.into_iter().map(text).collect()
}

/// `json` without blanks between its tokens and with every string escaped in the same way; numbers and order stay.
pub(crate) fn normal(json: &str) -> String {
    let mut normal = String::new();
    let mut rest = json;
    while let Some(first) = rest.chars().next() {
        let length = if first == '"' { string_length(rest) } else { first.len_utf8() };
        let (token, after) = rest.split_at(length);
        match first {
            '"' => normal.push_str(&serde_json::to_string(&string(token)).unwrap()),
            blank if blank.is_ascii_whitespace() => {}
            _ => normal.push_str(token),
        }
        rest = after;
    }
    normal
}

/// The only string of the vectors that Rust cannot hold stands for what it must become.
fn string(token: &str) -> String {
    serde_json::from_str(&token.replace("\\ud800", "\u{FFFD}")).unwrap()
}

fn string_length(text: &str) -> usize {
    let mut escaped = false;
    let end = text.bytes().skip(1).position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    end.expect("the string ends") + 2
}
