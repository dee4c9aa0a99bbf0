//! Connections: what a transport is to its broker, and how it ends.

use oslo_messaging::{Error, ErrorKind, Executed, Health, State};
use tokio::sync::watch;

use crate::state::BrokerState;
use crate::state::id::Id;

/// Why a connection or a channel has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// Its owner closed or dropped it.
    Closed,
    /// A fault cut it; the text says which.
    Lost(String),
}

impl End {
    /// The error of an `operation` that came too late, or was under way.
    pub(crate) fn error(&self, operation: &'static str) -> Error {
        match self {
            Self::Closed => Error::closed(operation),
            Self::Lost(reason) => Error::new(ErrorKind::Disconnected, operation).with("reason", reason),
        }
    }

    /// The same for an operation whose effect the other side may have seen.
    pub(crate) fn error_under_way(&self, operation: &'static str) -> Error {
        let error = self.error(operation);
        match self {
            Self::Closed => error,
            Self::Lost(_) => error.with_executed(Executed::Maybe),
        }
    }

    fn state(&self) -> State {
        match self {
            Self::Closed => State::Closed,
            Self::Lost(reason) => State::Lost { reason: reason.clone() },
        }
    }
}

/// The end of a connection that a fault cuts.
pub(crate) fn cut() -> End {
    End::Lost("the connection was cut".to_owned())
}

/// One transport, seen from the broker.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) end: Option<End>,
    pub(crate) channels: Vec<Id>,
    health: watch::Sender<Health>,
}

impl Connection {
    fn show(&self, state: State) {
        self.health.send_modify(|health| health.state = state);
    }

    /// Tells its health where what exists differs from what it would have declared.
    pub(crate) fn drift(&self, difference: String) {
        self.health.send_if_modified(|health| {
            let new = !health.drift.contains(&difference);
            if new {
                health.drift.push(difference);
            }
            new
        });
    }
}

/// Whether a publish can be taken now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    Open,
    Blocked,
}

impl BrokerState {
    /// Opens a connection, and returns where its health can be watched.
    pub(crate) fn connect(&mut self) -> (Id, watch::Receiver<Health>) {
        let (health, watched) = watch::channel(Health::new(self.ready_state()));
        let id = self.next_id();
        self.connections.insert(id, Connection { end: None, channels: Vec::new(), health });
        (id, watched)
    }

    /// Whether `connection` can publish now.
    pub(crate) fn admit(&self, connection: Id, operation: &'static str) -> Result<Admission, Error> {
        self.check_connection(connection, operation)?;
        Ok(if self.blocked.is_some() { Admission::Blocked } else { Admission::Open })
    }

    pub(crate) fn check_connection(&self, connection: Id, operation: &'static str) -> Result<(), Error> {
        match self.connections.get(&connection).map(|connection| &connection.end) {
            Some(None) => Ok(()),
            Some(Some(end)) => Err(end.error(operation)),
            None => Err(Error::closed(operation)),
        }
    }

    /// Ends `connection` and its channels: what they hold unsettled is requeued, their private queues start to expire.
    ///
    /// A connection that was lost can still be closed; nothing else changes an end.
    pub(crate) fn disconnect(&mut self, connection: Id, end: &End) {
        let Some(ending) = self.connections.get_mut(&connection) else { return };
        match ending.end {
            None => {}
            Some(End::Lost(_)) if *end == End::Closed => {}
            Some(_) => return,
        }
        ending.end = Some(end.clone());
        ending.show(end.state());
        for channel in std::mem::take(&mut ending.channels) {
            self.end_channel(channel, end);
        }
    }

    /// Cuts every connection that works.
    pub(crate) fn disconnect_all(&mut self, end: &End) {
        let mut working: Vec<Id> = self.connections.keys().copied().collect();
        working.sort_unstable();
        for connection in working {
            self.disconnect(connection, end);
        }
    }

    /// Cuts every connection that works, each of which is made again at once: channels and consumers go on, with nothing in
    /// hand.
    pub(crate) fn interrupt_all(&mut self) {
        let mut working: Vec<Id> = self.connections.keys().copied().collect();
        working.sort_unstable();
        let mut channels = Vec::new();
        for id in working {
            let ready = self.ready_state();
            let Some(connection) = self.connections.get(&id).filter(|connection| connection.end.is_none()) else {
                continue;
            };
            connection.show(cut().state());
            connection.show(ready);
            channels.extend(connection.channels.iter().copied());
        }
        for &channel in &channels {
            self.interrupt_channel(channel);
        }
        for queue in channels.iter().flat_map(|channel| self.queues_of(*channel)).collect::<Vec<_>>() {
            self.pump(queue);
        }
    }

    /// Raises an alarm, or ends it with `None`; every working connection sees it.
    pub(crate) fn set_blocked(&mut self, reason: Option<String>) {
        self.blocked = reason;
        let state = self.ready_state();
        for connection in self.connections.values().filter(|connection| connection.end.is_none()) {
            connection.show(state.clone());
        }
    }

    fn ready_state(&self) -> State {
        match &self.blocked {
            Some(reason) => State::Blocked { reason: reason.clone() },
            None => State::Ready,
        }
    }
}
