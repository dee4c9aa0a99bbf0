//! The task of a listener: takes events, one by one or in batches, and starts work on them in the order they came in.
//!
//! Without batches the task polls as many events as handlers are free and starts each one. With batches it gathers
//! events until the batch is full or its time has passed, and starts it when a handler is free.
//!
//! When the listener stops, events that wait in a batch or were not polled yet go back to their queue.
//! Handlers that run are awaited, however long they take.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tracing::{debug, info, warn};

use super::reader::{EventReader, ReadOutcome};
use super::runner::Runner;
use super::work_item::{PendingEvent, WorkItem};
use crate::decoding::{Decoded, DecodingListener};
use crate::lifecycle::{CLOSE_TIMEOUT, Phase, TaskControl, start_in_order, stop_requested};
use crate::wire::Notification;
use crate::{Deadline, ErrorKind, Result};

/// A batch is complete at a number of events or after a time, whichever comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Batch {
    /// A batch of this many events starts without waiting for more.
    pub(super) size: NonZeroUsize,
    /// How long a batch waits for more events, counted from its first.
    pub(super) collect_for: Duration,
}

/// The state of a listener's task. Dropping it aborts the handlers, and unsettled events return to the broker.
pub(super) struct Intake {
    /// The queues of all topics and priorities, decoded and within the memory budget of the bus.
    listener: DecodingListener<Notification>,
    /// Turns messages into events, and settles what no handler gets.
    reader: EventReader,
    /// Shared with every work item.
    runner: Arc<Runner>,
    /// `None`: every event on its own.
    batch: Option<Batch>,
    /// Polled and not read yet.
    /// A stop finds them here, so that an event at its delivery limit is not dropped with them.
    polled: VecDeque<Decoded<Notification>>,
    /// The batch that is being put together, in order of arrival. A stop clears it, which requeues its events.
    gathered: Vec<PendingEvent>,
    /// `None` while the batch is empty: its time begins with the first event.
    due: Option<Instant>,
    /// Work items that are under way, and the task that declares dead-letter queues. Dropping it aborts them.
    running: JoinSet<()>,
}

impl Intake {
    /// Nothing is polled before `run`.
    pub(super) fn new(
        listener: DecodingListener<Notification>,
        reader: EventReader,
        runner: Runner,
        batch: Option<Batch>,
    ) -> Self {
        Self {
            listener,
            reader,
            runner: Arc::new(runner),
            batch,
            polled: VecDeque::new(),
            gathered: Vec::new(),
            due: None,
            running: JoinSet::new(),
        }
    }

    /// Runs until the listener is asked to stop or has lost its queues, then until its handlers have ended.
    ///
    /// The phase becomes `Stopped` when the queues give no more events, and `Ended` with the result when all handlers
    /// have ended. If the queues are lost, waiting events are dropped unsettled and come again.
    ///
    /// Cancellation: dropping the future aborts the handlers. The broker delivers unsettled events again.
    pub(super) async fn run(mut self, mut control: TaskControl) {
        self.running.spawn(Arc::clone(&self.runner.mover).redeclare());
        // What a cancelled turn had in hand goes back to the queue.
        let ended = tokio::select! {
            biased;
            () = stop_requested(&mut control.stop) => Ok(()),
            ended = self.receive() => {
                self.runner.shutdown.lose();
                ended
            }
        };
        if let Err(error) = &ended {
            if error.kind() == ErrorKind::Closed {
                info!("a notification listener stops, since its bus was closed");
            } else {
                warn!(%error, "a notification listener has lost its queues and stops");
            }
        }
        let deadline = (*control.stop.borrow()).unwrap_or_else(|| Deadline::after(CLOSE_TIMEOUT));
        self.give_back(deadline).await;
        control.phase.send_replace(Phase::Stopped);
        while self.running.join_next().await.is_some() {}
        if let Err(error) = self.listener.close(Deadline::after(CLOSE_TIMEOUT)).await {
            debug!(%error, "a listener was not closed cleanly");
        }
        control.phase.send_replace(Phase::Ended(ended));
    }

