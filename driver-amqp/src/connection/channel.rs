//! A channel that is closed in order: by its last holder, or with its connection.
//!
//! lapin closes a channel whose last handle is dropped from a task of its own.
//! If that task runs after the connection began to close, lapin logs its failure as an error of the connection.
//! So the last holder closes the channel here, at once;
//! and a connection that closes keeps its channels until it is closed, and waits for those that are closing.

use std::ops::Deref;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};

/// A channel of a connection. Clones share it; dropping the last one closes it.
/// lapin's own clones would close it from another task, and so perhaps too late.
#[derive(Debug, Clone)]
pub(crate) struct Channel(Arc<SharedChannel>);

/// What the clones share. Its drop is that of the last holder.
#[derive(Debug)]
struct SharedChannel {
    /// `None` only during the drop.
    channel: Option<lapin::Channel>,
    /// The connection's list, which takes the channel over when the last holder drops it.
    home: Arc<Channels>,
}

/// The channels of one connection that have no holder any more. Its lock is never held across an await.
#[derive(Default)]
pub(crate) struct Channels(Mutex<ReleasedChannels>);

/// It grows only while closes are unanswered or the connection closes.
#[derive(Default)]
struct ReleasedChannels {
    /// Whether the connection is about to close, which closes its channels too.
    closing_connection: bool,
    /// Dropped only after the connection is closed, when lapin has nothing to send for them.
    kept: Vec<lapin::Channel>,
    /// Channels whose close the broker has not answered yet.
    closing: Vec<BoxFuture<'static, ()>>,
}

impl Channels {
    /// Wraps `channel` so that its last holder closes it in order.
    /// Clones of the result share one count of holders.
    pub(crate) fn hold(self: &Arc<Self>, channel: lapin::Channel) -> Channel {
        Channel(Arc::new(SharedChannel { channel: Some(channel), home: Arc::clone(self) }))
    }

    /// Keeps every channel that is dropped from now on, because the connection is about to close.
    /// Final. connection.close ends all channels at once, so none needs a channel.close.
    pub(crate) fn keep(&self) {
        self.released().closing_connection = true;
    }

    /// Waits until the broker has answered the closes that were sent before.
    ///
    /// Cancellation forgets the closes that are under way. lapin still sends them.
    pub(crate) async fn closed(&self) {
        let closing = std::mem::take(&mut self.released().closing);
        join_all(closing).await;
    }

    /// Drops the kept channels, after the connection is closed.
    /// They are dropped after the lock is released, because lapin works in the drop of a channel.
    pub(crate) fn clear(&self) {
        let kept = std::mem::take(&mut self.released().kept);
        drop(kept);
    }

    /// Closes or keeps a channel that has lost its last holder.
    ///
    /// May run on any thread, inside of a runtime or not: it queues the frame and never waits.
    /// A channel that the broker has closed needs nothing.
    fn leave(&self, channel: lapin::Channel) {
        let mut released = self.released();
        // The broker closed it; its number is handled where channels are opened.
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

    /// A panic while it is held leaves the lists usable, so poison is ignored.
    fn released(&self) -> MutexGuard<'_, ReleasedChannels> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Deref for Channel {
    type Target = lapin::Channel;

    /// The channel is there until the last holder drops it, so no holder sees this panic.
    fn deref(&self) -> &lapin::Channel {
        self.0.channel.as_ref().expect("it is here until it is dropped")
    }
}

impl Drop for SharedChannel {
    /// Hands lapin's channel to the connection, which closes it at once or keeps it until its own close.
    fn drop(&mut self) {
        if let Some(channel) = self.channel.take() {
            self.home.leave(channel);
        }
    }
}

impl std::fmt::Debug for Channels {
    /// Without its content: a boxed close has no text, and the lock need not be taken.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Channels").finish_non_exhaustive()
    }
}
