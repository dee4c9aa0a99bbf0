//! A network that stalls, swallows, delays or fragments while calls and events are under way.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, poll, stream};
use lapin::options::QueueDeleteOptions;
use oslo_messaging::driver::{Address, Source, Subscription, Transport};
use oslo_messaging::{ErrorKind, Executed, State};
use oslo_messaging_amqp::{AmqpConfig, AmqpTransport};
use tokio::time::{Instant, sleep};

use crate::workload::Workload;
use testkit::proxy::{At, Direction, Fault, Proxy};
use testkit::stage::{
    ARRIVE, QUIET, SLACK, Stage, assert_quiet, back, fanout, publish, soon, subscribe, take, texts, until, url, within,
};

/// Shorter than it takes to notice that a peer is gone.
const SHORT: Duration = Duration::from_millis(500);
/// How many bytes lie between two places at which a handshake is cut, and how many are tried at once.
const STRIDE: usize = 23;
const AT_ONCE: usize = 8;
/// Of a second, so that a silent peer is noticed within two.
const HEARTBEAT: &str = "?heartbeat_timeout_threshold=1";

/// Each byte comes by itself, and a little late: nothing depends on how the network cuts a stream.
pub(crate) async fn single_bytes_make_whole_messages() {
    let workload = Workload::open("").await;
    workload.relay.strike(Fault::Fragment);
    workload.relay.strike(Fault::Delay(Duration::from_micros(1)));
    let before = workload.relay.bytes(Direction::ToBroker);
    for number in 0..3 {
        workload.call(number, ARRIVE).await.expect("an answer");
        workload.notify(number, ARRIVE).await.expect("it is confirmed");
    }
    let sent = workload.relay.bytes(Direction::ToBroker) - before;
    assert!(sent > 1_500, "three requests and three events went through the relay, and not {sent} bytes");
    workload.relay.heal();
    assert_eq!(workload.transport.counters().losses, 0);
    workload.close().await;
}

pub(crate) async fn a_delay_is_waited_for_and_costs_no_connection() {
    let workload = Workload::open("").await;
    workload.relay.strike(Fault::Delay(Duration::from_millis(200)));
    let begun = Instant::now();
    workload.call(1, ARRIVE).await.expect("an answer");
    assert!(begun.elapsed() >= Duration::from_millis(400), "each way: {:?}", begun.elapsed());
    let error = workload.call(2, Duration::from_millis(100)).await.expect_err("it takes longer than that");
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Timeout, Executed::Maybe), "{error}");
    workload.relay.heal();
    workload.works().await;
    assert_eq!(workload.transport.counters().losses, 0);
    workload.close().await;
}

/// Each connection is made within its time, and the two of a link are not.
pub(crate) async fn a_broker_that_shakes_hands_slowly_is_connected_to_again() {
    let mut config = AmqpConfig::default();
    config.connect_timeout = Duration::from_secs(3);
    let (relay, transport) = behind_a_relay(&Stage::shared().await, config).await;
    relay.strike(Fault::Delay(Duration::from_millis(300)));
    relay.strike(Fault::Cut);
    back(&transport, 1).await;
}

