//! The listener of one subscription: it continues across lost channels and links.
//!
//! Two parties share the work. The listener reads deliveries and hands them over;
//! its recovery task resubscribes, and hands new sessions to it.
//! They communicate only through `RecoveryHandle`, and the listener never waits for a declaration.

use std::future::poll_fn;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::task::Poll;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use oslo_messaging::driver::{Address, IncomingMessage, Listener, Settle};
use oslo_messaging::{Deadline, Error, ErrorKind, Result};
use tracing::warn;

use crate::consume::ack_frames::Tag;
use crate::consume::session::{Received, Session, SessionEvent};
use crate::consume::settler::Settler;
use crate::consume::subscription_opener::SubscriptionOpener;
use crate::counters::{Counts, count};
use crate::errors::lost;
use crate::incoming::AmqpIncoming;
use crate::link::inner::Inner;
use crate::properties;
use crate::recovery::handle::RecoveryHandle;
use crate::recovery::restored::Restored;
use crate::topology::stream::StreamPosition;

/// Deliveries in the order of the broker, each with its delivery tag.
type Batch = Vec<(Tag, Received)>;

/// Receives the messages of one subscription. Dropping it stops consuming; the broker requeues what is unsettled.
/// `poll` may be dropped at any await without losing a message.
/// It reads from one session at a time; the broker redelivers what it did not take from an earlier one.
#[derive(Debug)]
pub(crate) struct AmqpListener {
    /// Where peers reach this listener. A renamed queue changes it.
    address: Address,
    /// `None` from a loss until the recovery hands over another.
    session: Option<Session>,
    /// `None` after a stop: a stopped listener is not recovered.
    /// Dropping it ends the recovery task and removes the listener from the barrier.
    recovery: Option<RecoveryHandle>,
    /// Whether messages are acknowledged before handover or by their receivers. It never changes during a subscription.
    mode: Settle,
    /// How far the stream was handed over, if there is one.
    position: Arc<StreamPosition>,
    /// The acknowledgement that must be written before its messages are handed over.
    pending_ack: Option<PendingAck>,
    /// For the counters and the current link.
    inner: Arc<Inner>,
    /// The error that every poll returns, once the listener has ended.
    /// Set once. `close` returns it, if no session is left.
    end: Option<Error>,
    /// Why the last channel was lost, for the error of a close without a connection.
    loss: Option<Error>,
}

/// An acknowledgement that is being written, with the deliveries that it covers.
/// The listener owns it, so a dropped `poll` loses nothing.
struct PendingAck {
    /// Ends when lapin has written the frame. The broker does not confirm it.
    written: BoxFuture<'static, Result<()>>,
    /// Handed over only after the acknowledgement is written.
    batch: Batch,
    /// The limit of the session that the deliveries came from.
    delivery_limit: Option<u64>,
    /// Whether the session was replaced since: an error of this write then says nothing about the current one.
    /// The broker redelivers its messages on the new session in any case.
    stale: bool,
}

/// What a `poll` woke up for. The recovery comes first: a new session supersedes what the old one still has to say.
enum ListenerEvent {
    /// What the session has, or its loss.
    Read(Result<SessionEvent>),
    /// A new session or consumer, or the error that ends the listener.
    Restored(Result<Restored>),
}

impl AmqpListener {
    /// A listener that reads from `session`. Its recovery uses `opener` after a loss.
    /// Starts the recovery task, so it must run inside of a tokio runtime.
    pub(crate) fn new(opener: SubscriptionOpener, session: Session) -> Self {
        Self {
            address: opener.address(),
            mode: opener.subscription.settle,
            position: Arc::clone(&opener.position),
            pending_ack: None,
            inner: Arc::clone(&opener.inner),
            end: None,
            loss: None,
            recovery: Some(RecoveryHandle::start(opener, session.channel())),
            session: Some(session),
        }
    }

    /// Waits for the next event of the session or its recovery.
    ///
    /// A stopped listener without a session ends at once. One that is not stopped waits for its recovery.
    ///
    /// Cancellation loses nothing: deliveries stay in the session, and restored sessions in their queue.
    async fn wait(&mut self) -> ListenerEvent {
        let stopped = self.recovery.is_none();
        let session = &mut self.session;
        let read = poll_fn(|context| match session {
            Some(session) => session.read(stopped, context),
            None if stopped => Poll::Ready(Ok(SessionEvent::End)),
            None => Poll::Pending,
        });
        match &mut self.recovery {
            Some(recovery) => tokio::select! {
                // A restored session first: reading the old one could only report its loss again.
                biased;
                restored = recovery.next() => ListenerEvent::Restored(restored),
                read = read => ListenerEvent::Read(read),
            },
            None => ListenerEvent::Read(read.await),
        }
    }

    /// Reads everything that has arrived, so that one acknowledgement covers as much as possible. Never waits.
    /// `None` if nothing has arrived, or there is no session.
    async fn read_all(&mut self) -> Option<Result<SessionEvent>> {
        let (stopped, session) = (self.recovery.is_none(), self.session.as_mut()?);
        match poll_fn(|context| Poll::Ready(session.read(stopped, context))).await {
            Poll::Ready(read) => Some(read),
            Poll::Pending => None,
        }
    }

