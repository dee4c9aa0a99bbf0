//! How often a queue hands a message over before the broker drops it, as far as a client can know.

use crate::config::AmqpConfig;
use crate::frames::ServerVersion;

/// The first release that limits deliveries of quorum queues by itself,
/// and takes -1 for no limit. Older ones read a negative limit as 0.
const LIMITS_BY_ITSELF: u16 = 4;
/// The limit of such a broker, unless an operator set another.
/// The number of deliveries that may fail; the broker drops or dead-letters the message at the next failure.
const BY_ITSELF: u64 = 20;

/// Whether the queues of a broker of this release have a limit by default. False for a broker that sent no version.
pub(crate) fn is_limited_by_itself(server: Option<ServerVersion>) -> bool {
    server.is_some_and(|server| server.major >= LIMITS_BY_ITSELF)
}

/// The delivery limit of the quorum queues that a listener reads:
/// the one we declare, else the configured assumption about the broker, else what a broker of this release does.
/// `None`: there is no limit. A policy of an operator is not visible here, and may be lower.
pub(crate) fn delivery_limit(config: &AmqpConfig, server: Option<ServerVersion>) -> Option<u64> {
    match (config.quorum_delivery_limit, config.broker_delivery_limit) {
        (0, None) => is_limited_by_itself(server).then_some(BY_ITSELF),
        // Zero means that the operator has lifted the limit.
        (0, Some(assumed)) => (assumed > 0).then_some(assumed.into()),
        // A negative one lifts the limit where there is one, and is read as zero elsewhere.
        (declared, _) if declared < 0 && is_limited_by_itself(server) => None,
        (declared, _) => Some(declared.try_into().unwrap_or(0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_ours_else_the_configured_one_else_that_of_the_release() {
        let release = |major: u32| ServerVersion::parse(&format!("{major}.0.5"));
        for (declared, assumed, server, limit) in [
            (0, None, None, None),
            (0, None, release(3), None),
            (0, None, release(4), Some(20)),
            (0, None, release(5), Some(20)),
            (0, Some(7), release(3), Some(7)),
            (0, Some(0), release(4), None),
            (3, Some(7), release(4), Some(3)),
            (3, None, release(3), Some(3)),
            (-1, None, release(4), None),
            (-1, None, release(3), Some(0)),
        ] {
            let mut config = AmqpConfig::quorum();
            (config.quorum_delivery_limit, config.broker_delivery_limit) = (declared, assumed);
            assert_eq!(delivery_limit(&config, server), limit, "{declared} {assumed:?} {server:?}");
        }
    }
}
