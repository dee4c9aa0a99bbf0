//! The task that writes the decisions of receivers: acknowledgements in batches, requeues and rejects at once.
//!
//! There is one per session. AMQP does not answer basic.ack,
//! basic.nack or basic.reject, so a decision counts as done when its frame is written.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::try_join_all;
use lapin::ChannelStatus;
use lapin::options::{BasicAckOptions, BasicNackOptions, BasicRejectOptions};
use oslo_messaging::{Error, ErrorKind, Result};
use tokio::sync::mpsc::error::SendError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::consume::ack_frames::{AckFrame, AckFrames, Tag};
use crate::consume::consumer_channel::ConsumerChannel;
use crate::counters::{Counts, count};
use crate::link::Link;
use crate::settler_tasks::SettlerTasks;

/// How long an acknowledgement may wait for others.
/// Measured from the first one that waits, so a steady stream does not put it off.
const LONGEST_WAIT: Duration = Duration::from_millis(5);
/// How many acknowledgements are written without further wait.
/// With a window of less than 64 it is half of the window.
const BATCH: usize = 32;

/// A decision of a receiver, or a request of the listener.
/// There is at most one per delivered message, so the prefetch bounds the queue of commands.
#[derive(Debug)]
pub(crate) enum Command {
    /// Waits for others, to be written with them.
    Acknowledge(Tag),
    /// Written at once: the message goes back to its queue.
    Requeue(Tag),
    /// Written at once: the broker drops or dead-letters the message.
    Reject(Tag),
    /// Take no more commands, write everything that waits, and reply.
    /// A dropped receiver is fine: the sender of the command need not wait.
    Close(oneshot::Sender<()>),
}

impl Command {
    /// A close settles nothing, so it does not count as a dropped settlement.
    fn settles(&self) -> bool {
        !matches!(self, Self::Close(_))
    }
}

/// Sends decisions to the settler task of one channel. It never waits.
/// Each unsettled message has a clone, which may outlive the session.
#[derive(Debug, Clone)]
pub(crate) struct Settler {
    /// Unbounded, because a receiver may settle in a destructor, which cannot wait.
    commands: mpsc::UnboundedSender<Command>,
    /// Whether the channel was lost, rather than closed.
    lost: Arc<AtomicBool>,
    /// lapin's view of the channel. It may lag behind the connection, so the link is asked too.
    status: ChannelStatus,
    /// Tells whether the supervisor has given the connection up.
    link: Arc<Link>,
    /// Counts settlements that come after the loss.
    counts: Arc<Counts>,
}

impl Settler {
    /// Starts the task for `channel`, to which the broker delivers at most `window` unsettled messages.
    /// Must run inside of a tokio runtime. The transport's `SettlerTasks` own the task, so it may outlive the listener.
    pub(crate) fn start(channel: &ConsumerChannel, window: u16, counts: &Arc<Counts>, tasks: &SettlerTasks) -> Self {
        let (commands, received) = mpsc::unbounded_channel();
        let lost = Arc::new(AtomicBool::new(false));
        let (status, link) = (channel.amqp.status().clone(), Arc::clone(&channel.link));
        let (acknowledgements, batch) = (AckFrames::default(), batch(window));
        let task = SettlerTask {
            channel: channel.clone(),
            received,
            finishing: tasks.finishing(),
            counts: Arc::clone(counts),
            lost: Arc::clone(&lost),
            acknowledgements,
            batch,
            unwritten: 0,
        };
        tasks.spawn(task.run());
        Self { commands, lost, status, link, counts: Arc::clone(counts) }
    }

    /// Marks the channel as lost: nothing more is written, and every later settlement fails with `Disconnected`.
    ///
    /// The task still ends by itself; what it held is counted as dropped.
    pub(crate) fn abandon(&self) {
        self.lost.store(true, Ordering::Release);
        let (nobody_waits, _) = oneshot::channel();
        let _ = self.commands.send(Command::Close(nobody_waits));
    }

    /// Waits until the task takes no more commands. From then on a settlement fails.
    pub(crate) async fn ended(&self) {
        self.commands.closed().await;
    }

    /// Sends a decision to the task. It is written within [`LONGEST_WAIT`].
    ///
    /// Fails with `Closed` after the listener was closed;
    /// with `Disconnected` if the channel is lost, so that the broker redelivers the message.
    pub(crate) fn send(&self, operation: &'static str, command: Command) -> Result<()> {
        let lost = match self.commands.send(command) {
            // The command is queued, but the task cannot write it, and counts it as dropped.
            Ok(()) => self.link.is_given_up() || !self.status.connected(),
            Err(SendError(command)) if self.lost.load(Ordering::Acquire) => {
                count(&self.counts.settlements_dropped, usize::from(command.settles()));
                true
            }
            Err(_) => return Err(Error::closed(operation)),
        };
        if lost {
            let lost = Error::new(ErrorKind::Disconnected, operation);
            return Err(lost.with_context("reason", "the channel is closed; the broker redelivers the message"));
        }
        Ok(())
    }
}