    /// Handles one event. Returns true if the subscription has ended.
    /// An ended recovery does not return true: the next `poll` returns its error.
    fn handle(&mut self, event: ListenerEvent) -> bool {
        match event {
            ListenerEvent::Read(Ok(SessionEvent::Progress)) => {}
            ListenerEvent::Read(Ok(SessionEvent::End)) => return true,
            ListenerEvent::Read(Ok(SessionEvent::Cancelled(index))) => {
                if let Some(recovery) = &self.recovery {
                    recovery.consumer_lost(index);
                }
            }
            ListenerEvent::Read(Err(error)) => self.lose(&error),
            ListenerEvent::Restored(Ok(restored)) => self.use_restored(restored),
            ListenerEvent::Restored(Err(error)) => self.end_with(error),
        }
        false
    }

    /// Takes a restored session or consumer into use, with the address that comes with it.
    ///
    /// The acknowledgement that is being written belongs to the old session,
    /// so it is marked as stale and its failure does not count as a loss of the new one.
    fn use_restored(&mut self, restored: Restored) {
        match restored {
            Restored::Session(session, address) => {
                if let Some(pending_ack) = &mut self.pending_ack {
                    pending_ack.stale = true;
                }
                if let Some(old) = self.session.replace(*session) {
                    old.abandon(&lost("poll", "the listener resubscribed on another channel"));
                }
                self.address = address;
            }
            Restored::Consumer(restored, address) => {
                if let Some(session) = &mut self.session
                    && let Err(error) = session.put(*restored)
                {
                    self.end = Some(error);
                }
                self.address = address;
            }
        }
    }

    /// Gives the session up; every further poll fails with `error`.
    /// A session whose transport was closed still writes recorded decisions; any other is lost.
    fn end_with(&mut self, error: Error) {
        match self.session.take() {
            // The channel still works, and receivers were promised that their decisions would be written.
            Some(session) if error.kind() == ErrorKind::Closed => session.leave(&error),
            Some(session) => session.abandon(&error),
            None => {}
        }
        self.end = Some(error);
    }

    /// The error of a close without a connection. It names the last loss, because the caller sees no other error of it.
    fn left_behind(&self) -> Error {
        let error = lost("close", "not connected; the broker keeps the private queues until they expire");
        match &self.loss {
            Some(loss) => error.with_context("loss", loss),
            None => error,
        }
    }

    /// Gives up a lost channel: the broker redelivers what was not acknowledged. Asks the recovery for another.
    ///
    /// Afterwards settlements of messages of this session fail with `Disconnected`.
    /// Calling it without a session only reports the loss again.
    fn lose(&mut self, error: &Error) {
        self.loss = Some(error.clone());
        if let Some(session) = self.session.take() {
            if session.channel().link.is_connected() {
                // The supervisor logs a lost connection. A closed channel is logged only here, with the broker's reason:
                // for example a message that was held longer than the consumer timeout.
                warn!(address = %self.address, %error, "the broker closed a listener's channel; the listener resubscribes on a new channel");
            }
            session.abandon(error);
        }
        if let Some(recovery) = &self.recovery {
            recovery.session_lost();
        }
    }

    /// Waits until the acknowledgement is written, and returns its messages.
    /// `None` if it could not be written: the broker redelivers them, so handing them over would run them twice.
    ///
    /// Cancellation loses nothing: the acknowledgement and its messages stay with the listener.
    async fn hand_over(&mut self) -> Option<Vec<Box<dyn IncomingMessage>>> {
        let written = (&mut self.pending_ack.as_mut()?.written).await;
        let PendingAck { batch, stale, delivery_limit, .. } = self.pending_ack.take()?;
        if let Err(error) = written {
            count(&self.inner.counts.deliveries_dropped, batch.len());
            if !stale {
                self.lose(&error);
            }
            return None;
        }
        count(&self.inner.counts.handed_over_acknowledged, batch.len());
        let noted = (&*self.position, &*self.inner.counts);
        let settled = |(_, received)| incoming(noted, received, delivery_limit, None);
        Some(batch.into_iter().map(settled).collect())
    }

    /// Up to `max` messages that are ready. Where they are acknowledged
    /// before handover, begins that and returns `None`.
    ///
    /// `None` also if nothing is ready. The acknowledgement of a batch is one basic.ack for its last message;
    /// `multiple` is set only if the batch has several.
    fn take(&mut self, max: NonZeroUsize) -> Option<Vec<Box<dyn IncomingMessage>>> {
        let session = self.session.as_mut()?;
        let (last, batch) = session.take(max.get())?;
        let delivery_limit = session.delivery_limit();
        match self.mode {
            Settle::BeforeHandover => {
                count(&self.inner.counts.handover_acknowledgements, 1);
                let written = session.acknowledge(last, batch.len() > 1);
                self.pending_ack = Some(PendingAck { written, batch, delivery_limit, stale: false });
                None
            }
            Settle::ByReceiver => {
                count(&self.inner.counts.handed_over_unsettled, batch.len());
                let noted = (&*self.position, &*self.inner.counts);
                let unsettled = |(tag, received)| {
                    let unsettled = Some((tag, session.settler().clone()));
                    incoming(noted, received, delivery_limit, unsettled)
                };
                Some(batch.into_iter().map(unsettled).collect())
            }
        }
    }
}