/// The broker may have started it all the same. It takes no second one of that name on the channel: it closes the connection.
pub(crate) async fn a_consumer_whose_start_is_not_confirmed_in_time_is_started_on_another_channel() {
    const CONSUMING: usize = 1;
    /// The answer to `basic.consume` is 14 bytes long, and that to closing the channel of the declarations, which may come
    /// before it or after it, 12.
    const UNTOLD: usize = 13;
    let stage = Stage::shared().await;
    let mut config = AmqpConfig::default();
    // Long enough for everything that is answered.
    config.request_timeout = Duration::from_secs(5);
    let (relay, transport) = behind_a_relay(&stage, config).await;
    let mut listener = subscribe(&transport, &Subscription::new(Source::Queue { name: "awaited".into() })).await;
    let heard = || relay.tape(CONSUMING, Direction::FromBroker).passed;
    let bare = stage.bare().await;
    let channel = within(ARRIVE, "a channel", bare.create_channel()).await.expect("a channel");
    let delete = async || {
        let deleting = channel.queue_delete("awaited".into(), QueueDeleteOptions::default());
        within(ARRIVE, "deleting", deleting).await.expect("it is deleted");
    };
    let reading = async {
        let first = take(listener.as_mut(), 1).await;
        (first, listener)
    };
    let breaking = async {
        let quiet = heard();
        delete().await;
        until("the consumer to be back", async || transport.counters().recoveries == 1).await;
        sleep(QUIET).await;
        let offset = heard() + (heard() - quiet) - UNTOLD;
        relay.arm(At { connection: CONSUMING, direction: Direction::FromBroker, offset }, Fault::Stall, &[]);
        delete().await;
        let mut health = transport.health();
        let ailing = health.wait_for(|health| health.state != State::Ready);
        within(ARRIVE, "the answer to be missed", ailing).await.expect("a state");
        assert!(relay.trip().is_some_and(|trip| trip.at_its_place));
        relay.heal();
        until("the consumer to be back again", async || transport.counters().recoveries == 2).await;
        assert_eq!(transport.counters().losses, 0);
        publish(&transport, &Address::Queue { name: "awaited".into() }, "after").await.expect("a publish");
    };
    let ((first, mut listener), ()) = tokio::join!(reading, breaking);
    assert_eq!(texts(&first), ["after"]);
    for message in first {
        message.acknowledge().await.expect("an acknowledgement");
    }
    assert_quiet(listener.as_mut()).await;
}

/// A publisher gets the results of unconfirmed publishes while it declares what the next publish needs.
pub(crate) async fn an_unconfirmed_publish_gets_its_result_while_the_next_one_waits_for_its_exchange() {
    /// The second one of the second link: on it exchanges are declared.
    const DECLARING: usize = 3;
    // Only the first link would ask about transient queues, and the second is to send the same bytes.
    let mut config = AmqpConfig::durable();
    config.transient_quorum_queues = true;
    // No heartbeat comes between.
    (config.publish_window, config.heartbeat) = (2, Duration::from_secs(60));
    let (relay, transport) = behind_a_relay(&Stage::shared().await, config).await;
    let transport = Arc::new(transport);
    let [one, other] = ["one", "two"].map(fanout);
    publish(&transport, &one, "").await.expect("its exchange is declared");
    sleep(QUIET).await;
    let offset = relay.tape(DECLARING - 2, Direction::ToBroker).passed + 1;
    publish(&transport, &other, "").await.expect("and so is the other's");

    relay.strike(Fault::Stall);
    let mut waiting: Vec<_> =
        [&one, &one, &one, &other].into_iter().map(|to| Box::pin(publish(&transport, to, ""))).collect();
    for publish in &mut waiting {
        assert!(poll!(publish).is_pending(), "nothing gets through");
    }
    until("a full window", async || transport.counters().publishes == 4).await;
    relay.arm(At { connection: DECLARING, direction: Direction::ToBroker, offset }, Fault::Stall, &[]);
    relay.strike(Fault::Cut);
    relay.heal();
    until("the other exchange to be declared", async || relay.trip().is_some_and(|trip| trip.at_its_place)).await;
    assert_eq!(transport.counters().publishes, 5, "the first of the two is out");
    relay.strike(Fault::Cut);
    // Its confirm may have come before everything stood still.
    if let Err(error) = within(5 * SLACK, "the result", waiting.remove(2)).await {
        assert_eq!((error.kind(), error.executed()), (ErrorKind::Disconnected, Executed::Maybe), "{error}");
    }
    relay.heal();
    within(ARRIVE, "the last one", waiting.remove(2)).await.expect("it is sent on the next link");
}

/// A transport that reaches the node of `stage` through a relay.
pub(crate) async fn behind_a_relay(stage: &Stage, config: AmqpConfig) -> (Proxy, AmqpTransport) {
    let relay = Proxy::to(stage.node.port()).await;
    let address = url(&format!("rabbit://guest:guest@127.0.0.1:{}/{}", relay.port(), stage.vhost));
    let transport = AmqpTransport::connect(&address, config, soon()).await.expect("a connection");
    (relay, transport)
}

pub(crate) async fn a_network_that_stands_still_delays_nothing_past_the_deadline() {
    silent(Fault::Stall).await;
}

pub(crate) async fn a_network_that_swallows_everything_delays_nothing_past_the_deadline() {
    silent(Fault::BlackHole).await;
}

