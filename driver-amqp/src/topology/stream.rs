//! Fanouts over streams, `rabbit_stream_fanout` of the reference: each topic has one stream,
//! under the name of its exchange, and every server reads all of it from its own offset.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use lapin::message::Delivery;
use lapin::types::{AMQPValue, FieldTable};
use oslo_messaging::driver::{ExchangeKind, Lifetime, QueuePlan};

use crate::config::AmqpConfig;

/// The header with the offset of a message, and the consumer argument with the offset to start from.
/// RabbitMQ numbers the messages of a stream from 0.
const OFFSET: &str = "x-stream-offset";

/// The longest gap between offsets that is no loss:
/// each segment of a stream begins with an entry of the broker (a snapshot of tracked offsets), which takes one offset.
const OWN_ENTRY: u64 = 1;

/// Whether the queue of `plan` is a stream under this configuration.
/// Only the fanout queue of a server is one; reply queues never are.
pub(crate) fn is_stream(plan: &QueuePlan, config: &AmqpConfig) -> bool {
    let fanout = plan.bindings.iter().any(|binding| binding.exchange.kind == ExchangeKind::Fanout);
    config.stream_fanout && plan.lifetime == Lifetime::Private && fanout
}

/// `queues` with the stream, if there is one, renamed to its exchange.
/// All servers of a topic share the stream, so its name has no part of its own.
pub(crate) fn named(mut queues: Vec<QueuePlan>, config: &AmqpConfig) -> Vec<QueuePlan> {
    for queue in queues.iter_mut().filter(|queue| is_stream(queue, config)) {
        let exchange = queue.bindings.first().map(|binding| binding.exchange.name.clone());
        queue.name = exchange.expect("a stream is bound to its exchange");
    }
    queues
}

/// How far one listener has read its stream, for its next consumer.
/// It lives in this process only: after a restart a listener reads new messages, as with a fanout queue.
#[derive(Debug)]
pub(crate) struct StreamPosition {
    /// The name of the stream; `None` if the listener reads none.
    stream: Option<String>,
    /// Written at handover, and read when a consumer starts.
    read: Mutex<ReadState>,
}

/// Both are empty before the first subscription.
#[derive(Debug, Clone, Copy, Default)]
struct ReadState {
    /// The offset after the last message that was handed over.
    /// `None` if none was, or the stream may have been recreated.
    next: Option<i64>,
    /// When the last message was handed over; before the first, when the listener subscribed.
    at: Option<SystemTime>,
}

impl StreamPosition {
    /// The position of a listener of `queues` that has read nothing.
    /// Without a stream among them, no message moves the position.
    pub(crate) fn new(queues: &[QueuePlan], config: &AmqpConfig) -> Self {
        let stream = queues.iter().find(|queue| is_stream(queue, config)).map(|queue| queue.name.clone());
        Self { stream, read: Mutex::default() }
    }

    /// The offset to start from. The first time, only new messages; later, after the last message that was handed over.
    /// Where that is unknown, the messages since the listener subscribed,
    /// by the clock of this machine and to the second.
    ///
    /// The reference starts at the `last` chunk, so it may run messages again that it ran before a restart.
    pub(crate) fn arguments(&self) -> FieldTable {
        let ReadState { next, at } = *self.lock();
        let seconds = at.map(|at| at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs());
        let mut arguments = FieldTable::default();
        let offset = match (next, seconds) {
            (Some(next), _) => AMQPValue::LongLongInt(next),
            (None, Some(seconds)) => AMQPValue::Timestamp(seconds),
            (None, None) => AMQPValue::LongString("next".into()),
        };
        arguments.insert(OFFSET.into(), offset);
        arguments
    }

    /// Notes the time of the first subscription. Only the first call counts,
    /// so a later subscription starts where the first one would have.
    pub(crate) fn began(&self) {
        self.lock().at.get_or_insert_with(SystemTime::now);
    }

