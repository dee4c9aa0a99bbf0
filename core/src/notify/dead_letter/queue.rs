//! What is known of one dead-letter queue: its name, whether it takes events, and what the health of the bus says about it.
//!
//! A queue is healthy, undeclared, or refusing. Events that wait to be moved watch the condition and try again when
//! it becomes healthy; the health of the bus names the queue meanwhile.

use tokio::sync::watch;

use crate::Error;
use crate::bus::health::{BusHealth, HealthPart};

/// What the name of a dead-letter queue ends in, behind the name of its queue.
const SUFFIX: &str = ".dead";

/// The state of the dead-letter queue of one queue that a listener reads.
#[derive(Debug)]
pub(crate) struct DeadLetterQueue {
    condition: watch::Sender<Condition>,
    /// Unhealthy while the dead-letter queue takes no events.
    health: HealthPart,
    /// Unhealthy while events that cannot be moved fill the listener's window.
    listener: HealthPart,
}

/// Waits for a queue to take events again.
#[derive(Debug)]
pub(crate) struct Recovery(watch::Receiver<Condition>);

/// What the last declaration or move showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Condition {
    Works,
    /// It could not be declared when the listener started.
    Undeclared,
    /// It did not take an event.
    Refuses,
}

/// The name of the queue that the given-up events of `queue` go to: `<queue>.dead`.
pub(crate) fn queue_of(queue: &str) -> String {
    format!("{queue}{SUFFIX}")
}

impl DeadLetterQueue {
    /// The dead-letter queue of `queue`, which is taken to work.
    pub(crate) fn new(queue: &str, health: &BusHealth) -> Self {
        Self {
            condition: watch::Sender::new(Condition::Works),
            health: health.part(format!("dead letters of {queue}")),
            listener: health.part(format!("listener of {queue}")),
        }
    }

    /// Whether the last declaration or move failed.
    pub(crate) fn is_broken(&self) -> bool {
        *self.condition.borrow() != Condition::Works
    }

    /// Whether it could not be declared, and nothing was tried since.
    pub(crate) fn is_undeclared(&self) -> bool {
        *self.condition.borrow() == Condition::Undeclared
    }

    /// Notes that it could not be declared, and names it in the health of the bus.
    pub(crate) fn set_undeclared(&self, error: &Error) {
        self.health.set_unhealthy(error.to_string());
        self.condition.send_replace(Condition::Undeclared);
    }

    /// Notes that it did not take an event; whether that is new.
    pub(crate) fn fail(&self, error: &Error) -> bool {
        self.health.set_unhealthy(error.to_string());
        self.condition.send_replace(Condition::Refuses) != Condition::Refuses
    }

    /// Notes that it takes events; whether that is new.
    pub(crate) fn recover(&self) -> bool {
        let before = self.condition.send_replace(Condition::Works);
        if before == Condition::Works {
            return false;
        }
        self.health.clear();
        self.listener.clear();
        true
    }

    /// Notes that events which it did not take cannot leave the listener's window either; whether that is new.
    pub(crate) fn stands_still(&self, error: &Error) -> bool {
        self.listener.set_unhealthy(format!("it stands still: {error}"))
    }

    /// Notes that such an event has left the window: the listener is healthy again.
    pub(crate) fn moves_on(&self) {
        self.listener.clear();
    }

    /// A watch that misses no recovery from now on.
    pub(crate) fn watch(&self) -> Recovery {
        Recovery(self.condition.subscribe())
    }
}

impl Recovery {
    /// Waits until the queue fails, unless it has failed already, and then until it works again.
    pub(crate) async fn recovered(&mut self) {
        // It fails only if the queue is gone, and then nothing waits for it.
        let _ = self.0.wait_for(|condition| *condition != Condition::Works).await;
        if self.0.wait_for(|condition| *condition == Condition::Works).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
