//! Messages that a fault delays between publisher and queue.

use std::collections::BTreeMap;

use oslo_messaging::Result;
use oslo_messaging::driver::Message;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::state::BrokerState;
use crate::state::destination::Destination;
use crate::state::id::Id;

/// What ends the delay of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// The end of its time alone.
    Due,
    /// The next publish, whose message arrives first; or the end of its time.
    Overtaken,
}

/// One publish whose message has not arrived yet.
#[derive(Debug)]
struct DelayedPublish {
    /// The publisher's connection, for the health that a declaration may change.
    connection: Id,
    to: Destination,
    message: Message,
    /// Whether an arrival without a queue is an error.
    mandatory: bool,
    until: Until,
    /// Completes the publish that waits. Sending fails if the publisher has given up, which does not matter.
    result: oneshot::Sender<Result<()>>,
}

/// The delayed messages, by the time they arrive; those of one time in the order of their publishes.
#[derive(Debug, Default)]
pub(crate) struct Delayed {
    /// By due time, then by id, which counts up with each publish.
    publishes: BTreeMap<(Instant, Id), DelayedPublish>,
}

impl Delayed {
    pub(crate) fn is_empty(&self) -> bool {
        self.publishes.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.publishes.len()
    }

    /// When the next message arrives. Waiting polls sleep until then, since nothing else wakes them for it.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.publishes.first_key_value().map(|((due, _), _)| *due)
    }
}

impl BrokerState {
    /// Delays a message until `due`. The receiver gets the result of routing it then.
    ///
    /// The message arrives also if the receiver is dropped or the connection ends.
    pub(crate) fn delay(
        &mut self,
        connection: Id,
        to: Destination,
        message: Message,
        mandatory: bool,
        (due, until): (Instant, Until),
    ) -> oneshot::Receiver<Result<()>> {
        let (result, arrived) = oneshot::channel();
        let id = self.next_id();
        self.delayed.publishes.insert((due, id), DelayedPublish { connection, to, message, mandatory, until, result });
        // There is no timer: waiting listeners must recompute when to wake up.
        for channel in self.channels.values() {
            self.wake_ups.add(&channel.mailbox);
        }
        arrived
    }

    /// Delivers the delayed message that is due first. The caller has checked that its time has come.
    ///
    /// The result reaches the publisher if it still waits.
    pub(crate) fn deliver_next_delayed(&mut self) {
        if let Some((_, publish)) = self.delayed.publishes.pop_first() {
            self.finish(publish);
        }
    }

    /// Delivers the messages that waited for another publish, after that one.
    ///
    /// They arrive by the end of their time; those of one time in the order of their publishes.
    pub(crate) fn release_overtaken(&mut self) {
        if self.delayed.is_empty() {
            return;
        }
        let publishes = &mut self.delayed.publishes;
        let is_overtaken = |publish: &DelayedPublish| publish.until == Until::Overtaken;
        let keys: Vec<_> = publishes.iter().filter(|(_, publish)| is_overtaken(publish)).map(|(key, _)| *key).collect();
        let publishes: Vec<DelayedPublish> = keys.iter().filter_map(|key| publishes.remove(key)).collect();
        for publish in publishes {
            self.finish(publish);
        }
    }

    /// Declares and routes as the publish would have done without a delay.
    fn finish(&mut self, publish: DelayedPublish) {
        let DelayedPublish { connection, to, message, mandatory, result, .. } = publish;
        let routed = self.declare_destination(connection, &to).and_then(|()| self.route(&to, message, mandatory));
        // The publisher may have dropped its receiver at its deadline; the message arrives all the same.
        let _ = result.send(routed);
    }
}