/// The only writer of settlements on its channel, except for acknowledgements before handover.
struct SettlerTask {
    /// A clone, which keeps the channel open until everything is written.
    channel: ConsumerChannel,
    /// Decisions in the order in which receivers made them.
    received: mpsc::UnboundedReceiver<Command>,
    /// Cancelled when the transport closes. The task then writes what waits, and ends.
    finishing: CancellationToken,
    /// Counts the frames that are written, and the decisions that are not.
    counts: Arc<Counts>,
    /// Shared with the handles, which turn it into `Disconnected`.
    lost: Arc<AtomicBool>,
    /// The acknowledgements that wait for a write, and the tags that are settled.
    acknowledgements: AckFrames,
    /// So many waiting acknowledgements are written without waiting for more: half of the window, at most 32.
    batch: usize,
    /// How many decisions are in a write that has not ended. They count as dropped if that write fails.
    unwritten: usize,
}

impl SettlerTask {
    /// Writes until a close command, the last sender's drop, or the loss of the channel.
    /// At the end it counts every decision that was not written. The broker redelivers those messages.
    async fn run(mut self) {
        if let Err(error) = self.write().await {
            // The broker redelivers what is unsettled, marked as redelivered.
            debug!(%error, "a listener's channel ended; the broker redelivers its unsettled messages");
            self.lost.store(true, Ordering::Release);
        }
        self.received.close();
        let mut dropped = self.acknowledgements.pending() + self.unwritten;
        while let Ok(command) = self.received.try_recv() {
            dropped += usize::from(command.settles());
        }
        count(&self.counts.settlements_dropped, dropped);
    }

    /// Writes what receivers decide until a close command, the drop of the last sender, or the close of the transport.
    /// Fails if the channel or its connection is lost.
    async fn write(&mut self) -> Result<()> {
        // Set by the first acknowledgement that waits, and kept until a flush.
        let mut due: Option<Instant> = None;
        loop {
            tokio::select! {
                biased;
                command = self.received.recv() => match command {
                    None => return self.flush().await,
                    Some(Command::Close(done)) => {
                        let closed = if self.lost.load(Ordering::Acquire) { Ok(()) } else { self.close().await };
                        let _ = done.send(());
                        return closed;
                    }
                    Some(command) => self.obey(command).await?,
                },
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => self.flush().await?,
                () = self.finishing.cancelled() => return self.close().await,
            }
            due = (self.acknowledgements.pending() > 0).then(|| due.unwrap_or_else(|| Instant::now() + LONGEST_WAIT));
        }
    }

    /// An acknowledgement only waits; a requeue and a reject are written before the next command is read.
    ///
    /// Fails if the channel or its connection is lost; `unwritten` then counts what was not written.
    async fn obey(&mut self, command: Command) -> Result<()> {
        match command {
            Command::Acknowledge(tag) => {
                self.acknowledgements.acknowledge(tag);
                if self.acknowledgements.pending() < self.batch { Ok(()) } else { self.flush().await }
            }
            Command::Requeue(tag) => {
                self.acknowledgements.written(tag);
                self.unwritten = 1;
                // Not `basic.reject`: from RabbitMQ 4.3 on only that counts towards the delivery
                // limit of a quorum queue; before, both do.
                let requeue = BasicNackOptions { multiple: false, requeue: true };
                self.hear("requeue", self.channel.amqp.basic_nack(tag, requeue)).await?;
                self.unwritten = 0;
                Ok(())
            }
            Command::Reject(tag) => {
                self.acknowledgements.written(tag);
                self.unwritten = 1;
                let reject = BasicRejectOptions { requeue: false };
                self.hear("reject", self.channel.amqp.basic_reject(tag, reject)).await?;
                self.unwritten = 0;
                Ok(())
            }
            Command::Close(_) => Ok(()),
        }
    }

    /// Writes what was decided before the end, in the order of the decisions. Later decisions are refused.
    ///
    /// Fails if the channel or its connection is lost. What was not written is counted as dropped.
    async fn close(&mut self) -> Result<()> {
        self.received.close();
        while let Ok(command) = self.received.try_recv() {
            self.obey(command).await?;
        }
        self.flush().await
    }

    /// Queues all frames before it waits for any: a wait per frame would take a turn of lapin's thread each.
    /// A failure leaves `unwritten` as it was, so that all of it counts as dropped.
    async fn flush(&mut self) -> Result<()> {
        // Before the flush empties the list: a failed write must count them all.
        self.unwritten = self.acknowledgements.pending();
        let frames = self.acknowledgements.flush();
        count(&self.counts.receiver_acknowledgements, frames.len());
        let channel = &self.channel.amqp;
        let write = |frame: AckFrame| channel.basic_ack(frame.tag, BasicAckOptions { multiple: frame.multiple });
        self.hear("acknowledge", try_join_all(frames.into_iter().map(write))).await?;
        self.unwritten = 0;
        Ok(())
    }

    /// Waits until the frames are written, or cannot be written any more.
    ///
    /// Fails with lapin's error; with `Disconnected` if the connection ended and lapin does not answer.
    async fn hear<T>(&self, operation: &'static str, written: impl Future<Output = lapin::Result<T>>) -> Result<T> {
        self.channel.connection().hear(operation, written).await
    }
}

/// How many acknowledgements are written without waiting for more:
/// at most half of the window, or the broker would have nothing left to deliver while they wait.
fn batch(window: u16) -> usize {
    (usize::from(window) / 2).clamp(1, BATCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_never_takes_more_than_half_of_the_window() {
        for (window, expected) in [(1, 1), (2, 1), (3, 1), (10, 5), (64, 32), (100, 32), (u16::MAX, 32)] {
            assert_eq!(batch(window), expected, "{window}");
        }
    }
}
