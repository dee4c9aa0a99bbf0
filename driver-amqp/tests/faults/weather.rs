//! A network that stands still, swallows, delays or dribbles while calls and events are under way.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use oslo_messaging::{ErrorKind, Executed, State, Transport};
use oslo_messaging_amqp::{AmqpConfig, AmqpTransport};
use tokio::time::Instant;

use crate::office::Office;
use crate::proxy::{At, Direction, Fault, Proxy};
use crate::stage::{ARRIVE, SLACK, Stage, back, soon, url, within};

/// Shorter than it takes to notice that a peer is gone.
const SHORT: Duration = Duration::from_millis(500);
/// How many bytes lie between two places at which a handshake is cut, and how many are tried at once.
const STRIDE: usize = 23;
const AT_ONCE: usize = 8;
/// Of a second, so that a silent peer is noticed within two.
const HEARTBEAT: &str = "?heartbeat_timeout_threshold=1";

/// Each byte comes by itself, and a little late: nothing depends on how the network cuts a stream.
pub(crate) async fn single_bytes_make_whole_messages() {
    let office = Office::open("").await;
    office.relay.strike(Fault::Fragment);
    office.relay.strike(Fault::Delay(Duration::from_micros(1)));
    let before = office.relay.bytes(Direction::ToBroker);
    for number in 0..3 {
        office.call(number, ARRIVE).await.expect("an answer");
        office.tell(number, ARRIVE).await.expect("it is confirmed");
    }
    let sent = office.relay.bytes(Direction::ToBroker) - before;
    assert!(sent > 1_500, "three requests and three events went through the relay, and not {sent} bytes");
    office.relay.heal();
    assert_eq!(office.transport.counters().losses, 0);
    office.close().await;
}

pub(crate) async fn a_delay_is_waited_for_and_costs_no_connection() {
    let office = Office::open("").await;
    office.relay.strike(Fault::Delay(Duration::from_millis(200)));
    let begun = Instant::now();
    office.call(1, ARRIVE).await.expect("an answer");
    assert!(begun.elapsed() >= Duration::from_millis(400), "each way: {:?}", begun.elapsed());
    let error = office.call(2, Duration::from_millis(100)).await.expect_err("it takes longer than that");
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Timeout, Executed::Maybe), "{error}");
    office.relay.heal();
    office.works().await;
    assert_eq!(office.transport.counters().losses, 0);
    office.close().await;
}

pub(crate) async fn a_network_that_stands_still_keeps_nobody_past_the_deadline() {
    silent(Fault::Stall).await;
}

pub(crate) async fn a_network_that_swallows_everything_keeps_nobody_past_the_deadline() {
    silent(Fault::BlackHole).await;
}

/// Nothing is heard of the broker. Who does not want to wait is told in time, the loss is noticed within two heartbeats,
/// and once the network is whole everything works by itself.
async fn silent(fault: Fault) {
    let office = Office::open(HEARTBEAT).await;
    office.relay.strike(fault);
    let begun = Instant::now();
    for number in 0..2 {
        let (started, called) = (Instant::now(), office.call(number, SHORT).await);
        assert!(started.elapsed() < SHORT + SLACK, "{:?}", started.elapsed());
        let error = called.expect_err("nothing gets through");
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
        let (started, told) = (Instant::now(), office.tell(number, SHORT).await);
        assert!(started.elapsed() < SHORT + SLACK, "{:?}", started.elapsed());
        told.expect_err("nothing gets through");
    }
    let mut health = office.transport.health();
    let lost = health.wait_for(|health| matches!(health.state, State::Lost { .. } | State::Connecting));
    within(ARRIVE, "noticing the loss", lost).await.expect("a state");
    assert!(begun.elapsed() < Duration::from_secs(2) + 10 * SLACK, "{:?}", begun.elapsed());
    office.relay.heal();
    // Connections that were made while nothing got through are given up as well.
    office.relay.strike(Fault::Cut);
    back(&office.transport, 1).await;
    office.works().await;
    office.close().await;
}

/// Wherever the connections are lost that are about to be made, that is told at once and not when their time is over, and
/// another try succeeds.
pub(crate) async fn what_is_lost_while_it_is_made_is_told_at_once() {
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

/// A deadline holds whatever the network does, also for those who say goodbye.
pub(crate) async fn a_goodbye_that_is_swallowed_ends_by_its_deadline() {
    let office = Office::open("").await;
    office.relay.strike(Fault::BlackHole);
    let begun = Instant::now();
    let deadline = oslo_messaging::Deadline::after(SHORT);
    office.bus.close(deadline).await.expect_err("nobody answers");
    assert!(begun.elapsed() < 2 * SHORT + SLACK, "{:?}", begun.elapsed());
    assert!(Arc::clone(&office.transport).health().borrow().state == State::Closed);
}
