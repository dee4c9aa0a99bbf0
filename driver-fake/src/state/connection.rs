//! Connections: the broker's side of a transport, and how it ends.

use oslo_messaging::{Error, ErrorKind, Executed, Health, State};
use tokio::sync::watch;

use crate::state::BrokerState;
use crate::state::id::Id;

/// The end of a connection or a channel: by its owner, or by a fault.
///
/// Decides the error kind of later operations and the final health.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum EndReason {
    /// Its owner closed or dropped it.
    Closed,
    /// A fault cut it; the text names the fault.
    Lost(String),
}

impl EndReason {
    /// The error of an `operation` that was called after the end: it had no effect.
    pub(crate) fn error(&self, operation: &'static str) -> Error {
        match self {
            Self::Closed => Error::closed(operation).with_executed(Executed::No),
            Self::Lost(reason) => Error::new(ErrorKind::Disconnected, operation)
                .with_executed(Executed::No)
                .with_context("reason", reason),
        }
    }

    /// The error of an `operation` that the end interrupted: it may have had its effect.
    pub(crate) fn error_in_flight(&self, operation: &'static str) -> Error {
        let error = self.error(operation);
        match self {
            Self::Closed => error,
            Self::Lost(_) => error.with_executed(Executed::Maybe),
        }
    }

    /// The last state that watchers of the health get.
    fn state(&self) -> State {
        match self {
            Self::Closed => State::Closed,
            Self::Lost(reason) => State::Lost { reason: reason.clone() },
        }
    }
}

/// Why the connection of a cut transport ended: lost, so what was in flight may have had its effect.
pub(crate) fn cut() -> EndReason {
    EndReason::Lost("the connection was cut".to_owned())
}

/// Why the connections of a killed broker ended: lost, so what was in flight may have had its effect.
pub(crate) fn killed() -> EndReason {
    EndReason::Lost("the broker was killed".to_owned())
}

/// One transport, as the broker sees it.
///
/// Kept until the transport is dropped, so that later operations get the reason of its end.
#[derive(Debug)]
pub(crate) struct Connection {
    /// `None` while the connection works.
    pub(crate) end: Option<EndReason>,
    /// Its open channels, oldest first. They end with the connection.
    pub(crate) channels: Vec<Id>,
    /// Dropped with the connection; receivers keep the last value.
    health: watch::Sender<Health>,
}

impl Connection {
    /// Notifies every watcher of the health, also if the state is the same.
    fn publish_state(&self, state: State) {
        self.health.send_modify(|health| health.state = state);
    }

    /// Adds to the health of the transport how an existing queue differs from the one it would have declared.
    /// Watchers are notified once for each difference.
    pub(crate) fn report_drift(&self, difference: String) {
        self.health.send_if_modified(|health| {
            let new = !health.drift.contains(&difference);
            if new {
                health.drift.push(difference);
            }
            new
        });
    }
}

/// Whether the broker accepts publishes now.
///
/// Subscriptions and settlements are not affected by an alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    Open,
    Blocked,
}

impl BrokerState {
    /// Opens a connection; the receiver reports its health.
    ///
    /// The first state is `Ready`, or `Blocked` during an alarm.
    pub(crate) fn connect(&mut self) -> (Id, watch::Receiver<Health>) {
        let (health, watched) = watch::channel(Health::new(self.ready_state()));
        let id = self.next_id();
        self.connections.insert(id, Connection { end: None, channels: Vec::new(), health });
        (id, watched)
    }

    /// `Blocked` while an alarm is raised, which holds up every connection of the broker.
    ///
    /// Fails with `Closed` or `Disconnected` if the connection has ended.
    pub(crate) fn admit(&self, connection: Id, operation: &'static str) -> Result<Admission, Error> {
        self.check_connection(connection, operation)?;
        Ok(if self.blocked.is_some() { Admission::Blocked } else { Admission::Open })
    }

    /// Fails with `Closed` or `Disconnected`, by the reason of the connection's end.
    ///
    /// A connection whose transport was dropped is forgotten, and counts as closed.
    pub(crate) fn check_connection(&self, connection: Id, operation: &'static str) -> Result<(), Error> {
        match self.connections.get(&connection).map(|connection| &connection.end) {
            Some(None) => Ok(()),
            Some(Some(end)) => Err(end.error(operation)),
            None => Err(Error::closed(operation).with_executed(Executed::No)),
        }
    }

    /// Ends `connection` and its channels: their unsettled messages are requeued, their private queues start to expire.
    ///
    /// A lost connection can still be closed, which changes its reason; any other second end has no effect.
    pub(crate) fn disconnect(&mut self, connection: Id, end: &EndReason) {
        let Some(ending) = self.connections.get_mut(&connection) else { return };
        match ending.end {
            None => {}
            Some(EndReason::Lost(_)) if *end == EndReason::Closed => {}
            Some(_) => return,
        }
        ending.end = Some(end.clone());
        ending.publish_state(end.state());
        for channel in std::mem::take(&mut ending.channels) {
            self.end_channel(channel, end);
        }
    }

    /// Ends every working connection, in the order in which they were opened.
    ///
    /// A fixed order makes the positions of requeued messages, and so every test, reproducible.
    pub(crate) fn disconnect_all(&mut self, end: &EndReason) {
        let mut working: Vec<Id> = self.connections.keys().copied().collect();
        working.sort_unstable();
        for connection in working {
            self.disconnect(connection, end);
        }
    }

    /// Cuts and restores every working connection: channels and consumers continue, without unsettled messages.
    ///
    /// Watchers of the health may see `Lost` or only the final `Ready`: a watch channel keeps the last value.
    pub(crate) fn interrupt_all(&mut self) {
        let mut working: Vec<Id> = self.connections.keys().copied().collect();
        working.sort_unstable();
        let mut channels = Vec::new();
        for id in working {
            let ready = self.ready_state();
            let Some(connection) = self.connections.get(&id).filter(|connection| connection.end.is_none()) else {
                continue;
            };
            connection.publish_state(cut().state());
            connection.publish_state(ready);
            channels.extend(connection.channels.iter().copied());
        }
        for &channel in &channels {
            self.interrupt_channel(channel);
        }
        for queue in channels.iter().flat_map(|channel| self.queues_of(*channel)).collect::<Vec<_>>() {
            self.deliver_ready(queue);
        }
    }

    /// Raises an alarm, or ends it with `None`; the health of every working connection reports it.
    ///
    /// Connections that open later see it too.
    pub(crate) fn set_blocked(&mut self, reason: Option<String>) {
        self.blocked = reason;
        let state = self.ready_state();
        for connection in self.connections.values().filter(|connection| connection.end.is_none()) {
            connection.publish_state(state.clone());
        }
    }

    /// `Blocked` while an alarm is raised, else `Ready`.
    fn ready_state(&self) -> State {
        match &self.blocked {
            Some(reason) => State::Blocked { reason: reason.clone() },
            None => State::Ready,
        }
    }
}
