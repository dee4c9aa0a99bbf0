//! What lapin 4.12.3 does that a driver must not pass on. `docs/lapin.md` has the list, and what we do about each.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel};
use oslo_messaging::driver::{Address, Message, PublishOptions, Transport};
use oslo_messaging::{Deadline, ErrorKind, Executed, Result};
use oslo_messaging_amqp::{AmqpConfig, AmqpTransport};
use tokio::task::JoinSet;

use crate::wire::{self, Concern};
use testkit::proxy::{Direction, Fault, Proxy};
use testkit::stage::{ARRIVE, Stage, back, options, soon, until, url, within};

/// As many threads as keep two cores from agreeing on an order.
const THREADS: usize = 8;
const MESSAGES: usize = 600;

/// lapin numbers a publish and queues its frames in two steps, and hands a return to the next confirm. On a channel that
/// threads share, the fates of their messages are exchanged; ours have one owner.
pub(crate) async fn publishers_on_many_threads_get_their_own_results_also_when_the_broker_refuses() {
    let stage = Stage::shared().await;
    let bare = stage.bare().await;
    let channel = within(ARRIVE, "a channel", bare.create_channel()).await.expect("a channel");
    let full =
        [("x-max-length", AMQPValue::LongInt(1)), ("x-overflow", AMQPValue::LongString("reject-publish".into()))];
    for (queue, arguments) in [("here", &[][..]), ("full", &full)] {
        let arguments: BTreeMap<_, _> = arguments.iter().cloned().map(|(name, value)| (name.into(), value)).collect();
        let declared = channel.queue_declare(queue.into(), QueueDeclareOptions::default(), FieldTable::from(arguments));
        within(ARRIVE, "a queue", declared).await.expect("a queue");
    }
    fill(&channel, "full").await;
    let mut config = AmqpConfig::default();
    config.publish_channels = 1;
    let transport = Arc::new(stage.connect_with(config).await);
    let threads: Vec<_> = (0..THREADS)
        .map(|thread| {
            let (transport, runtime) = (Arc::clone(&transport), tokio::runtime::Handle::current());
            tokio::task::spawn_blocking(move || runtime.block_on(misled(&transport, thread)))
        })
        .collect();
    let misled: usize = within(ARRIVE * 3, "publishing", join_all(threads))
        .await
        .into_iter()
        .map(|result| result.expect("no panic"))
        .sum();
    assert_eq!(misled, 0);
    let counters = transport.counters();
    let sent = (THREADS * MESSAGES) as u64;
    assert_eq!((counters.publishes, counters.confirms, counters.returns), (sent, sent, sent / 3), "{counters:?}");
}

/// Publishes to a queue that is there, one that is full and one that is not there, in turn; how many get the result of
/// another.
async fn misled(transport: &AmqpTransport, thread: usize) -> usize {
    let names = ["here", "full", "nowhere"];
    let mut misled = 0;
    for first in (0..MESSAGES).step_by(60) {
        let publishes = (first..first + 60).map(async |number| {
            let name = names[(thread + number) % names.len()];
            let to = Address::Direct { queue: name.to_owned() };
            let result = transport.publish(&to, Message::new("m"), &options().mandatory()).await;
            match (name, result) {
                ("here", Ok(())) => 0,
                ("full", Err(error)) if (error.kind(), error.executed()) == (ErrorKind::Refused, Executed::Maybe) => 0,
                ("nowhere", Err(error)) if error.kind() == ErrorKind::Undeliverable => 0,
                _ => 1,
            }
        });
        misled += join_all(publishes).await.into_iter().sum::<usize>();
    }
    misled
}

/// Puts messages into a queue until it takes no more.
async fn fill(channel: &Channel, queue: &'static str) {
    within(ARRIVE, "confirms", channel.confirm_select(ConfirmSelectOptions::default())).await.expect("confirms");
    until("the queue to be full", async || {
        let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
        let sent = channel.basic_publish("".into(), queue.into(), options, b"m", properties).await.expect("it is sent");
        sent.await.expect("a confirm").is_nack()
    })
    .await;
}

/// lapin keeps each confirm that is not awaited until the channel ends, and gives a return to the next that comes. A
/// lane waits for every one, also when its publisher has gone.
pub(crate) async fn messages_whose_publishers_gave_up_are_confirmed_all_the_same() {
    let bench = Bench::open().await;
    bench.relay.strike(Fault::Stall);
    // Long enough for all of them to leave on a slow machine.
    let given_up = bench.publish(400, 1, PublishOptions::by(Deadline::after(10 * SHORT)));
    for result in given_up.join_all().await {
        let error = result.expect_err("nothing gets through");
        assert_eq!((error.kind(), error.executed()), (ErrorKind::Timeout, Executed::Maybe), "{error}");
    }
    bench.relay.heal();
    let sent = FIRST + 400;
    until("every confirm", async || bench.transport.counters().confirms == sent).await;
    let counters = bench.transport.counters();
    assert_eq!((counters.publishes, counters.returns, counters.losses), (sent, sent, 0), "{counters:?}");
    bench.works().await;
}