/// Nothing comes from the broker. Operations end by their deadlines, the loss is noticed within two heartbeats,
/// and once the network is whole everything works by itself.
async fn silent(fault: Fault) {
    let workload = Workload::open(HEARTBEAT).await;
    workload.relay.strike(fault);
    let begun = Instant::now();
    for number in 0..2 {
        let (started, called) = (Instant::now(), workload.call(number, SHORT).await);
        assert!(started.elapsed() < SHORT + SLACK, "{:?}", started.elapsed());
        let error = called.expect_err("nothing gets through");
        // On a slow machine the loss may have been noticed meanwhile.
        assert!(matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Disconnected), "{error}");
        let (started, notified) = (Instant::now(), workload.notify(number, SHORT).await);
        assert!(started.elapsed() < SHORT + SLACK, "{:?}", started.elapsed());
        notified.expect_err("nothing gets through");
    }
    let mut health = workload.transport.health();
    let lost = health.wait_for(|health| matches!(health.state, State::Lost { .. } | State::Connecting));
    within(ARRIVE, "noticing the loss", lost).await.expect("a state");
    assert!(begun.elapsed() < Duration::from_secs(2) + 10 * SLACK, "{:?}", begun.elapsed());
    workload.relay.heal();
    // Connections that were made while nothing got through are given up as well.
    workload.relay.strike(Fault::Cut);
    back(&workload.transport, 1).await;
    workload.works().await;
    workload.close().await;
}

/// Wherever a connection is lost while it is made, the error comes at once and not at the deadline, and another attempt
/// succeeds.
pub(crate) async fn a_connection_that_is_lost_while_it_is_made_is_reported_at_once() {
    let stage = Stage::shared().await;
    let (port, vhost) = (stage.node.port(), stage.vhost.clone());
    let through = |proxy: &Proxy| url(&format!("rabbit://guest:guest@127.0.0.1:{}/{vhost}", proxy.port()));
    let whole = Proxy::to(port).await;
    let transport = AmqpTransport::connect(&through(&whole), AmqpConfig::default(), soon()).await.expect("a link");
    let mut points = Vec::new();
    for connection in 0..2 {
        for direction in [Direction::ToBroker, Direction::FromBroker] {
            let offsets = (0..whole.tape(connection, direction).passed).step_by(STRIDE);
            points.extend(offsets.map(|offset| At { connection, direction, offset }));
        }
    }
    transport.close(soon()).await.expect("it closes");
    assert!(points.len() > 40, "{points:?}");
    let lose = async |(at, fault): (At, Fault)| {
        let proxy = Proxy::to(port).await;
        proxy.arm(at, fault, &[]);
        let begun = Instant::now();
        let first = AmqpTransport::connect(&through(&proxy), AmqpConfig::default(), soon()).await;
        let took = begun.elapsed();
        assert!(took < AmqpConfig::default().connect_timeout / 2, "{at:?} {fault:?}: {took:?} {first:?}");
        match first {
            Ok(transport) => transport.close(soon()).await.expect("what was lost after it was made can be closed"),
            Err(error) => {
                assert!(error.is_transient() && error.executed() == Executed::No, "{at:?} {fault:?}: {error}");
                let again = AmqpTransport::connect(&through(&proxy), AmqpConfig::default(), soon()).await;
                again.expect("nothing is in its way").close(soon()).await.expect("it closes");
            }
        }
    };
    let all = points.into_iter().flat_map(|at| [(at, Fault::Cut), (at, Fault::Reset)]);
    stream::iter(all).for_each_concurrent(AT_ONCE, lose).await;
}

/// A deadline holds whatever the network does, also for a close.
pub(crate) async fn a_close_that_is_swallowed_ends_by_its_deadline() {
    let workload = Workload::open("").await;
    workload.relay.strike(Fault::BlackHole);
    let begun = Instant::now();
    let deadline = oslo_messaging::Deadline::after(SHORT);
    workload.bus.close(deadline).await.expect_err("the broker does not answer");
    assert!(begun.elapsed() < 2 * SHORT + SLACK, "{:?}", begun.elapsed());
    assert!(Arc::clone(&workload.transport).health().borrow().state == State::Closed);
}
