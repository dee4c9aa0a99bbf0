//! What is known of a transport's state, for everybody who asks.

use oslo_messaging::{Error, ErrorKind, Health, State};
use tokio::sync::watch;
use tracing::{info, warn};

/// The state of a transport: changed by the connections' watchers, read by every operation.
#[derive(Debug)]
pub(crate) struct Status(watch::Sender<Health>);

impl Status {
    pub(crate) fn ready() -> Self {
        Self(watch::Sender::new(Health::new(State::Ready)))
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Health> {
        self.0.subscribe()
    }

    /// Moves to `state`; what is closed or lost stays so.
    pub(crate) fn enter(&self, state: State) {
        self.0.send_if_modified(|health| {
            let last = match (&health.state, &state) {
                (State::Closed, _) => true,
                (State::Lost { .. }, new) => *new != State::Closed,
                _ => false,
            };
            if last || health.state == state {
                return false;
            }
            info!(?state, "the state of the AMQP transport has changed");
            health.state = state;
            true
        });
    }

    /// Warns once of an object that exists in another form than ours.
    pub(crate) fn warn_of_drift(&self, text: String) {
        self.0.send_if_modified(|health| {
            let new = !health.drift.contains(&text);
            if new {
                warn!(drift = text, "an object of the broker differs from our declaration and is used as it is");
                health.drift.push(text);
            }
            new
        });
    }

    /// Why nothing can be done any more, if that is so.
    ///
    /// # Errors
    /// `Closed` or `Disconnected`.
    pub(crate) fn check(&self, operation: &'static str) -> Result<(), Error> {
        match &self.0.borrow().state {
            State::Lost { reason } => {
                Err(Error::new(ErrorKind::Disconnected, operation).transient().with("reason", reason))
            }
            State::Closed => Err(Error::closed(operation)),
            _ => Ok(()),
        }
    }

    /// What the broker said when it stopped taking publishes.
    pub(crate) fn blocked(&self) -> Option<String> {
        match &self.0.borrow().state {
            State::Blocked { reason } => Some(reason.clone()),
            _ => None,
        }
    }
}
