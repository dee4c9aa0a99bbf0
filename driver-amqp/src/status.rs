//! What is known of a transport's state, for everybody who asks.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use metrics::{Gauge, gauge};
use oslo_messaging::{Health, State};
use tokio::sync::watch;
use tracing::{info, warn};

/// The state of a transport: that of its link, unless a listener cannot come back on it.
#[derive(Debug)]
pub(crate) struct Status {
    health: watch::Sender<Health>,
    parts: Mutex<Parts>,
}

#[derive(Debug)]
struct Parts {
    link: State,
    /// Why listeners cannot come back, by their numbers.
    ailing: BTreeMap<u64, String>,
}

impl Status {
    pub(crate) fn ready() -> Self {
        let parts = Parts { link: State::Ready, ailing: BTreeMap::new() };
        gauge_of(&State::Ready).increment(1);
        Self { health: watch::Sender::new(Health::new(State::Ready)), parts: Mutex::new(parts) }
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }

    /// The link moves to `state`; what is closed stays so.
    pub(crate) fn enter(&self, state: State) {
        let mut parts = self.parts();
        if parts.link != State::Closed {
            parts.link = state;
        }
        self.publish(&parts);
    }

    /// A listener cannot come back, or can again.
    pub(crate) fn ails(&self, listener: u64, reason: Option<String>) {
        let mut parts = self.parts();
        match reason {
            Some(reason) => drop(parts.ailing.insert(listener, reason)),
            None => drop(parts.ailing.remove(&listener)),
        }
        self.publish(&parts);
    }

    /// Warns once of an object that exists in another form than ours.
    pub(crate) fn warn_of_drift(&self, text: String) {
        self.health.send_if_modified(|health| {
            let new = !health.drift.contains(&text);
            if new {
                warn!(drift = text, "an object of the broker differs from our declaration and is used as it is");
                health.drift.push(text);
            }
            new
        });
    }

    /// The lock is held meanwhile, so that no later state is overtaken by an earlier one.
    fn publish(&self, parts: &Parts) {
        let state = parts.state();
        self.health.send_if_modified(|health| {
            let new = health.state != state;
            if new {
                info!(?state, "the state of the AMQP transport has changed");
                gauge_of(&health.state).decrement(1);
                gauge_of(&state).increment(1);
                health.state = state;
            }
            new
        });
    }

    fn parts(&self) -> MutexGuard<'_, Parts> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many transports of this process are in `state`. What is closed is none any more.
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
    fn state(&self) -> State {
        match (&self.link, self.ailing.values().next()) {
            (State::Ready, Some(reason)) => State::Lost { reason: reason.clone() },
            (link, _) => link.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_that_cannot_come_back_is_seen_until_it_can_and_closed_is_the_end() {
        let status = Status::ready();
        let state = || status.subscribe().borrow().state.clone();
        status.ails(1, Some("locked".into()));
        assert_eq!(state(), State::Lost { reason: "locked".into() });
        status.enter(State::Blocked { reason: "memory".into() });
        assert_eq!(state(), State::Blocked { reason: "memory".into() });
        status.enter(State::Ready);
        status.ails(1, None);
        assert_eq!(state(), State::Ready);
        status.enter(State::Closed);
        status.enter(State::Ready);
        assert_eq!(state(), State::Closed);
    }
}
