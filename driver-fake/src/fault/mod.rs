//! Faults that a publish can meet, and the rules that select the publishes.

pub(crate) mod plan;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use oslo_messaging::driver::{Address, Message};

/// When the publisher's connection is cut, relative to its message.
///
/// In both cases the transport stays dead, and its unsettled messages are requeued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cut {
    /// Before the message is sent: the publish fails with `executed: No`.
    BeforeSend,
    /// After the message arrived, before its confirm returns: the publish fails with `executed: Maybe`.
    BeforeConfirm,
}

/// What happens to one publish. Each fault is something that RabbitMQ or the network can do.
///
/// [`Faults::add`](crate::Faults::add) injects one by a rule; [`Faults::at_random`](crate::Faults::at_random) injects
/// several by a seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// The broker confirms the message and loses it, as a transient queue does when its node dies.
    Drop,
    /// The message and its confirm take this long. A publisher whose deadline passes first gets `Timeout` with
    /// `executed: Maybe`; the message still arrives.
    Delay(Duration),
    /// The message arrives twice and neither copy is marked as redelivered, as after a publisher's retry.
    Duplicate,
    /// The message is confirmed, but arrives after the next message of any
    /// publisher, or after this long if there is none.
    Reorder(Duration),
    /// The broker answers with `basic.nack`: the publish fails with `Refused`.
    Nack,
    /// The broker acts as if no queue were bound: a mandatory publish fails with `Undeliverable`,
    /// any other one succeeds and its message is lost.
    Return,
    /// The publisher's connection is cut before its message leaves, or before its confirm arrives.
    Disconnect(Cut),
    /// The broker restarts while the message is in flight: every connection is cut and the message is lost.
    Kill,
}

/// User code: it runs under the lock of the rules, never under that of the broker.
type Predicate = dyn Fn(&Address, &Message) -> bool + Send + Sync;

/// Which publishes meet a [`Fault`]. Default: the next one.
///
/// Rules count publishes of every transport of the broker, in the order in which they begin.
#[derive(Clone)]
pub struct FaultRule {
    /// Fixed when the rule is made; the other fields select the publishes that meet it.
    fault: Fault,
    /// How many matching publishes to let pass before the first one meets the fault.
    skip: u64,
    /// How many publishes it still applies to; at zero the rule is over.
    left: u64,
    /// Which publishes the rule counts; the others pass.
    matches: Arc<Predicate>,
}

impl FaultRule {
    /// Applies `fault` to the next publish of any transport, and then to none.
    #[must_use]
    pub fn new(fault: Fault) -> Self {
        Self { fault, skip: 0, left: 1, matches: Arc::new(|_, _| true) }
    }

    /// Counts only publishes for which `matches` returns `true`. The predicate must
    /// not use the broker, whose publish waits for it.
    ///
    /// The predicate sees the address and the message as the publisher passed them. Calling this again replaces it.
    #[must_use]
    pub fn when(mut self, matches: impl Fn(&Address, &Message) -> bool + Send + Sync + 'static) -> Self {
        self.matches = Arc::new(matches);
        self
    }

    /// Lets the first `publishes` matching ones pass. Default: 0.
    ///
    /// Only publishes that match count.
    #[must_use]
    pub fn after(mut self, publishes: u64) -> Self {
        self.skip = publishes;
        self
    }

    /// Applies to this many publishes. Default: 1.
    ///
    /// After that the rule has no effect.
    #[must_use]
    pub fn times(mut self, publishes: u64) -> Self {
        self.left = publishes;
        self
    }

    /// Applies to every matching publish that [`after`](Self::after) does not let pass, without an end.
    #[must_use]
    pub fn always(self) -> Self {
        self.times(u64::MAX)
    }

    pub(crate) fn fault(&self) -> Fault {
        self.fault
    }

    /// Counts a publish and returns whether this rule applies to it. It does
    /// not if `taken`: an earlier rule already applies.
    pub(crate) fn is_due(&mut self, to: &Address, message: &Message, taken: bool) -> bool {
        if self.left == 0 || !(self.matches)(to, message) {
            return false;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        if !taken {
            self.left -= 1;
        }
        !taken
    }
}

impl fmt::Debug for FaultRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { fault, skip, left, matches: _ } = self;
        f.debug_struct("FaultRule")
            .field("fault", fault)
            .field("skip", skip)
            .field("left", left)
            .finish_non_exhaustive()
    }
}
