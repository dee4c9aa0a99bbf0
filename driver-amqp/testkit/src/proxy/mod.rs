//! A relay between clients and a broker, in this process, that can do to a connection what a network does.
//!
//! Bytes go through as they come, in each direction by themselves, and are counted. A fault comes when a test says so
//! ([`Proxy::strike`]), or once so many bytes of one connection have gone one way ([`Proxy::arm`]): the byte before the
//! offset arrives, the one behind it does not.

mod fault;
mod line;
mod relay;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

pub use fault::Fault;
pub use line::{Direction, Tape};

use fault::Conditions;
use line::{KEPT, Line};

/// A running relay. Dropping it closes every connection through it.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
    _accepting: AbortOnDropHandle<()>,
}

/// A place in what goes through a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct At {
    /// Which connection, in the order in which they were made, from 0.
    pub connection: usize,
    pub direction: Direction,
    /// How many bytes of it are let through.
    pub offset: usize,
}

/// When the fault came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trip {
    pub when: Instant,
    /// Whether it came at the place it was armed for.
    pub at_its_place: bool,
}

#[derive(Debug)]
struct Shared {
    broker: SocketAddr,
    /// How much of what goes one way on one connection is kept.
    kept: usize,
    /// What all connections go through, those to come as well.
    conditions: watch::Sender<Conditions>,
    trip: watch::Sender<Option<Trip>>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    lines: Vec<Arc<Line>>,
    plan: Option<Plan>,
}

/// A fault that waits for its place.
#[derive(Debug)]
struct Plan {
    at: At,
    fault: Fault,
    others: Vec<Arc<Shared>>,
}

impl Proxy {
    /// A relay to the broker on `port` of this machine.
    pub async fn to(port: u16) -> Self {
        Self::keeping(KEPT, port).await
    }

    /// The same without tapes, for a run whose memory is measured.
    pub async fn without_tapes(port: u16) -> Self {
        Self::keeping(0, port).await
    }

    async fn keeping(kept: usize, port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let shared = Arc::new(Shared {
            broker: (Ipv4Addr::LOCALHOST, port).into(),
            kept,
            conditions: watch::Sender::new(Conditions::NONE),
            trip: watch::Sender::new(None),
            state: Mutex::default(),
        });
        let port = listener.local_addr().expect("a bound socket has an address").port();
        let accepting = AbortOnDropHandle::new(tokio::spawn(accept(listener, Arc::clone(&shared))));
        Self { port, shared, _accepting: accepting }
    }

    /// Where it listens, on `127.0.0.1`.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Has `fault` come at `at`, once, to every connection through this relay and through `others`.
    pub fn arm(&self, at: At, fault: Fault, others: &[&Self]) {
        let others = others.iter().map(|other| Arc::clone(&other.shared)).collect();
        self.shared.state().plan = Some(Plan { at, fault, others });
    }

    /// Has `fault` come now to every connection.
    pub fn strike(&self, fault: Fault) {
        self.shared.strike(fault);
    }

    /// Has a fault come now that was armed and has not come; a fault that has come does not come again.
    pub fn spring(&self) {
        self.shared.spring(false);
    }

    /// Ends what lasts: connections that stood still go on, and what was swallowed stays so.
    pub fn heal(&self) {
        self.shared.conditions.send_replace(Conditions::NONE);
    }

    /// Sends bytes to the client of one connection in the broker's name, between two reads of the relay: where nothing else
    /// is under way, that is between two frames.
    pub fn forge(&self, connection: usize, bytes: &[u8]) {
        if let Some(line) = self.shared.state().lines.get(connection) {
            line.forge(bytes);
        }
    }

    /// When the armed fault came, if it has.
    pub fn trip(&self) -> Option<Trip> {
        *self.shared.trip.borrow()
    }

    /// How many connections there have been.
    pub fn connections(&self) -> usize {
        self.shared.state().lines.len()
    }

    /// What went one way on one connection so far; nothing of a connection that is not there.
    pub fn tape(&self, connection: usize, direction: Direction) -> Tape {
        let line = self.shared.state().lines.get(connection).cloned();
        line.map(|line| line.tape(direction)).unwrap_or_default()
    }

    /// How many bytes were let through in `direction`, on all connections together.
    pub fn bytes(&self, direction: Direction) -> usize {
        self.shared.state().lines.iter().map(|line| line.passed(direction)).sum()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn strike(&self, fault: Fault) {
        match fault.ending() {
            Some(ending) => self.state().lines.iter().for_each(|line| line.end(ending)),
            None => self.conditions.send_modify(|conditions| conditions.add(fault)),
        }
    }

    fn spring(&self, at_its_place: bool) {
        let Some(plan) = self.state().plan.take() else { return };
        self.trip.send_replace(Some(Trip { when: Instant::now(), at_its_place }));
        self.strike(plan.fault);
        plan.others.iter().for_each(|other| other.strike(plan.fault));
    }

    /// How many more bytes may pass before an armed fault comes.
    fn room(&self, line: &Line, direction: Direction) -> usize {
        match &self.state().plan {
            Some(Plan { at, .. }) if at.connection == line.number && at.direction == direction => {
                at.offset.saturating_sub(line.passed(direction))
            }
            _ => usize::MAX,
        }
    }
}

/// Accepts until it is dropped, and ends with all connections.
async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut relays = JoinSet::new();
    loop {
        let Ok((client, _)) = listener.accept().await else { return };
        let line = {
            let mut state = shared.state();
            let line = Arc::new(Line::new(state.lines.len(), shared.kept));
            state.lines.push(Arc::clone(&line));
            line
        };
        relays.spawn(relay::relay(client, Arc::clone(&shared), line));
        while relays.try_join_next().is_some() {}
    }
}
