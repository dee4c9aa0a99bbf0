//! What lapin refuses before any of it is written.

use std::time::Duration;

use oslo_messaging::driver::{Address, Message, Transport};
use oslo_messaging_amqp::AmqpConfig;

use crate::network::behind_a_relay;
use testkit::proxy::{Direction, Fault};
use testkit::stage::{Stage, options, refusal, until};

/// The connection of a link that publishes, and the channel on it of the only lane that does.
const PUBLISHING: usize = 0;
/// `channel.close` on channel 1 (AMQP 0-9-1, section 1.5.2.5), with code 404 and without a text.
const CLOSED: [u8; 19] = [1, 0, 1, 0, 0, 0, 11, 0, 20, 0, 40, 0x01, 0x94, 0, 0, 0, 0, 0, 0xce];

/// A lane on which nothing is out learns that its channel is gone when it publishes, and does so again on another.
pub(crate) async fn what_lapin_refuses_at_once_is_not_counted_as_sent() {
    let stage = Stage::shared().await;
    let mut config = AmqpConfig::default();
    (config.publish_channels, config.heartbeat) = (1, Duration::from_secs(60));
    let (relay, transport) = behind_a_relay(&stage, config).await;
    let publish = async || {
        let to = Address::Direct { queue: "nowhere".into() };
        refusal(transport.publish(&to, Message::new(""), &options().mandatory()).await);
    };
    publish().await;
    assert_eq!(transport.counters().publishes, 1);
    let said = relay.tape(PUBLISHING, Direction::ToBroker).sent.len();
    // The answer, which the broker has not asked for, comes to it in front of what is published on the next channel.
    relay.strike(Fault::Delay(Duration::from_secs(1)));
    relay.forge(PUBLISHING, &CLOSED);
    until("the answer", async || relay.tape(PUBLISHING, Direction::ToBroker).sent.len() > said).await;
    relay.heal();
    publish().await;
    assert_eq!(transport.counters().publishes, 2);
}
