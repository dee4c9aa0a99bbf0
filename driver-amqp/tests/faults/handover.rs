//! A listener whose connection goes while it hands something over.

use std::time::Duration;

use oslo_messaging::driver::{Address, Settle, Source, Subscription, Transport};
use oslo_messaging_amqp::AmqpConfig;
use tokio::time::{sleep, timeout};

use crate::network::behind_a_relay;
use testkit::proxy::Fault;
use testkit::stage::{ARRIVE, QUIET, Stage, all, handed_over, publish, soon, subscribe, texts, until, within};

/// The connection of a link on which listeners live.
const CONSUMING: usize = 1;
/// `connection.blocked` (RabbitMQ's class 10, method 60), without a reason: after it a client writes nothing more.
const BLOCKED: [u8; 13] = [1, 0, 0, 0, 0, 0, 5, 0, 10, 0, 60, 0, 0xce];

/// A listener that was restored is stopped before its next poll. Its earlier acknowledgement fails only then.
pub(crate) async fn what_cannot_be_handed_over_any_more_takes_nothing_of_the_next_connection_with_it() {
    let stage = Stage::shared().await;
    let mut config = AmqpConfig::default();
    // No heartbeat is missed meanwhile.
    config.heartbeat = Duration::from_secs(60);
    let (relay, transport) = behind_a_relay(&stage, config).await;
    let late = Subscription::new(Source::Queue { name: "late".into() }).with_settle(Settle::BeforeHandover);
    let mut listener = subscribe(&transport, &late).await;
    relay.forge(CONSUMING, &BLOCKED);
    sleep(QUIET).await;
    publish(&transport, &Address::Direct { queue: "late".into() }, "one").await.expect("a publish");
    let asking = async {
        while transport.counters().handover_acknowledgements == 0 {
            let polled = timeout(QUIET, listener.poll(all())).await;
            assert!(polled.is_err(), "nothing can be acknowledged, but {polled:?} was");
        }
    };
    within(ARRIVE, "an acknowledgement", asking).await;
    relay.strike(Fault::Cut);
    until("the listener to be back", async || transport.counters().recoveries == 1).await;
    handed_over(&stage, 1).await;
    listener.stop(soon()).await.expect("a stop");
    // What the next session has and did not acknowledge before the stop is the broker's again, once this one is closed.
    let polled = within(ARRIVE, "polling", listener.poll(all())).await.expect("no error");
    assert!(polled.is_none(), "{polled:?}");
    assert_eq!(transport.counters().deliveries_dropped, 1, "the first time");
    listener.close(soon()).await.expect("a close");
    let mut listener = subscribe(&transport, &late).await;
    let polled = within(ARRIVE, "polling", listener.poll(all())).await.expect("no error").expect("not the end");
    assert_eq!((texts(&polled), polled[0].redelivered()), (vec!["one".to_owned()], true));
    listener.close(soon()).await.expect("a close");
    transport.close(soon()).await.expect("a close");
}
