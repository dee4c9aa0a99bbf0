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
pub(crate) enum LinkState {
    /// There is none.
    Lost { reason: String },
    /// Listeners may use it, to put back what they need.
    Resubscribing(Arc<Link>),
    /// Everybody may use it.
    Ready(Arc<Link>),
    /// Everybody but publishers may use it.
    Blocked(Arc<Link>, String),
    /// There is none, and never will be.
    Closed,
}

/// Opened and shut by the supervisor, passed by everybody else.
#[derive(Debug)]
pub(crate) struct CurrentLink(watch::Sender<LinkState>);

impl LinkState {
    /// The link for everything but publishing.
    pub(crate) fn link(&self) -> Option<&Arc<Link>> {
        match self {
            Self::Resubscribing(link) | Self::Ready(link) | Self::Blocked(link, _) => Some(link),
            Self::Lost { .. } | Self::Closed => None,
        }
    }

    /// The link for publishing, blocked or not.
    pub(crate) fn publishing(&self) -> Option<&Arc<Link>> {
        match self {
            Self::Ready(link) | Self::Blocked(link, _) => Some(link),
            Self::Lost { .. } | Self::Resubscribing(_) | Self::Closed => None,
        }
    }

    fn generation(&self) -> Option<Generation> {
        self.link().map(|link| link.generation)
    }
}

impl CurrentLink {
    pub(crate) fn new(link: Arc<Link>) -> Self {
        Self(watch::Sender::new(LinkState::Ready(link)))
    }

    /// Sets what there is; what is closed stays closed.
    pub(crate) fn set(&self, state: LinkState) {
        self.0.send_if_modified(|now| {
            let closed = matches!(now, LinkState::Closed);
            if !closed {
                *now = state;
            }
            !closed
        });
    }

    pub(crate) fn watch(&self) -> watch::Receiver<LinkState> {
        self.0.subscribe()
    }

    pub(crate) fn state(&self) -> LinkState {
        self.0.borrow().clone()
    }

    pub(crate) fn generation(&self) -> Option<Generation> {
        self.0.borrow().generation()
    }

    /// Whether nothing can be done any more.
    ///
    /// # Errors
    /// `Closed`.
    pub(crate) fn check_open(&self, operation: &'static str) -> Result<()> {
        match &*self.0.borrow() {
            LinkState::Closed => Err(Error::closed(operation)),
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
        let there = watch.wait_for(|state| state.link().is_some() || matches!(state, LinkState::Closed)).await;
        let there = there.ok().and_then(|state| state.link().cloned());
        there.ok_or_else(|| Error::closed(operation))
    }

    /// Waits until the link of `generation` is not the one of the moment any more.
    pub(crate) async fn replaced(&self, generation: Generation) {
        // It fails only if the gate is gone, and with it every link.
        let _ = self.0.subscribe().wait_for(|state| state.generation() != Some(generation)).await;
    }

    /// Whether `error` comes of the loss of `link`, so that the next one may do better. lapin fails what is on its way a
    /// moment before it notes that the connection is gone, so this waits that moment.
    pub(crate) async fn lost_with(&self, link: &Link, error: &Error) -> bool {
        let suspicious = error.kind() == ErrorKind::Disconnected || !link.is_connected();
        suspicious && timeout(NOTICE, self.replaced(link.generation)).await.is_ok()
    }

    /// What the end of a deadline means: an alarm, a loss, or just time.
    pub(crate) fn deadline_error(&self, operation: &'static str, executed: Executed) -> Error {
        match &*self.0.borrow() {
            LinkState::Blocked(link, reason) => {
                let blocked = Error::new(ErrorKind::Blocked, operation).transient();
                blocked.with("reason", reason).with("host", &link.host)
            }
            LinkState::Lost { reason } => lost(operation, reason),
            LinkState::Closed => Error::closed(operation),
            LinkState::Resubscribing(link) | LinkState::Ready(link) => {
                Error::timeout(operation).with("host", &link.host)
            }
        }
        .with_executed(executed)
    }
}
