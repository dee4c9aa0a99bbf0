//! The reference model of routing: the names and bindings of queues, without a bus.

use std::collections::{BTreeMap, BTreeSet};

use super::program::{NotificationQueue, Reads};
use super::publish::To;

/// A queue by a name that no other queue of the program has.
pub(crate) type QueueName = String;

/// The queues and their bindings. A shared queue stays; a private one is deleted with its reader.
#[derive(Debug, Clone, Default)]
pub(crate) struct Routing {
    /// Every queue is also bound by its own name.
    bindings: BTreeMap<Key, BTreeSet<QueueName>>,
    /// Queues whose reader was dropped: they wait to expire, and may or may not exist.
    doubtful: BTreeSet<QueueName>,
}

/// What a publish is routed by: two publishes with equal keys reach the same queues.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    /// Exchange and routing key, as topic exchanges compare them.
    Topic(String, String),
    /// A topic, whatever the exchange.
    Fanout(String),
    /// The queue itself, past every exchange.
    Queue(QueueName),
}

/// A queue that a subscription declares, with the bindings that feed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Unique within the program; on the bus it has another name.
    pub(crate) queue: QueueName,
    /// Whether it is deleted with its reader.
    pub(crate) private: bool,
    /// What it is bound by, in addition to its name.
    keys: Vec<Key>,
}

/// The queues of `reads`; `unique` names the private ones.
/// A server has three queues: of its topic, its own and its private share of the fanout.
pub(crate) fn plans(reads: &Reads, unique: &str) -> Vec<Plan> {
    let key = |exchange: &str, key: &str| Key::Topic(exchange.to_owned(), key.to_owned());
    match reads {
        Reads::Server { exchange, topic, name } => {
            let own = format!("{topic}.{name}");
            vec![
                shared(topic, vec![key(exchange, topic)]),
                shared(&own, vec![key(exchange, &own)]),
                private(format!("{topic} fanout {unique}"), vec![Key::Fanout(topic.clone())]),
            ]
        }
        Reads::Inbox => vec![private(inbox(unique), Vec::new())],
        Reads::Queue { name, bytes } => vec![shared(&queue(name, *bytes), Vec::new())],
        Reads::Notifications { exchange, events, queue } => {
            let names: Vec<String> = events.iter().map(|(topic, priority)| format!("{topic}.{priority}")).collect();
            let keys = names.iter().map(|name| key(exchange, name)).collect();
            match queue {
                NotificationQueue::Shared => names.iter().map(|name| shared(name, vec![key(exchange, name)])).collect(),
                NotificationQueue::Pool(pool) => vec![shared(pool, keys)],
                NotificationQueue::Private => vec![private(format!("tap {unique}"), keys)],
            }
        }
    }
}

/// `unique` names one life of one reader; each life has an inbox of its own.
pub(crate) fn inbox(unique: &str) -> QueueName {
    format!("inbox {unique}")
}

/// The length is part of the name, since names of two lengths are two queues.
fn queue(name: &str, bytes: Option<usize>) -> QueueName {
    bytes.map_or_else(|| name.to_owned(), |bytes| format!("{name} of {bytes} bytes"))
}

/// It stays when its reader is closed.
fn shared(queue: &str, keys: Vec<Key>) -> Plan {
    Plan { queue: queue.to_owned(), private: false, keys }
}

/// Its name must be unique to one life of one reader.
fn private(queue: QueueName, keys: Vec<Key>) -> Plan {
    Plan { queue, private: true, keys }
}

impl Routing {
    /// Binds the queue by its keys and its own name. Declaring it again adds the bindings that it lacks.
    pub(crate) fn declare(&mut self, plan: &Plan) {
        for key in plan.keys.iter().cloned().chain([Key::Queue(plan.queue.clone())]) {
            self.bindings.entry(key).or_default().insert(plan.queue.clone());
        }
    }

    /// Removes every binding of the queue, so a later publish does not reach it.
    pub(crate) fn delete(&mut self, queue: &QueueName) {
        for queues in self.bindings.values_mut() {
            queues.remove(queue);
        }
    }

    /// From now on `queue` may or may not exist.
    pub(crate) fn doubt(&mut self, queue: &QueueName) {
        self.doubtful.insert(queue.clone());
    }

    /// The queues that receive a message to `to`, and whether queues may receive it that may not exist. `inbox` is the
    /// current or last queue of the reader of [`To::Inbox`].
    pub(crate) fn route(&self, to: &To, inbox: Option<&QueueName>) -> (Vec<QueueName>, bool) {
        let key = match to {
            To::Topic { exchange, topic } => Key::Topic(exchange.clone(), topic.clone()),
            To::Server { exchange, topic, name } => Key::Topic(exchange.clone(), format!("{topic}.{name}")),
            To::Fanout { topic } => Key::Fanout(topic.clone()),
            To::Notification { exchange, topic, priority } => {
                Key::Topic(exchange.clone(), format!("{topic}.{priority}"))
            }
            To::Queue { name, bytes } => Key::Queue(queue(name, *bytes)),
            To::Inbox { .. } => match inbox {
                Some(queue) => Key::Queue(queue.clone()),
                None => return (Vec::new(), false),
            },
        };
        let bound = self.bindings.get(&key).into_iter().flatten().cloned();
        let (doubtful, sure): (Vec<_>, Vec<_>) = bound.partition(|queue| self.doubtful.contains(queue));
        (sure, !doubtful.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Publish, Reader};
    use super::*;

    fn routed(readers: &[Reader], publish: &Publish) -> Vec<QueueName> {
        let mut routing = Routing::default();
        for (place, reader) in readers.iter().enumerate() {
            for plan in plans(&reader.reads, &place.to_string()) {
                routing.declare(&plan);
            }
        }
        routing.route(&publish.to, Some(&inbox("0"))).0
    }

    #[test]
    fn servers_of_one_topic_share_its_queue_whatever_their_exchange() {
        let servers = [Reader::server("x", "t", "a"), Reader::server("y", "t", "b")];
        assert_eq!(routed(&servers, &Publish::topic("x", "t")), ["t"]);
        assert_eq!(routed(&servers, &Publish::server("y", "t", "b")), ["t.b"]);
        assert_eq!(routed(&servers, &Publish::server("x", "t", "b")), [""; 0]);
        assert_eq!(routed(&servers, &Publish::fanout("t")), ["t fanout 0", "t fanout 1"]);
    }

    #[test]
    fn every_pool_and_every_private_reader_of_notifications_has_a_copy() {
        let events = [("n", "info"), ("o", "info")];
        let readers = [
            Reader::notifications("x", &events),
            Reader::notifications("x", &events).pool("p"),
            Reader::notifications("x", &events[1..]).private(),
        ];
        assert_eq!(routed(&readers, &Publish::notification("x", "o", "info")), ["o.info", "p", "tap 2"]);
        assert_eq!(routed(&readers, &Publish::notification("x", "n", "info")), ["n.info", "p"]);
        assert_eq!(routed(&readers, &Publish::notification("x", "n", "error")), [""; 0]);
    }

    #[test]
    fn an_inbox_is_reached_until_it_is_deleted() {
        let mut routing = Routing::default();
        routing.declare(&plans(&Reader::inbox().reads, "0")[0]);
        let (to, name) = (To::Inbox { reader: 0 }, inbox("0"));
        assert_eq!(routing.route(&to, Some(&name)), (vec![name.clone()], false));
        routing.doubt(&name);
        assert_eq!(routing.route(&to, Some(&name)), (vec![], true));
        routing.delete(&name);
        assert_eq!(routing.route(&to, Some(&name)), (vec![], false));
    }
}
