//! A channel that is closed in order: by its last holder, or with its connection.
//!
//! lapin closes a channel whose last handle is dropped from a task of its own. If that task runs after the
//! connection began to close, lapin logs its failure as an error of the connection. So the last holder closes the
//! channel here, at once; and a connection that closes keeps its channels until it is closed, and waits for those
//! that are closing.

use std::ops::Deref;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};

/// A channel of a connection. Clones share it; dropping the last one closes it.
#[derive(Debug, Clone)]
pub(crate) struct Channel(Arc<SharedChannel>);

#[derive(Debug)]
struct SharedChannel {
    /// `None` only during the drop.
    channel: Option<lapin::Channel>,
    home: Arc<Channels>,
}

/// The channels of one connection that have no holder any more.
#[derive(Default)]
pub(crate) struct Channels(Mutex<ReleasedChannels>);

#[derive(Default)]
struct ReleasedChannels {
    /// Whether the connection is about to close, which closes its channels too.
    closing_connection: bool,
    kept: Vec<lapin::Channel>,
    /// Channels whose close the broker has not answered yet.
    closing: Vec<BoxFuture<'static, ()>>,
}

impl Channels {
    /// Wraps `channel` so that its last holder closes it in order.
    pub(crate) fn hold(self: &Arc<Self>, channel: lapin::Channel) -> Channel {
        Channel(Arc::new(SharedChannel { channel: Some(channel), home: Arc::clone(self) }))
    }

    /// Keeps every channel that is dropped from now on, because the connection is about to close.
    pub(crate) fn keep(&self) {
        self.released().closing_connection = true;
    }

    /// Waits until the broker has answered the closes that were sent before.
    pub(crate) async fn closed(&self) {
        let closing = std::mem::take(&mut self.released().closing);
        join_all(closing).await;
    }

    /// Drops the kept channels, after the connection is closed.
    pub(crate) fn clear(&self) {
        let kept = std::mem::take(&mut self.released().kept);
        drop(kept);
    }

    /// Closes or keeps a channel that has lost its last holder.
    fn leave(&self, channel: lapin::Channel) {
        let mut released = self.released();
        if !channel.status().connected() {
            return;
        }
        if released.closing_connection {
            released.kept.push(channel);
            return;
        }
        released.closing.retain_mut(|closing| closing.poll_unpin(&mut Context::from_waker(Waker::noop())).is_pending());
        let mut closing: BoxFuture<'static, ()> = Box::pin(async move {
            let closing = pin!(channel.close(200, "no longer used".into()));
            // It fails only with the end of the connection, which its users see anyway.
            let _ = closing.await;
        });
        // The first poll queues the frame.
        if closing.poll_unpin(&mut Context::from_waker(Waker::noop())).is_pending() {
            released.closing.push(closing);
        }
    }

    fn released(&self) -> MutexGuard<'_, ReleasedChannels> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Deref for Channel {
    type Target = lapin::Channel;

    fn deref(&self) -> &lapin::Channel {
        self.0.channel.as_ref().expect("it is here until it is dropped")
    }
}

impl Drop for SharedChannel {
    fn drop(&mut self) {
        if let Some(channel) = self.channel.take() {
            self.home.leave(channel);
        }
    }
}

impl std::fmt::Debug for Channels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Channels").finish_non_exhaustive()
    }
}
