//! The link of the moment, for everybody who needs one: what there is, and how to wait for it.

use std::sync::Arc;
use std::time::Duration;

use oslo_messaging::{Error, ErrorKind, Executed, Result};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::errors::lost;
use crate::link::Link;
use crate::link::state_machine::Generation;

/// How long a loss may take to be noticed that something has already failed by: it takes a turn of lapin's task.
const NOTICE: Duration = Duration::from_secs(1);

/// What the link of the moment is good for.
#[derive(Debug, Clone)]
pub(crate) enum Passage {
    /// There is none.
    Shut { reason: String },
    /// Listeners may use it, to put back what they need.
    Declaring(Arc<Link>),
    /// Everybody may use it.
    Open(Arc<Link>),
    /// Everybody but publishers may use it.
    Blocked(Arc<Link>, String),
    /// There is none, and never will be.
    Closed,
}

/// Opened and shut by the supervisor, passed by everybody else.
#[derive(Debug)]
pub(crate) struct Gate(watch::Sender<Passage>);

impl Passage {
    /// The link for everything but publishing.
    pub(crate) fn link(&self) -> Option<&Arc<Link>> {
        match self {
            Self::Declaring(link) | Self::Open(link) | Self::Blocked(link, _) => Some(link),
            Self::Shut { .. } | Self::Closed => None,
        }
    }

    /// The link for publishing, blocked or not.
    pub(crate) fn publishing(&self) -> Option<&Arc<Link>> {
        match self {
            Self::Open(link) | Self::Blocked(link, _) => Some(link),
            Self::Shut { .. } | Self::Declaring(_) | Self::Closed => None,
        }
    }

    fn generation(&self) -> Option<Generation> {
        self.link().map(|link| link.generation)
    }
}

impl Gate {
    pub(crate) fn open(link: Arc<Link>) -> Self {
        Self(watch::Sender::new(Passage::Open(link)))
    }

    /// Sets what there is; what is closed stays closed.
    pub(crate) fn set(&self, passage: Passage) {
        self.0.send_if_modified(|now| {
            let closed = matches!(now, Passage::Closed);
            if !closed {
                *now = passage;
            }
            !closed
        });
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Passage> {
        self.0.subscribe()
    }

    pub(crate) fn now(&self) -> Passage {
        self.0.borrow().clone()
    }

    pub(crate) fn generation(&self) -> Option<Generation> {
        self.0.borrow().generation()
    }

    /// Whether nothing can be done any more.
    ///
    /// # Errors
    /// `Closed`.
    pub(crate) fn check(&self, operation: &'static str) -> Result<()> {
        match &*self.0.borrow() {
            Passage::Closed => Err(Error::closed(operation)),
            _ => Ok(()),
        }
    }

    /// Whether the link of the moment follows a lost one, and is new.
    pub(crate) fn is_settling(&self) -> bool {
        self.0.borrow().link().is_some_and(|link| link.is_settling())
    }

    /// Waits for a link.
    ///
    /// # Errors
    /// `Closed` if there will be none.
    pub(crate) async fn link(&self, operation: &'static str) -> Result<Arc<Link>> {
        let mut watch = self.0.subscribe();
        let there = watch.wait_for(|passage| passage.link().is_some() || matches!(passage, Passage::Closed)).await;
        let there = there.ok().and_then(|passage| passage.link().cloned());
        there.ok_or_else(|| Error::closed(operation))
    }

    /// Waits until the link of `generation` is not the one of the moment any more.
    pub(crate) async fn left(&self, generation: Generation) {
        // It fails only if the gate is gone, and with it every link.
        let _ = self.0.subscribe().wait_for(|passage| passage.generation() != Some(generation)).await;
    }

    /// Whether `error` comes of the loss of `link`, so that the next one may do better. lapin fails what is on its way a
    /// moment before it notes that the connection is gone, so this waits that moment.
    pub(crate) async fn lost_with(&self, link: &Link, error: &Error) -> bool {
        let suspicious = error.kind() == ErrorKind::Disconnected || !link.is_connected();
        suspicious && timeout(NOTICE, self.left(link.generation)).await.is_ok()
    }

    /// What the end of a deadline means: an alarm, a loss, or just time.
    pub(crate) fn overdue(&self, operation: &'static str, executed: Executed) -> Error {
        match &*self.0.borrow() {
            Passage::Blocked(link, reason) => {
                let blocked = Error::new(ErrorKind::Blocked, operation).transient();
                blocked.with("reason", reason).with("host", &link.host)
            }
            Passage::Shut { reason } => lost(operation, reason),
            Passage::Closed => Error::closed(operation),
            Passage::Declaring(link) | Passage::Open(link) => Error::timeout(operation).with("host", &link.host),
        }
        .with_executed(executed)
    }
}
