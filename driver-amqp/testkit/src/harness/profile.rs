//! What a profile is to this driver, and what a report calls the two.

use oslo_messaging_amqp::AmqpConfig;
use xtask::profile::Profile;

/// The options that make up `profile`.
pub(super) fn config(profile: Profile) -> AmqpConfig {
    let mut config = match profile {
        Profile::Oslo => AmqpConfig::default(),
        Profile::Durable => AmqpConfig::durable(),
        Profile::Quorum | Profile::Stream => AmqpConfig::quorum(),
    };
    config.stream_fanout = profile == Profile::Stream;
    config
}

/// This driver, with what is to be known of the node and the queues.
pub(super) fn driver<'a>(remarks: impl IntoIterator<Item = Option<&'a str>>) -> String {
    let remarks = remarks.into_iter().flatten();
    ["oslo-messaging-amqp"].into_iter().chain(remarks).collect::<Vec<_>>().join(", ")
}
