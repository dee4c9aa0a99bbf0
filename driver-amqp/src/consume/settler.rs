//! The task that writes what receivers decide: acknowledgements in batches, the rest at once.

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
const LONGEST_WAIT: Duration = Duration::from_millis(5);
/// How many acknowledgements are not made to wait, where the window has room for more.
const BATCH: usize = 32;

/// What a receiver decided, or a listener wants. At most one for each message that the broker handed over, so that the
/// prefetch bounds how many wait.
#[derive(Debug)]
pub(crate) enum Command {
    Acknowledge(Tag),
    Requeue(Tag),
    Reject(Tag),
    /// Take no more commands, write everything that waits, and say so.
    Close(oneshot::Sender<()>),
}

impl Command {
    /// Whether it is a receiver's decision about a message.
    fn settles(&self) -> bool {
        !matches!(self, Self::Close(_))
    }
}

/// Where receivers leave their decisions.
#[derive(Debug, Clone)]
pub(crate) struct Settler {
    commands: mpsc::UnboundedSender<Command>,
    /// Whether the channel was lost, rather than closed.
    lost: Arc<AtomicBool>,
    status: ChannelStatus,
    link: Arc<Link>,
    counts: Arc<Counts>,
}

impl Settler {
    /// Starts the task that writes to the channel of `place`, on which the broker hands over `window` messages at once.
    pub(crate) fn start(channel: &ConsumerChannel, window: u16, counts: &Arc<Counts>, tasks: &SettlerTasks) -> Self {
        let (commands, inbox) = mpsc::unbounded_channel();
        let lost = Arc::new(AtomicBool::new(false));
        let (status, link) = (channel.amqp.status().clone(), Arc::clone(&channel.link));
        let (watermark, batch) = (AckFrames::default(), batch(window));
        let task = SettlerTask {
            channel: channel.clone(),
            inbox,
            finishing: tasks.finishing(),
            counts: Arc::clone(counts),
            lost: Arc::clone(&lost),
            watermark,
            batch,
            unwritten: 0,
        };
        tasks.spawn(task.run());
        Self { commands, lost, status, link, counts: Arc::clone(counts) }
    }

    /// Says that the channel is lost: nothing more is written, and who settles is told so.
    pub(crate) fn abandon(&self) {
        self.lost.store(true, Ordering::Release);
        let (nobody_waits, _) = oneshot::channel();
        let _ = self.commands.send(Command::Close(nobody_waits));
    }

    /// Returns once no decision is taken any more.
    pub(crate) async fn ended(&self) {
        self.commands.closed().await;
    }

    /// Leaves a decision.
    ///
    /// # Errors
    /// `Closed` after the listener was closed; `Disconnected` if the broker has the message back already.
    pub(crate) fn send(&self, operation: &'static str, command: Command) -> Result<()> {
        let lost = match self.commands.send(command) {
            // Recorded, but the task will find that it cannot write it, and count it.
            Ok(()) => self.link.is_given_up() || !self.status.connected(),
            Err(SendError(command)) if self.lost.load(Ordering::Acquire) => {
                count(&self.counts.settlements_dropped, usize::from(command.settles()));
                true
            }
            Err(_) => return Err(Error::closed(operation)),
        };
        if lost {
            let lost = Error::new(ErrorKind::Disconnected, operation);
            return Err(lost.with("reason", "the channel is closed; the broker redelivers the message"));
        }
        Ok(())
    }
}

struct SettlerTask {
    channel: ConsumerChannel,
    inbox: mpsc::UnboundedReceiver<Command>,
    /// Cancelled when the transport closes.
    finishing: CancellationToken,
    counts: Arc<Counts>,
    lost: Arc<AtomicBool>,
    watermark: AckFrames,
    batch: usize,
    /// How many decisions are being written now.
    unwritten: usize,
}

impl SettlerTask {
    /// Writes until it is told to close, every sender is gone, or the channel is.
    async fn run(mut self) {
        if let Err(error) = self.write().await {
            // What is unsettled is the broker's again, and comes back marked as redelivered.
            debug!(%error, "a listener's channel ended; the broker redelivers its unsettled messages");
            self.lost.store(true, Ordering::Release);
        }
        self.inbox.close();
        let mut dropped = self.watermark.pending() + self.unwritten;
        while let Ok(command) = self.inbox.try_recv() {
            dropped += usize::from(command.settles());
        }
        count(&self.counts.settlements_dropped, dropped);
    }

    async fn write(&mut self) -> Result<()> {
        let mut due: Option<Instant> = None;
        loop {
            tokio::select! {
                biased;
                command = self.inbox.recv() => match command {
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
            due = (self.watermark.pending() > 0).then(|| due.unwrap_or_else(|| Instant::now() + LONGEST_WAIT));
        }
    }

    async fn obey(&mut self, command: Command) -> Result<()> {
        match command {
            Command::Acknowledge(tag) => {
                self.watermark.acknowledge(tag);
                if self.watermark.pending() < self.batch { Ok(()) } else { self.flush().await }
            }
            Command::Requeue(tag) => {
                self.watermark.written(tag);
                self.unwritten = 1;
                // Not `basic.reject`: from RabbitMQ 4.3 on that alone counts towards the delivery limit of a quorum queue, up
                // to 4.2 both do.
                let requeue = BasicNackOptions { multiple: false, requeue: true };
                self.hear("requeue", self.channel.amqp.basic_nack(tag, requeue)).await?;
                self.unwritten = 0;
                Ok(())
            }
            Command::Reject(tag) => {
                self.watermark.written(tag);
                self.unwritten = 1;
                let reject = BasicRejectOptions { requeue: false };
                self.hear("reject", self.channel.amqp.basic_reject(tag, reject)).await?;
                self.unwritten = 0;
                Ok(())
            }
            Command::Close(_) => Ok(()),
        }
    }

    /// What was decided before the end is still written; later decisions are refused.
    async fn close(&mut self) -> Result<()> {
        self.inbox.close();
        while let Ok(command) = self.inbox.try_recv() {
            self.obey(command).await?;
        }
        self.flush().await
    }

    /// Queues the frames one after the other, and then waits for all of them: a wait for each would be a turn of lapin's
    /// thread for each.
    async fn flush(&mut self) -> Result<()> {
        self.unwritten = self.watermark.pending();
        let frames = self.watermark.flush();
        count(&self.counts.receiver_acknowledgements, frames.len());
        let channel = &self.channel.amqp;
        let write = |frame: AckFrame| channel.basic_ack(frame.tag, BasicAckOptions { multiple: frame.multiple });
        self.hear("acknowledge", try_join_all(frames.into_iter().map(write))).await?;
        self.unwritten = 0;
        Ok(())
    }

    /// Waits until what was queued is written, or cannot be any more.
    async fn hear<T>(&self, operation: &'static str, written: impl Future<Output = lapin::Result<T>>) -> Result<T> {
        self.channel.link.consuming.hear(operation, written).await
    }
}

/// How many acknowledgements are written without waiting for more: never so many that the broker, with a small window,
/// has nothing left to hand over while they wait.
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