    /// Notes that `delivery` of `queue` is handed over.
    /// Returns how many messages are missing before it, accurate to one per segment:
    /// offsets are consecutive except for the broker's own entries, so a larger gap is what retention deleted unread.
    ///
    /// 0 for any other queue, and for a message without an offset.
    #[must_use]
    pub(crate) fn pass(&self, queue: &str, delivery: &Delivery) -> u64 {
        if self.stream.as_deref() != Some(queue) {
            return 0;
        }
        let headers = delivery.properties.headers().as_ref();
        let Some(AMQPValue::LongLongInt(offset)) = headers.and_then(|headers| headers.inner().get(OFFSET)) else {
            return 0;
        };
        let read = ReadState { next: Some(offset.saturating_add(1)), at: Some(SystemTime::now()) };
        // Without a known offset nothing can be missing before this message.
        let expected = std::mem::replace(&mut *self.lock(), read).next.unwrap_or(*offset);
        // A lower offset belongs to a recreated stream.
        u64::try_from(offset.saturating_sub(expected)).ok().filter(|gap| *gap > OWN_ENTRY).unwrap_or(0)
    }

    /// Forgets the offset after the broker cancelled the consumer:
    /// a recreated stream counts from zero again. The next subscription then starts by time.
    pub(crate) fn doubt(&self) {
        self.lock().next = None;
    }

    /// Held to read or replace both values at once.
    /// A panic meanwhile cannot leave one of them alone, so poison is ignored.
    fn lock(&self) -> MutexGuard<'_, ReadState> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use lapin::BasicProperties;
    use oslo_messaging::driver::{Source, Subscription};

    use super::*;

    fn offset(position: &StreamPosition) -> AMQPValue {
        position.arguments().inner()[OFFSET].clone()
    }

    fn delivery(offset: i64) -> Delivery {
        let mut headers = FieldTable::default();
        headers.insert(OFFSET.into(), AMQPValue::LongLongInt(offset));
        let mut delivery = Delivery::mock(1, "e".into(), "".into(), false, Vec::new());
        delivery.properties = BasicProperties::default().with_headers(headers);
        delivery
    }

    #[test]
    fn a_reader_begins_with_what_is_new_and_goes_on_behind_what_it_has_read() {
        let position = StreamPosition { stream: Some("t_fanout".into()), read: Mutex::default() };
        assert_eq!(offset(&position), AMQPValue::LongString("next".into()));
        position.began();
        assert!(matches!(offset(&position), AMQPValue::Timestamp(seconds) if seconds > 1_700_000_000));
        assert_eq!(position.pass("t", &delivery(7)), 0);
        assert!(matches!(offset(&position), AMQPValue::Timestamp(_)), "anybody may write such a header");
        assert_eq!(position.pass("t_fanout", &delivery(41)), 0);
        assert_eq!(offset(&position), AMQPValue::LongLongInt(42));
        position.doubt();
        assert!(matches!(offset(&position), AMQPValue::Timestamp(_)), "another stream has other offsets");
    }

    #[test]
    fn what_a_stream_deleted_before_it_was_read_is_a_gap_in_its_offsets() {
        let position = StreamPosition { stream: Some("s".into()), read: Mutex::default() };
        let pass = |offset| position.pass("s", &delivery(offset));
        let missed = [1_000, 1_001, 1_802, 1_803, 0, 1, i64::MAX, i64::MAX, i64::MIN].map(pass);
        let most = i64::MAX.unsigned_abs() - 2;
        assert_eq!(missed, [0, 0, 800, 0, 0, 0, most, 0, 0], "it begins anywhere, and may begin again");
        assert_eq!([10, 12, 15].map(pass)[1..], [0, 2], "each segment begins with an entry of the broker's own");
        position.doubt();
        assert_eq!(pass(5_000), 0, "another stream has other offsets");
    }

    #[test]
    fn only_the_share_of_a_fanout_is_a_stream_and_it_has_the_name_of_the_exchange() {
        let source = Source::Server { exchange: "x".into(), topic: "t".into(), server: "s".into() };
        let queues = Subscription::new(source).queues("0a");
        let streams = AmqpConfig { stream_fanout: true, ..AmqpConfig::quorum() };
        let names = |config| named(queues.clone(), config).into_iter().map(|queue| queue.name).collect::<Vec<_>>();
        assert_eq!(names(&streams), ["t", "t.s", "t_fanout"]);
        assert_eq!(names(&AmqpConfig::quorum()), ["t", "t.s", "t_fanout_0a"]);
        let inbox = Subscription::new(Source::Inbox).queues("0a");
        assert!(!is_stream(&inbox[0], &streams));
    }
}