#[async_trait]
impl Listener for AmqpListener {
    /// It may change between two polls.
    fn address(&self) -> &Address {
        &self.address
    }

    /// Returns at least one message, or `None` after a stop, when nothing is left to hand over.
    ///
    /// Fails with `Closed` once the transport is closed, or with the error that ended the recovery.
    /// Every later call returns the same one. A lost connection is no error here: the call waits for the recovery.
    ///
    /// Cancellation loses nothing: the next call continues.
    async fn poll(&mut self, max: NonZeroUsize) -> Result<Option<Vec<Box<dyn IncomingMessage>>>> {
        loop {
            // Also one that a poll began which was dropped since.
            if self.pending_ack.is_some() {
                if let Some(messages) = self.hand_over().await {
                    return Ok(Some(messages));
                }
                continue;
            }
            if let Some(end) = &self.end {
                return Err(end.clone());
            }
            if let Err(closed) = self.inner.current.check_open("poll") {
                // What was received could not be settled any more, so it is not handed over.
                self.end_with(closed);
                continue;
            }
            if self.recovery.is_none() && self.mode == Settle::BeforeHandover {
                // Stopped. What was not acknowledged before the stop is requeued when the channel ends.
                return Ok(None);
            }
            let read = self.read_all().await;
            if let Some(Err(error)) = &read {
                // The broker requeues the deliveries of a lost channel, so none of them may be handed over.
                self.lose(error);
                continue;
            }
            if let Some(messages) = self.take(max) {
                // A loss was handled above, so this is progress, the end or a cancelled consumer.
                if let Some(read) = read {
                    self.handle(ListenerEvent::Read(read));
                }
                return Ok(Some(messages));
            }
            let event = match read {
                Some(read) => ListenerEvent::Read(read),
                None if self.pending_ack.is_some() => continue,
                None => self.wait().await,
            };
            // `take` may have begun an acknowledgement, which the next round completes.
            if self.handle(event) && self.pending_ack.is_none() {
                return Ok(None);
            }
        }
    }

    /// Cancels the consumers and ends the recovery. `poll` then returns what has arrived,
    /// unless messages are acknowledged before handover: those go back to the queue.
    ///
    /// Fails with `Timeout` or `Disconnected`. The channel is closed then, so no message arrives any more.
    async fn stop(&mut self, deadline: Deadline) -> Result<()> {
        // A session that was restored since the last poll must be stopped too.
        while let Some(restored) = self.recovery.as_mut().and_then(RecoveryHandle::try_next) {
            self.handle(ListenerEvent::Restored(restored));
        }
        // Aborts the recovery task. A session that it was opening is dropped with it.
        self.recovery = None;
        match &mut self.session {
            Some(session) => session.cancel(deadline).await,
            // Nothing is consumed while the listener waits for its recovery.
            None => Ok(()),
        }
    }

    /// Stops first. Then writes the recorded acknowledgements, deletes the private queues and closes the channel.
    ///
    /// Fails with the error that ended the listener; `Disconnected` without a channel; `Timeout`.
    async fn close(mut self: Box<Self>, deadline: Deadline) -> Result<()> {
        let stopped = self.stop(deadline).await;
        match &mut self.session {
            Some(session) => session.release(deadline).await.and(stopped),
            None => Err(self.end.take().unwrap_or_else(|| self.left_behind())),
        }
    }
}

/// Moves the position of a stream forward, so it must be called once per message and in the order of handover.
/// `unsettled` is `None` for a message that was acknowledged before.
///
/// Counts the messages of a stream that retention deleted before this one, and warns of them.
fn incoming(
    (position, counts): (&StreamPosition, &Counts),
    received: Received,
    delivery_limit: Option<u64>,
    unsettled: Option<(Tag, Settler)>,
) -> Box<dyn IncomingMessage> {
    let missed = position.pass(&received.queue, &received.delivery);
    if missed > 0 {
        count(&counts.stream_messages_missed, usize::try_from(missed).unwrap_or(usize::MAX));
        warn!(
            stream = %received.queue,
            missed,
            "the broker deleted messages of a stream before the listener read them; the listener continues after them: it \
             is slower than the retention (x-max-age, rabbit_transient_queues_ttl) allows"
        );
    }
    // Before the conversion, which takes the delivery apart.
    let redelivered = received.delivery.redelivered;
    let message = properties::message(received, delivery_limit);
    Box::new(match unsettled {
        Some((tag, settler)) => AmqpIncoming::unsettled(message, redelivered, tag, settler),
        None => AmqpIncoming::settled(message, redelivered),
    })
}

impl std::fmt::Debug for PendingAck {
    /// The number of messages only: their bodies may be confidential.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PendingAck").field("messages", &self.batch.len()).finish_non_exhaustive()
    }
}
