//! The messages, names and addresses of a program on the bus.

use oslo_messaging::driver::{Address, Message, Source};

use super::Play;
use crate::Stage;
use crate::programs::delivery::program::{NotificationQueue, Reads};
use crate::programs::delivery::publish::{Publish, To};

/// What follows the number in a body: bytes that are not UTF-8.
const BINARY: &[u8] = &[b'|', 0, 0xff, 0xfe, 0xc3, 0x28, b'\n'];

/// The message with `number`, which its body begins with and a header holds.
/// The body is padded with dots to the size that the publish asks for.
pub(super) fn message(number: usize, publish: &Publish) -> Message {
    let mut body: Vec<u8> = number.to_string().into_bytes().into_iter().chain(BINARY.iter().copied()).collect();
    body.resize(publish.body.unwrap_or_default().max(body.len()), b'.');
    let message = Message::new(body).with_header("number", number.to_string()).with_header("x-\u{e9}", "\u{1f980} , ;");
    match publish.header {
        Some(bytes) => message.with_header("long", "v".repeat(bytes)),
        None => message,
    }
}

/// Reads the digits at the begin of the body, which end before the binary part.
/// `None` if the body does not begin with a digit.
pub(super) fn number_of(message: &Message) -> Option<usize> {
    let digits: String = message.body.iter().map(|byte| char::from(*byte)).take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// Whether body, headers and id came as they were sent.
/// The queue, the delivery count and the expiration are not compared.
pub(super) fn same(came: &Message, sent: &Message) -> bool {
    came.body == sent.body && came.headers == sent.headers && came.id == sent.id
}

/// The source of a reader, with the names on the bus.
/// Of notifications only a pool is part of the source; a private queue is a matter of the lifetime.
pub(super) fn source(stage: &Stage, reads: &Reads) -> Source {
    match reads {
        Reads::Server { exchange, topic, name } => {
            Source::Server { exchange: stage.name(exchange), topic: stage.name(topic), server: stage.name(name) }
        }
        Reads::Inbox => Source::Inbox,
        Reads::Queue { name, bytes } => Source::Queue { name: queue(stage, name, *bytes) },
        Reads::Notifications { exchange, events, queue } => {
            let address = |(topic, priority): &(String, String)| notification(stage, exchange, topic, priority);
            let pool = match queue {
                NotificationQueue::Pool(pool) => Some(stage.name(pool)),
                NotificationQueue::Shared | NotificationQueue::Private => None,
            };
            Source::Notifications { addresses: events.iter().map(address).collect(), pool }
        }
    }
}

/// Unique by a suffix, then padded with `-` to `bytes`; a longer name stays as it is.
fn queue(stage: &Stage, name: &str, bytes: Option<usize>) -> String {
    format!("{:-<bytes$}", stage.name(name), bytes = bytes.unwrap_or_default())
}

/// Exchange and topic are made unique; the priority keeps its name.
fn notification(stage: &Stage, exchange: &str, topic: &str, priority: &str) -> Address {
    Address::Notification { exchange: stage.name(exchange), topic: stage.name(topic), priority: priority.to_owned() }
}

impl Play<'_> {
    /// Every name gets the suffix of the stage, except those of priorities and inboxes.
    /// An inbox that was never open becomes the address of a queue that does not exist.
    pub(super) fn address(&self, to: &To) -> Address {
        let name = |name: &String| self.stage.name(name);
        match to {
            To::Topic { exchange, topic } => Address::Topic { exchange: name(exchange), topic: name(topic) },
            To::Server { exchange, topic, name: server } => {
                Address::Server { exchange: name(exchange), topic: name(topic), server: name(server) }
            }
            To::Fanout { topic } => Address::Fanout { topic: name(topic) },
            To::Notification { exchange, topic, priority } => notification(self.stage, exchange, topic, priority),
            To::Queue { name, bytes } => Address::Queue { name: queue(self.stage, name, *bytes) },
            To::Inbox { reader } => {
                let nowhere = || Address::Direct { queue: self.stage.name("no-inbox") };
                self.inboxes.get(reader).cloned().unwrap_or_else(nowhere)
            }
        }
    }
}