    /// Stops the listener and requeues the events that were delivered and not started, for other listeners.
    ///
    /// An event at its delivery limit is not requeued, since the broker would drop it: it is moved instead.
    async fn give_back(&mut self, deadline: Deadline) {
        if let Err(error) = self.listener.stop(deadline).await {
            debug!(%error, "a listener was not stopped cleanly");
        }
        // After the stop, or the broker would deliver them to this listener once more.
        self.gathered.clear();
        for message in std::mem::take(&mut self.polled) {
            self.give_back_one(message).await;
        }
        let all = NonZeroUsize::new(1_024).unwrap_or(NonZeroUsize::MIN);
        // Past the deadline, closing the listener does the same.
        // Dropping a message here requeues it.
        while let Ok(Ok(Some(messages))) = deadline.run("stop", self.listener.poll(all)).await {
            for message in messages {
                self.give_back_one(message).await;
            }
        }
    }

    /// Requeues an event that was not read, or moves it if the broker would drop it.
    async fn give_back_one(&mut self, message: Decoded<Notification>) {
        if message.message.message().is_last_delivery() {
            drop(self.read(message).await);
        }
    }

    /// Takes and starts events until there are no more.
    ///
    /// Errors: the error of the listener, once it has lost its queues.
    async fn receive(&mut self) -> Result<()> {
        loop {
            while self.running.try_join_next().is_some() {}
            let more = match self.batch {
                None => self.take().await?,
                Some(batch) => self.gather(batch).await?,
            };
            if !more {
                return Ok(());
            }
        }
    }

    /// Takes as many events as there are free handlers, and starts each. Whether there may be more.
    ///
    /// Errors: the error of the listener, which is final: it has lost its queues.
    async fn take(&mut self) -> Result<bool> {
        // Looked at, not kept: an event that waited for its next attempt may need it while none arrives.
        drop(self.runner.permit().await);
        let Some(messages) = self.listener.poll(self.runner.free()).await? else { return Ok(false) };
        self.polled.extend(messages);
        while let Some(message) = self.polled.pop_front() {
            if let Some(item) = self.read(message).await {
                let permit = self.runner.permit().await;
                start_in_order(Arc::clone(&self.runner).run(WorkItem::new(vec![item]), permit), &mut self.running);
            }
        }
        Ok(true)
    }

    /// Takes what is there into the batch, or starts the batch if it is full or due and a handler is free.
    /// Returns whether there may be more.
    ///
    /// The time starts with the first event of a batch, as the documentation of oslo.messaging says of
    /// `batch_timeout`; its code starts the timer at the poll (`_drivers/base.py`, `batch_poll_helper`).
    ///
    /// Errors: the error of the listener, which is final: it has lost its queues.
    async fn gather(&mut self, batch: Batch) -> Result<bool> {
        let missing = NonZeroUsize::new(batch.size.get().saturating_sub(self.gathered.len()));
        let is_due = self.due.is_some_and(|due| due <= Instant::now());
        let due = self.due.unwrap_or_else(Instant::now);
        tokio::select! {
            biased;
            permit = self.runner.permit(), if missing.is_none() || is_due => {
                self.due = None;
                let work = WorkItem::new(std::mem::take(&mut self.gathered));
                start_in_order(Arc::clone(&self.runner).run(work, permit), &mut self.running);
            }
            polled = self.listener.poll(missing.unwrap_or(NonZeroUsize::MIN)), if missing.is_some() => {
                let Some(messages) = polled? else { return Ok(false) };
                self.polled.extend(messages);
                while let Some(message) = self.polled.pop_front() {
                    let item = self.read(message).await;
                    self.gathered.extend(item);
                }
                if !self.gathered.is_empty() {
                    self.due.get_or_insert_with(|| Deadline::after(batch.collect_for).instant());
                }
            }
            () = sleep_until(due), if self.due.is_some() && !is_due => {}
        }
        Ok(true)
    }

    /// The event in `message`. One that no handler is to have is moved at once, and needs no permit for that.
    ///
    /// `None` for whatever the handlers do not get;
    /// that is settled by a task of its own or was settled by the reader.
    async fn read(&mut self, message: Decoded<Notification>) -> Option<PendingEvent> {
        match self.reader.read(message).await {
            ReadOutcome::Event(item) => Some(item),
            ReadOutcome::Nothing => None,
            ReadOutcome::Undecodable(delivery, error) => {
                start_in_order(Arc::clone(&self.runner).run_undecodable(delivery, error), &mut self.running);
                None
            }
            ReadOutcome::Last(delivery) => {
                start_in_order(Arc::clone(&self.runner).run_last(delivery), &mut self.running);
                None
            }
            ReadOutcome::GivenUp(event) => {
                let runner = Arc::clone(&self.runner);
                start_in_order(async move { runner.run_given_up(event).await }, &mut self.running);
                None
            }
        }
    }
}