/// lapin takes whatever it is given, without end. What is over our window stays with us, where a deadline can end it.
pub(crate) async fn what_a_stalled_network_does_not_take_waits_in_our_window() {
    const WINDOW: u64 = 64;
    const SENT: usize = 5_000;
    let mut config = AmqpConfig::default();
    (config.publish_channels, config.publish_window) = (1, usize::try_from(WINDOW).expect("it is small"));
    let bench = Bench::open_with(config).await;
    bench.relay.strike(Fault::Stall);
    let publishing = bench.publish(SENT, 4096, options());
    until("a full window", async || bench.transport.counters().publishes == FIRST + WINDOW).await;
    let late = bench.publish(1, 1, PublishOptions::by(Deadline::after(SHORT)));
    let error = late.join_all().await.remove(0).expect_err("there is no room");
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Timeout, Executed::No), "{error}");
    assert_eq!(bench.transport.counters().publishes, FIRST + WINDOW);
    bench.relay.heal();
    for result in within(ARRIVE, "publishing", publishing.join_all()).await {
        assert_eq!(result.expect_err("there is no queue").kind(), ErrorKind::Undeliverable);
    }
    assert_eq!(bench.transport.counters().losses, 0);
    bench.works().await;
}

/// lapin ends a connection on which the broker confirms what it was never sent.
pub(crate) async fn a_confirm_of_what_was_never_sent_costs_the_link_and_nothing_else() {
    let bench = Bench::open().await;
    let publishes = |connection: &usize| {
        let sent = bench.relay.tape(*connection, Direction::ToBroker).sent;
        wire::frames(&sent).iter().any(|frame| frame.concern(Direction::ToBroker) == Concern::Publish)
    };
    let publishing = (0..bench.relay.connections()).find(publishes).expect("one of them publishes");
    for channel in 1..=5 {
        bench.relay.forge(publishing, &acknowledgement(channel, 1_000_000));
    }
    back(&bench.transport, 1).await;
    assert_eq!(bench.transport.counters().losses, 1);
    bench.works().await;
}

/// lapin does not report a connection that the broker closes with a code that is not in its list.
pub(crate) async fn a_connection_that_is_closed_with_an_unknown_code_is_made_again() {
    let bench = Bench::open().await;
    bench.relay.forge(0, &goodbye(999));
    back(&bench.transport, 1).await;
    assert_eq!(bench.transport.counters().losses, 1);
    bench.works().await;
}

/// The frame of `basic.ack` (AMQP 0-9-1, section 1.8.3.13).
fn acknowledgement(channel: u16, tag: u64) -> Vec<u8> {
    let mut payload = vec![0, 60, 0, 80];
    payload.extend(tag.to_be_bytes());
    payload.push(0);
    method(channel, &payload)
}

/// The frame of `connection.close` (section 1.4.2.9), without a text.
fn goodbye(code: u16) -> Vec<u8> {
    let mut payload = vec![0, 10, 0, 50];
    payload.extend(code.to_be_bytes());
    payload.extend([0; 5]);
    method(0, &payload)
}

/// The frame of a method (section 4.2.3).
fn method(channel: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![1];
    frame.extend(channel.to_be_bytes());
    frame.extend(u32::try_from(payload.len()).expect("it is short").to_be_bytes());
    frame.extend(payload);
    frame.push(0xce);
    frame
}

/// How many messages are published before a case begins.
const FIRST: u64 = 100;
/// Shorter than it takes to notice that a peer is gone.
const SHORT: Duration = Duration::from_millis(500);

/// A transport behind a relay.
struct Bench {
    relay: Proxy,
    transport: Arc<AmqpTransport>,
}

impl Bench {
    async fn open() -> Self {
        let mut config = AmqpConfig::default();
        config.publish_channels = 1;
        Self::open_with(config).await
    }

    async fn open_with(config: AmqpConfig) -> Self {
        let stage = Stage::shared().await;
        let relay = Proxy::to(stage.node.port()).await;
        let address = url(&format!("rabbit://guest:guest@127.0.0.1:{}/{}", relay.port(), stage.vhost));
        let transport = AmqpTransport::connect(&address, config, soon()).await.expect("a connection");
        let bench = Self { relay, transport: Arc::new(transport) };
        // Now the lane has its channel.
        bench.works().await;
        bench
    }

    /// Starts to publish so many mandatory messages of so many bytes to a queue that is not there,.
    fn publish(&self, count: usize, size: usize, options: PublishOptions) -> JoinSet<Result<()>> {
        let mut publishing = JoinSet::new();
        for _ in 0..count {
            let (transport, message) = (Arc::clone(&self.transport), Message::new(vec![0; size]));
            publishing.spawn(async move {
                let to = Address::Direct { queue: "nowhere".to_owned() };
                transport.publish(&to, message, &options.mandatory()).await
            });
        }
        publishing
    }

    /// Publishes get their own results.
    async fn works(&self) {
        for result in within(ARRIVE, "publishing", self.publish(100, 1, options()).join_all()).await {
            assert_eq!(result.expect_err("there is no queue").kind(), ErrorKind::Undeliverable);
        }
    }
}
