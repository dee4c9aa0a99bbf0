//! [`Faults`]: injects faults into a running broker, by rule, by seed or at once.

use std::sync::Arc;

use crate::fault::{Fault, FaultRule};
use crate::shared::Shared;
use crate::state::BrokerState;
use crate::state::connection::{cut, killed};
use crate::transport::FakeTransport;

/// The faults of one broker: by rule, by seed, or at once.
///
/// A transport that is cut stays dead unless it was only [interrupted](Faults::interrupt): publishes and
/// polls fail with `Disconnected`, its health is `Lost`, and its unsettled messages are back in their
/// queues, marked as redelivered. Open a new transport instead. Queues, exchanges and messages survive every
/// fault but [`Fault::Drop`], as durable ones do.
///
/// ```
/// use std::time::Duration;
///
/// use oslo_messaging::driver::{Address, Message, PublishOptions, Transport};
/// use oslo_messaging::{Deadline, ErrorKind};
/// use oslo_messaging_fake::{FakeBroker, Fault, FaultRule};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let broker = FakeBroker::new();
/// broker.faults().add(FaultRule::new(Fault::Nack).after(1));
///
/// let transport = broker.transport();
/// let to = Address::Queue { name: "orders".into() };
/// let options = PublishOptions::by(Deadline::after(Duration::from_secs(5)));
/// transport.publish(&to, Message::new("first"), &options).await.expect("the rule lets one publish pass");
/// let error = transport.publish(&to, Message::new("second"), &options).await.unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Refused);
/// assert_eq!(broker.faults().met(), 1);
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Faults(Arc<Shared>);

impl Faults {
    pub(crate) fn new(broker: Arc<Shared>) -> Self {
        Self(broker)
    }

    /// Adds `rule` to the plan. If several rules match one publish, the first one added applies; it does not use up the
    /// [`times`](FaultRule::times) of the others.
    pub fn add(&self, rule: FaultRule) {
        self.0.faults.add(rule);
    }

    /// Applies one of `faults` to `per_thousand` of a thousand publishes. The same `seed` and the same order of
    /// publishes give the same faults. Replaces the arguments of an earlier call.
    pub fn at_random(&self, seed: u64, per_thousand: u16, faults: Vec<Fault>) {
        self.0.faults.randomise(seed, per_thousand, faults);
    }

    /// Removes every rule and the seed. Delayed messages stay delayed; an alarm stays raised.
    pub fn clear(&self) {
        self.0.faults.clear();
    }

    /// How many publishes met a fault of a rule or of the seed. [`clear`](Self::clear) does not reset it.
    #[must_use]
    pub fn met(&self) -> u64 {
        self.0.faults.met()
    }

    /// Raises a resource alarm: publishes wait, and fail with `Blocked` at their deadline.
    pub fn block(&self, reason: &str) {
        self.0.with(|state| state.set_blocked(Some(reason.to_owned())));
    }

    /// Ends the alarm; waiting publishes continue.
    pub fn unblock(&self) {
        self.0.with(|state| state.set_blocked(None));
    }

    /// Cuts one transport for good: its listeners end, and their unsettled messages return to their queues.
    pub fn disconnect(&self, transport: &FakeTransport) {
        self.0.with(|state| state.disconnect(transport.id(), &cut()));
    }

    /// Cuts every transport and reconnects it at once, as a driver does that restores its connection. Listeners
    /// continue, unsettled messages are delivered again, and the old deliveries cannot be settled any more. A broker
    /// restart has the same effect, because everything in this broker is durable.
    pub fn interrupt(&self) {
        self.0.with(BrokerState::interrupt_all);
    }

    /// Kills and restarts the broker: every transport is cut for good.
    pub fn kill(&self) {
        self.0.with(|state| state.disconnect_all(&killed()));
    }
}
