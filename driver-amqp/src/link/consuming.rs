//! The connections of a link that consume: one, and more when its channels run out.
//!
//! RabbitMQ grants a connection 2,047 channels by default, and each listener needs one of its own. The declarations use
//! the first connection alone, so a part of each connection's channels is kept back for them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use oslo_messaging::{Deadline, Error, ErrorKind, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tracing::info;

use crate::connection::Connection;
use crate::errors::lost;

/// How many declarations may be under way at once. More would gain nothing: the broker performs them one after the
/// other, and each takes a channel.
const DECLARATIONS: usize = 64;

const OPERATION: &str = "open another connection";

/// lapin's events of one connection, and `None` when there will be no more.
pub(crate) type ConnectionEvents = BoxStream<'static, Option<lapin::Event>>;

/// The consuming connections of one link. They are lost together, and with the link.
#[derive(Debug)]
pub(crate) struct ConsumingConnections {
    first: Seats,
    /// Held while a connection is opened, so that many listeners that start together open one.
    opening: tokio::sync::Mutex<()>,
    others: Mutex<OtherConnections>,
    /// Tells the supervisor of each new connection.
    opened: mpsc::UnboundedSender<ConnectionEvents>,
    /// A turn of a declaration on the first connection.
    declarations: Arc<Semaphore>,
}

/// A connection with the channels that listeners may open on it.
#[derive(Debug, Clone)]
struct Seats {
    connection: Arc<Connection>,
    free: Arc<Semaphore>,
}

/// The connections after the first.
#[derive(Debug, Default)]
struct OtherConnections {
    connections: Vec<Seats>,
    /// From [`ConsumingConnections::abandon`] or `keep_channels` on: a connection that was being opened comes too late.
    ended: bool,
}

/// A connection with room for one listener. The room is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) connection: Arc<Connection>,
    _place: OwnedSemaphorePermit,
}

impl ConsumingConnections {
    /// The first connection, and the events of this one and of each that is opened later.
    pub(crate) fn new(first: Connection) -> (Self, mpsc::UnboundedReceiver<ConnectionEvents>) {
        let (opened, events) = mpsc::unbounded_channel();
        let declarations = Arc::new(Semaphore::new(declarations(first.channel_max())));
        let (opening, others) = (tokio::sync::Mutex::default(), Mutex::default());
        let connections = Self { first: Seats::of(first), opening, others, opened, declarations };
        connections.watch(connections.first());
        (connections, events)
    }

    /// The connection for declarations.
    pub(crate) fn first(&self) -> &Connection {
        &self.first.connection
    }

    /// A turn for a channel of declarations on the first connection: so many declare at once, the others wait.
    ///
    /// # Cancellation
    /// Leaves the queue of those that wait.
    pub(crate) async fn declaring(&self) -> OwnedSemaphorePermit {
        // The semaphore is never closed.
        Arc::clone(&self.declarations).acquire_owned().await.expect("the semaphore is open")
    }

    /// A place for a listener on a connection that has a channel for it. Opens another connection if none has.
    ///
    /// # Errors
    /// `Refused`, transient, with the reason if another connection cannot be opened; `Disconnected` if the link is lost or
    /// closed meanwhile.
    ///
    /// # Cancellation
    /// A connection that was being opened is dropped.
    pub(crate) async fn seat(&self, deadline: Deadline) -> Result<Seat> {
        if let Some(seat) = self.free_seat() {
            return Ok(seat);
        }
        let _turn = self.opening.lock().await;
        // Another listener may have opened one while this one waited.
        if let Some(seat) = self.free_seat() {
            return Ok(seat);
        }
        let opened = self.first().open_another(deadline).await;
        // The link itself is well, so this is no `Disconnected`.
        let refused = |error| Error::new(ErrorKind::Refused, OPERATION).transient().with_source(error);
        let seats = Seats::of(opened.map_err(refused)?);
        let seat = seats.take().expect("a new connection has room");
        {
            let mut others = self.others();
            if others.ended {
                return Err(lost(OPERATION, "the link ended").with_context("host", self.first().host()));
            }
            others.connections.push(seats);
            info!(
                host = self.first().host(),
                connections = others.connections.len() + 1,
                "the driver opened one more connection for listeners, because the others have no channel left"
            );
        }
        self.watch(&seat.connection);
        Ok(seat)
    }

    /// Whether every one is open, by lapin's view, which may lag behind the sockets.
    pub(crate) fn are_connected(&self) -> bool {
        self.all().iter().all(|connection| connection.is_connected())
    }

    /// Shuts the sockets without an AMQP close. Final, and it may be called repeatedly.
    pub(crate) fn abandon(&self) {
        self.others().ended = true;
        self.all().iter().for_each(|connection| connection.abandon());
    }

    /// From now on keeps the channels that are dropped and opens no connection, because [`close`](Self::close) is next.
    pub(crate) fn keep_channels(&self) {
        self.others().ended = true;
        self.all().iter().for_each(|connection| connection.keep_channels());
    }

    /// Closes all at the same time, so a silent broker costs one timeout.
    ///
    /// # Errors
    /// The first `Timeout` of [`Connection::close`]; every socket is shut anyway.
    ///
    /// # Cancellation
    /// The sockets stay open until the link is dropped.
    pub(crate) async fn close(&self, deadline: Deadline) -> Result<()> {
        let all = self.all();
        let closing = all.iter().map(|connection| connection.close(deadline));
        futures_util::future::join_all(closing).await.into_iter().collect()
    }

    fn free_seat(&self) -> Option<Seat> {
        self.first.take().or_else(|| self.others().connections.iter().find_map(Seats::take))
    }

    fn watch(&self, connection: &Connection) {
        let end = stream::once(std::future::ready(None));
        // It fails after the supervisor has dropped the link, which then needs no watching.
        let _ = self.opened.send(connection.events().map(Some).chain(end).boxed());
    }

    fn all(&self) -> Vec<Arc<Connection>> {
        let others = self.others();
        let seats = std::iter::once(&self.first).chain(&others.connections);
        seats.map(|seats| Arc::clone(&seats.connection)).collect()
    }

    /// A panic while it is held leaves the list usable, so poison is ignored.
    fn others(&self) -> MutexGuard<'_, OtherConnections> {
        self.others.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seats {
    fn of(connection: Connection) -> Self {
        let free = Arc::new(Semaphore::new(seats(connection.channel_max())));
        Self { connection: Arc::new(connection), free }
    }

    fn take(&self) -> Option<Seat> {
        let place = Arc::clone(&self.free).try_acquire_owned().ok()?;
        Some(Seat { connection: Arc::clone(&self.connection), _place: place })
    }
}

/// How many of `channel_max` channels listeners may use: three quarters. The rest is for declarations, for channels
/// that are being closed, and for numbers that lapin cannot use again.
fn seats(channel_max: u16) -> usize {
    (usize::from(channel_max) * 3 / 4).max(1)
}

/// Half of what listeners leave, because a channel that is being closed still has its number.
fn declarations(channel_max: u16) -> usize {
    let left = usize::from(channel_max).saturating_sub(seats(channel_max));
    (left / 2).clamp(1, DECLARATIONS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_leave_channels_for_declarations() {
        for (channel_max, listeners, declaring) in [(2_047, 1_535, 64), (u16::MAX, 49_151, 64), (8, 6, 1), (1, 1, 1)] {
            assert_eq!((seats(channel_max), declarations(channel_max)), (listeners, declaring), "{channel_max}");
        }
    }
}
