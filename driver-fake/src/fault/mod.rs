//! What can go wrong, on purpose.

pub(crate) mod plan;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use oslo_messaging::{Address, Message};

use crate::broker::Shared;
use crate::state::BrokerState;
use crate::state::connection::{End, cut};
use crate::transport::FakeTransport;

/// At which instant a connection is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cut {
    /// Before the message leaves: the publish fails with `executed: No`.
    BeforeSend,
    /// After the message has arrived, before its confirm comes back: the publish fails with `executed: Maybe`.
    BeforeConfirm,
}

/// What happens to one publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// The broker confirms the message and then loses it, as a transient queue does when its node dies.
    Drop,
    /// The message, and its confirm, take this long. A publisher whose deadline comes first gets `Timeout` with
    /// `executed: Maybe`, and the message arrives all the same.
    Delay(Duration),
    /// The message arrives twice, neither copy marked as redelivered, as after a publisher sent it again.
    Duplicate,
    /// The message arrives after the next one that anybody publishes, or after this long if there is none.
    Reorder(Duration),
    /// The broker refuses the message with a negative confirm: `Refused`.
    Nack,
    /// The broker acts as if no queue were bound: `Undeliverable` if mandatory, or else the message vanishes.
    Return,
    /// The connection of the publisher is cut.
    Disconnect(Cut),
    /// The broker dies with the message on the way, and is there again at once: every connection is cut.
    Kill,
}

type Predicate = dyn Fn(&Address, &Message) -> bool + Send + Sync;

/// Which publishes meet a [`Fault`]. By default: the next one.
#[derive(Clone)]
pub struct Rule {
    fault: Fault,
    skip: u64,
    left: u64,
    matches: Arc<Predicate>,
}

impl Rule {
    /// The next publish meets `fault`.
    #[must_use]
    pub fn new(fault: Fault) -> Self {
        Self { fault, skip: 0, left: 1, matches: Arc::new(|_, _| true) }
    }

    /// Only publishes for which `matches` holds count. It must not use the broker.
    #[must_use]
    pub fn when(mut self, matches: impl Fn(&Address, &Message) -> bool + Send + Sync + 'static) -> Self {
        self.matches = Arc::new(matches);
        self
    }

    /// Spares the first `publishes` of them. Default: none.
    #[must_use]
    pub fn after(mut self, publishes: u64) -> Self {
        self.skip = publishes;
        self
    }

    /// Strikes this many times. Default: once.
    #[must_use]
    pub fn times(mut self, publishes: u64) -> Self {
        self.left = publishes;
        self
    }

    /// Strikes for ever.
    #[must_use]
    pub fn always(self) -> Self {
        self.times(u64::MAX)
    }

    pub(crate) fn fault(&self) -> Fault {
        self.fault
    }

    /// Counts a publish and says whether this rule strikes it; `taken` if another one already does.
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

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { fault, skip, left, matches: _ } = self;
        f.debug_struct("Rule").field("fault", fault).field("skip", skip).field("left", left).finish_non_exhaustive()
    }
}

/// The faults of one broker: by script, by seed, or at once.
///
/// A transport that is cut stays dead, unless it was only [interrupted](Faults::interrupt): its publishes and polls fail with `Disconnected`, its health is `Lost`, and what
/// it held unsettled is back in the queues, marked as redelivered. Open a new one. Queues, exchanges and messages
/// survive every fault but [`Fault::Drop`], as durable ones do.
#[derive(Debug, Clone)]
pub struct Faults(Arc<Shared>);

impl Faults {
    pub(crate) fn new(broker: Arc<Shared>) -> Self {
        Self(broker)
    }

    /// Adds `rule` to the script. Where several strike the same publish, the first one added does, and the others wait.
    pub fn add(&self, rule: Rule) {
        self.0.script.add(rule);
    }

    /// Lets `per_thousand` of a thousand publishes meet one of `faults`, the same ones for the same `seed` and the same
    /// order of publishes. Replaces what an earlier call asked for.
    pub fn at_random(&self, seed: u64, per_thousand: u16, faults: Vec<Fault>) {
        self.0.script.randomise(seed, per_thousand, faults);
    }

    /// Forgets the script and the seed. Messages on the way stay there; an alarm goes on.
    pub fn clear(&self) {
        self.0.script.clear();
    }

    /// How many publishes have met a fault of the script or of the seed.
    #[must_use]
    pub fn met(&self) -> u64 {
        self.0.script.met()
    }

    /// Raises a resource alarm: publishes wait, and fail with `Blocked` at their deadlines.
    pub fn block(&self, reason: &str) {
        self.0.with(|state| state.set_blocked(Some(reason.to_owned())));
    }

    /// Ends the alarm.
    pub fn unblock(&self) {
        self.0.with(|state| state.set_blocked(None));
    }

    /// Cuts one transport.
    pub fn disconnect(&self, transport: &FakeTransport) {
        self.0.with(|state| state.disconnect(transport.id(), &cut()));
    }

    /// Cuts every transport, each of which is connected again at once, as a driver that mends its connection is: listeners
    /// go on, what was handed over comes again, and what is in hand cannot be settled any more. A broker that restarts does the
    /// same to what is durable, as everything here is.
    pub fn interrupt(&self) {
        self.0.with(BrokerState::interrupt_all);
    }

    /// Kills the broker, which is there again at once: every transport is cut.
    pub fn kill(&self) {
        self.0.with(|state| state.disconnect_all(&killed()));
    }
}

/// The end that a killed broker brings to its connections.
pub(crate) fn killed() -> End {
    End::Lost("the broker was killed".to_owned())
}
