//! The current link, and how publishers, listeners and callers wait for it.
//!
//! Every change goes through one watch channel, so a task never sees two links at once,
//! and a task that is late sees only the latest state.

use std::sync::Arc;
use std::time::Duration;

use oslo_messaging::{Error, ErrorKind, Executed, Result};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::errors::lost;
use crate::link::Link;
use crate::link::state_machine::Generation;

/// How long to wait for a loss to become visible after an operation failed: lapin notes it one turn of its task later.
const NOTICE: Duration = Duration::from_secs(1);

/// What the current link can be used for, and by what.
/// The supervisor writes it; the transport and its drop write `Closed` as well.
#[derive(Debug, Clone)]
pub(crate) enum LinkState {
    /// There is no link; the supervisor reconnects. Callers wait, each until its deadline.
    Lost { reason: String },
    /// Listeners may use it to resubscribe; publishers must wait, for at most `request_timeout`.
    Resubscribing(Arc<Link>),
    /// Publishers, listeners and declarations may use it.
    Ready(Arc<Link>),
    /// Everything but publishers may use it: the broker has raised a resource alarm.
    /// The text is the broker's reason, such as `low on memory`.
    Blocked(Arc<Link>, String),
    /// The transport is closed, and there will be no link any more. Final: `set` changes nothing any more.
    Closed,
}

/// The current link of a transport. The supervisor sets it; publishers, listeners and callers read it or wait for it.
///
/// It starts `Ready`, with the first link.
#[derive(Debug)]
pub(crate) struct CurrentLink(watch::Sender<LinkState>);

impl LinkState {
    /// The link, for everything but publishing. `None` while there is none;
    /// then a caller waits with `CurrentLink::link`.
    pub(crate) fn link(&self) -> Option<&Arc<Link>> {
        match self {
            Self::Resubscribing(link) | Self::Ready(link) | Self::Blocked(link, _) => Some(link),
            Self::Lost { .. } | Self::Closed => None,
        }
    }

    /// The link, for publishing, even while it is blocked.
    /// A blocked link counts: what was sent on it is confirmed when the alarm ends.
    pub(crate) fn publishing(&self) -> Option<&Arc<Link>> {
        match self {
            Self::Ready(link) | Self::Blocked(link, _) => Some(link),
            Self::Lost { .. } | Self::Resubscribing(_) | Self::Closed => None,
        }
    }

    /// The error of an operation whose deadline has passed, and that no alarm held back: `Closed`
    /// if the transport was closed meanwhile, `Disconnected` without a link, otherwise `Timeout`, which names the host.
    pub(crate) fn unblocked_deadline_error(&self, operation: &'static str) -> Error {
        match self {
            Self::Lost { reason } => lost(operation, reason),
            Self::Closed => Error::closed(operation),
            Self::Resubscribing(link) | Self::Ready(link) | Self::Blocked(link, _) => {
                Error::timeout(operation).with_context("host", &link.host)
            }
        }
    }

    /// `None` without a link, which therefore equals no generation.
    fn generation(&self) -> Option<Generation> {
        self.link().map(|link| link.generation)
    }
}

impl CurrentLink {
    /// Starts as `Ready`, so `link` must be open. It has no listeners yet that would have to resubscribe.
    pub(crate) fn new(link: Arc<Link>) -> Self {
        Self(watch::Sender::new(LinkState::Ready(link)))
    }

    /// Replaces the state and wakes everything that waits for it. `Closed` is final.
    pub(crate) fn set(&self, state: LinkState) {
        self.0.send_if_modified(|now| {
            let closed = matches!(now, LinkState::Closed);
            if !closed {
                *now = state;
            }
            !closed
        });
    }

    /// The receiver has seen the present state; `borrow` shows it.
    pub(crate) fn watch(&self) -> watch::Receiver<LinkState> {
        self.0.subscribe()
    }

    /// A snapshot: it may be out of date when it is used.
    pub(crate) fn state(&self) -> LinkState {
        self.0.borrow().clone()
    }

    /// The generation of the link that can be used for anything at all; `None` without a link.
    pub(crate) fn generation(&self) -> Option<Generation> {
        self.0.borrow().generation()
    }

    /// Fails with `Closed`, executed `No`, once the transport is closed. A lost link is no error.
    pub(crate) fn check_open(&self, operation: &'static str) -> Result<()> {
        match &*self.0.borrow() {
            LinkState::Closed => Err(Error::closed(operation).with_executed(Executed::No)),
            _ => Ok(()),
        }
    }

    /// Whether the current link follows a lost one and is younger than 10 s.
    /// Publishes and listeners treat some errors as temporary then.
    pub(crate) fn is_fresh(&self) -> bool {
        self.0.borrow().link().is_some_and(|link| link.is_fresh())
    }

    /// Waits until there is a link that listeners and declarations may use.
    ///
    /// Without a limit of its own: the caller has a deadline.
    ///
    /// Cancellation loses nothing: the next call looks at the state again.
    ///
    /// Fails with `Closed`, executed `No`, if the transport is closed or closes meanwhile.
    pub(crate) async fn link(&self, operation: &'static str) -> Result<Arc<Link>> {
        // Subscribed before the check, so no change in between is missed.
        let mut watch = self.0.subscribe();
        let there = watch.wait_for(|state| state.link().is_some() || matches!(state, LinkState::Closed)).await;
        let there = there.ok().and_then(|state| state.link().cloned());
        there.ok_or_else(|| Error::closed(operation).with_executed(Executed::No))
    }

    /// Waits until the link of `generation` is lost or replaced, or the transport closes.
    pub(crate) async fn replaced(&self, generation: Generation) {
        // It fails only if this `CurrentLink` is dropped, and with it every link.
        let _ = self.0.subscribe().wait_for(|state| state.generation() != Some(generation)).await;
    }

    /// Whether `error` comes from the loss of `link`, so that a retry on the next one may succeed.
    /// lapin fails pending operations a moment before it notes
    /// that the connection is closed, so this waits for at most [`NOTICE`].
    ///
    /// `false` after 1 s, if the link is still the current one: then the error is about the operation itself.
    pub(crate) async fn lost_with(&self, link: &Link, error: &Error) -> bool {
        let suspicious = error.kind() == ErrorKind::Disconnected || !link.is_connected();
        suspicious && timeout(NOTICE, self.replaced(link.generation)).await.is_ok()
    }

    /// The error of a publish or declaration whose deadline has passed:
    /// `Blocked` under an alarm, otherwise that of [`LinkState::unblocked_deadline_error`].
    ///
    /// `executed` is the caller's knowledge of its own message. `Closed` if the transport was closed meanwhile.
    pub(crate) fn deadline_error(&self, operation: &'static str, executed: Executed) -> Error {
        match &*self.0.borrow() {
            LinkState::Blocked(link, reason) => {
                let blocked = Error::new(ErrorKind::Blocked, operation).transient();
                blocked.with_context("reason", reason).with_context("host", &link.host)
            }
            state => state.unblocked_deadline_error(operation),
        }
        .with_executed(executed)
    }
}
