//! A message on its way: what it takes to put it on the wire, who waits for its fate, and who decided it first.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use bytes::Bytes;
use lapin::BasicProperties;
use lapin::types::ShortString;
use oslo_messaging::{Address, Exchange, Executed, Result};
use tokio::sync::oneshot;

use crate::config::AmqpConfig;
use crate::link::state_machine::Generation;
use crate::publish::destinations::Prerequisite;

/// A message with everything it takes to put it on the wire.
#[derive(Debug)]
pub(crate) struct EncodedPublish {
    pub(crate) exchange: Exchange,
    pub(crate) exchange_name: ShortString,
    pub(crate) routing_key: ShortString,
    pub(crate) prerequisite: Prerequisite,
    pub(crate) mandatory: bool,
    /// What is known of it if the broker refuses it.
    pub(crate) if_refused: Executed,
    pub(crate) body: Bytes,
    pub(crate) properties: BasicProperties,
    /// What the headers take in the frame that every link has its own limit for.
    pub(crate) header_bytes: usize,
    pub(crate) id: String,
}

/// A publish and who waits for its fate.
#[derive(Debug)]
pub(crate) struct PublishJob {
    pub(crate) publish: Arc<EncodedPublish>,
    pub(crate) result: oneshot::Sender<Result<()>>,
    pub(crate) abandon_flag: Arc<AbandonFlag>,
    pub(crate) attempts: u32,
    /// The link on which what the publish needs was declared.
    pub(crate) declared: Generation,
}

/// What is known of a message to this address that the broker refuses.
///
/// Of several queues, those that could take it have it. A classic queue hands a message over before it is on the disk, and
/// when its process dies meanwhile everything that is not confirmed is refused. A quorum queue refuses what it has not begun
/// to take: because it is full, or without a leader. Of which kind a reply queue is its owner knows; of which kind the queues of
/// servers are, the setting says, since who sends to them does not declare them.
pub(crate) fn if_refused(to: &Address, config: &AmqpConfig) -> Executed {
    let replicated = match to {
        Address::Topic { .. } | Address::Server { .. } | Address::Queue { .. } => config.quorum_queues,
        Address::Fanout { .. } | Address::Notification { .. } | Address::Direct { .. } => false,
    };
    if replicated { Executed::No } else { Executed::Maybe }
}

const WAITING: u8 = 0;
const SENT: u8 = 1;
const ABANDONED: u8 = 2;

/// Whether the lane sent a message before its caller gave up, or the other way round: never both, so that a caller who is
/// told that nothing was sent can rely on it.
#[derive(Debug, Default)]
pub(crate) struct AbandonFlag(AtomicU8);

impl AbandonFlag {
    /// The lane is about to send. False if the caller has given up, and then it must not.
    pub(crate) fn mark_sent(&self) -> bool {
        self.0.compare_exchange(WAITING, SENT, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// The broker certainly has not got it, and it may be sent again.
    pub(crate) fn mark_unsent(&self) {
        let _ = self.0.compare_exchange(SENT, WAITING, Ordering::AcqRel, Ordering::Acquire);
    }

    /// The caller gives up; says what became of the message.
    pub(crate) fn abandon(&self) -> Executed {
        match self.0.swap(ABANDONED, Ordering::AcqRel) {
            SENT => Executed::Maybe,
            _ => Executed::No,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_one_quorum_queue_refuses_has_certainly_reached_nobody() {
        let [exchange, topic] = ["x", "t"].map(str::to_owned);
        let event = Address::Notification { exchange: exchange.clone(), topic: topic.clone(), priority: "info".into() };
        let server = Address::Server { exchange: exchange.clone(), topic: topic.clone(), server: "s".into() };
        for (to, replicated) in [
            (Address::Fanout { topic: topic.clone() }, Executed::Maybe),
            (event, Executed::Maybe),
            (Address::Direct { queue: "reply".into() }, Executed::Maybe),
            (Address::Topic { exchange, topic }, Executed::No),
            (server, Executed::No),
            (Address::Queue { name: "q".into() }, Executed::No),
        ] {
            assert_eq!(if_refused(&to, &AmqpConfig::quorum()), replicated, "{to}");
            assert_eq!(if_refused(&to, &AmqpConfig::default()), Executed::Maybe, "{to}");
        }
    }

    #[test]
    fn what_was_abandoned_is_not_sent_and_what_was_sent_may_have_arrived() {
        let (abandoned, sent) = (AbandonFlag::default(), AbandonFlag::default());
        assert_eq!(abandoned.abandon(), Executed::No);
        assert!(!abandoned.mark_sent());
        assert!(sent.mark_sent());
        assert_eq!(sent.abandon(), Executed::Maybe);
    }

    #[test]
    fn what_came_back_unsent_can_be_abandoned_or_sent_again() {
        let abandon_flag = AbandonFlag::default();
        assert!(abandon_flag.mark_sent());
        abandon_flag.mark_unsent();
        assert!(abandon_flag.mark_sent());
        abandon_flag.mark_unsent();
        assert_eq!(abandon_flag.abandon(), Executed::No);
    }
}
