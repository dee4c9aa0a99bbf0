//! Reports the health of a transport: to subscribers, to the log and as a metric.

use std::sync::{Mutex, MutexGuard, PoisonError};

use metrics::{Gauge, gauge};
use oslo_messaging::driver::UnhealthyPart;
use oslo_messaging::{Health, State};
use tokio::sync::watch;
use tracing::{info, warn};

/// The health of a transport: the state of its link,
/// unless a listener cannot resubscribe, which makes a working link `Lost`.
///
/// The supervisor sets the state of the link; the recoveries set the parts. Both may do so at the same time.
/// The gauge counts an open transport in exactly one state.
#[derive(Debug)]
pub(crate) struct HealthReporter {
    /// What subscribers see. Only `publish` and `warn_of_drift` change it.
    health: watch::Sender<Health>,
    /// The sources of the state. The lock orders reports, and is never held across an await.
    parts: Mutex<Parts>,
}

/// The two sources of the state: the supervisor and the recoveries. Neither overwrites the other's part.
#[derive(Debug)]
struct Parts {
    /// The state of the link alone, without regard to listeners.
    link: State,
    /// The unhealthy listeners with their ids, in the order in which they failed.
    /// Rarely more than a few, so a search by id is fine.
    unhealthy: Vec<(u64, UnhealthyPart)>,
}

impl HealthReporter {
    /// For a transport whose first link is open. It counts in the gauge from here on.
    pub(crate) fn ready() -> Self {
        let parts = Parts { link: State::Ready, unhealthy: Vec::new() };
        gauge_of(&State::Ready).increment(1);
        Self { health: watch::Sender::new(Health::new(State::Ready)), parts: Mutex::new(parts) }
    }

    /// The receiver starts with the current health, and sees only the latest of several changes.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }

    /// Sets the state of the link. `Closed` is final. Only the link can close the transport.
    /// Unhealthy listeners do not change a state other than `Ready`.
    pub(crate) fn set_link_state(&self, state: State) {
        let mut parts = self.parts();
        // A late event of the supervisor must not reopen it.
        if parts.link != State::Closed {
            parts.link = state;
        }
        self.publish(&parts);
    }

    /// Sets or, with `None`, clears the reason why the listener of this id is unhealthy.
    /// The first unhealthy listener determines the reason of the state. A repeated report keeps its place in the order.
    ///
    /// `number` is the id of the listener at the resubscribe barrier.
    pub(crate) fn set_part(&self, number: u64, unhealthy: Option<UnhealthyPart>) {
        let mut parts = self.parts();
        // In place: a listener that fails again must not move behind one that failed later.
        let known = parts.unhealthy.iter().position(|(known, _)| *known == number);
        match (known, unhealthy) {
            (Some(index), Some(part)) => parts.unhealthy[index].1 = part,
            (Some(index), None) => drop(parts.unhealthy.remove(index)),
            (None, Some(part)) => parts.unhealthy.push((number, part)),
            (None, None) => {}
        }
        self.publish(&parts);
    }

    /// Adds an object that differs from its declaration to the health, and logs it once. The text is the broker's.
    /// It is never removed, because the object stays as it is until an operator deletes it.
    pub(crate) fn warn_of_drift(&self, text: String) {
        self.health.send_if_modified(|health| {
            let new = !health.drift.contains(&text);
            if new {
                warn!(
                    drift = text,
                    "an existing queue or exchange differs from the declaration; the driver uses it as it is"
                );
                health.drift.push(text);
            }
            new
        });
    }

    /// The caller holds the lock, so an earlier state cannot overwrite a later one.
    ///
    /// Wakes subscribers only if the state or the list changed.
    /// The gauge moves with the state, so its sum is the number of open transports.
    fn publish(&self, parts: &Parts) {
        let state = parts.state();
        let unhealthy = || parts.unhealthy.iter().map(|(_, part)| part);
        self.health.send_if_modified(|health| {
            let changed = !health.unhealthy.iter().eq(unhealthy());
            if changed {
                health.unhealthy = unhealthy().cloned().collect();
            }
            let new = health.state != state;
            if new {
                info!(?state, "the transport changed its state");
                gauge_of(&health.state).decrement(1);
                gauge_of(&state).increment(1);
                health.state = state;
            }
            new || changed
        });
    }

    /// A panic while it is held leaves a state that was valid, so poison is ignored.
    fn parts(&self) -> MutexGuard<'_, Parts> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The gauge of the transports of this process in `state`. Closed ones are not counted.
/// The name and the label are part of the interface; the crate documentation lists them.
fn gauge_of(state: &State) -> Gauge {
    let state = match state {
        State::Connecting => "connecting",
        State::Ready => "ready",
        State::Blocked { .. } => "blocked",
        State::Lost { .. } => "lost",
        _ => return Gauge::noop(),
    };
    gauge!("oslo_messaging_amqp_transports", "state" => state)
}

impl Parts {
    /// A listener that cannot resubscribe makes a working link `Lost`.
    /// Any other state of the link says more than that.
    fn state(&self) -> State {
        match (&self.link, self.unhealthy.first()) {
            (State::Ready, Some((_, part))) => State::Lost { reason: part.reason.clone() },
            (link, _) => link.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_that_cannot_come_back_is_seen_until_it_can_and_closed_is_the_end() {
        let status = HealthReporter::ready();
        let state = || status.subscribe().borrow().state.clone();
        status.set_part(1, Some(UnhealthyPart::new("listener", "locked")));
        assert_eq!(state(), State::Lost { reason: "locked".into() });
        status.set_link_state(State::Blocked { reason: "memory".into() });
        assert_eq!(state(), State::Blocked { reason: "memory".into() });
        status.set_link_state(State::Ready);
        status.set_part(1, None);
        assert_eq!(state(), State::Ready);
        status.set_link_state(State::Closed);
        status.set_link_state(State::Ready);
        assert_eq!(state(), State::Closed);
    }

    #[test]
    fn the_parts_that_do_not_work_are_listed_in_the_order_in_which_they_failed() {
        let status = HealthReporter::ready();
        let mut health = status.subscribe();
        let mut parts = || {
            let changed = health.has_changed().unwrap();
            let parts: Vec<_> = health.borrow_and_update().unhealthy.clone();
            (changed, parts)
        };
        let part = |name: &str, reason: &str| UnhealthyPart::new(name, reason);
        status.set_part(2, Some(part("listener of topic b", "locked")));
        status.set_part(1, Some(part("listener of topic a", "denied")));
        assert_eq!(parts(), (true, vec![part("listener of topic b", "locked"), part("listener of topic a", "denied")]));
        status.set_part(2, Some(part("listener of topic b", "gone")));
        assert_eq!(parts(), (true, vec![part("listener of topic b", "gone"), part("listener of topic a", "denied")]));
        status.set_part(2, Some(part("listener of topic b", "gone")));
        assert!(!parts().0, "the same again is no news");
        status.set_part(2, None);
        assert_eq!(parts(), (true, vec![part("listener of topic a", "denied")]));
    }
}
