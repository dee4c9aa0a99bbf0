//! Reads a dead-letter queue: to inspect its events, to replay them, or to discard them.
//!
//! A consumer cannot look at a message without taking it, so letters that were only inspected stay unsettled until
//! the reader is closed. A quorum queue counts that as a failed delivery;
//! a letter near its limit is therefore replaced by a confirmed copy.

use std::collections::VecDeque;
use std::num::NonZeroU16;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tracing::warn;

use super::info::{DeadLetterInfo, Extent, strip};
use super::queue::queue_of;
use crate::delivery::settled;
use crate::driver::{
    Address, DeliveryCount, IncomingMessage, Listener, Message, PublishOptions, Settle, Source, Subscription, Transport,
};
use crate::notify::event::Event;
use crate::wire::Notification;
use crate::wire::compression::body_within;
use crate::{Bus, Deadline, Error, ErrorKind, Result};

/// How often a letter may come back unacknowledged before it is replaced by a copy. RabbitMQ 4 drops what came back
/// more than 20 times, unless the queue was made without that limit.
const REFRESHED_AT: u64 = 10;
/// How long putting such a copy into the queue may take.
const REFRESHING: Duration = Duration::from_secs(10);
/// Dead letters that are in hand at once, those that were only looked at among them.
const WINDOW: NonZeroU16 = NonZeroU16::new(1_000).expect("1000 is not zero");

/// The dead-letter queue of one queue: given-up events to inspect, replay or discard.
///
/// Each event is returned once. One that was only inspected is in the queue again when this is closed or dropped; no
/// other reader gets it before. A quorum queue counts that as a failed delivery, so a letter near the delivery limit is
/// replaced by a confirmed copy at the end of the queue and is never lost by inspection. At most a thousand letters can
/// be inspected at once; those behind them follow as others are replayed or discarded.
///
/// ```
/// # use std::time::Duration;
/// # use oslo_messaging::notify::DeadLetters;
/// # use oslo_messaging::{Bus, Deadline};
/// # async fn run(bus: &Bus) -> oslo_messaging::Result<()> {
/// let soon = Deadline::after(Duration::from_secs(5));
/// let mut dead = DeadLetters::open(bus, "notifications.info", soon).await?;
/// while let Some(letter) = dead.next(Duration::from_millis(500)).await? {
///     println!("{}: {}", letter.info().reason, letter.info().detail);
///     letter.replay(soon).await?;
/// }
/// dead.close(soon).await
/// # }
/// ```
#[derive(Debug)]
pub struct DeadLetters {
    transport: Arc<dyn Transport>,
    listener: Box<dyn Listener>,
    /// The queue that the events came from, which is the only one that a replay writes to.
    queue: Arc<str>,
    /// How many bytes an event may have once it is decompressed.
    limit: usize,
    /// Letters that the broker handed over and no call has asked for yet.
    ahead: VecDeque<Box<dyn IncomingMessage>>,
    /// The drop of a letter adds to it; all go back when this reader is closed or dropped.
    inspected: Arc<InspectedLetters>,
}

/// A given-up event. Dropping it leaves it in the dead-letter queue.
#[derive(Debug)]
pub struct DeadLetter {
    transport: Arc<dyn Transport>,
    /// `None` once it is settled or kept among the inspected ones.
    message: Option<Box<dyn IncomingMessage>>,
    /// Read from the headers once, when the letter was returned by `next`.
    info: DeadLetterInfo,
    limit: usize,
    /// Where it may be sent again. The headers say that too, but any publisher could have written those.
    queue: Arc<str>,
    /// Weak, so that a letter that outlives its reader is requeued by its own drop.
    inspected: Weak<InspectedLetters>,
}

/// Letters that were looked at and left. Unsettled, since a broker hands over at once what it is given back.
#[derive(Debug, Default)]
struct InspectedLetters(Mutex<Vec<Box<dyn IncomingMessage>>>);

impl DeadLetters {
    /// Opens the dead-letter queue of `queue`:
    /// `notifications.info` for a topic and a priority, or the name of a pool. It is made if it does not exist.
    ///
    /// # Errors
    /// What the last attempt of [`Transport::subscribe`] failed with.
    pub async fn open(bus: &Bus, queue: &str, deadline: Deadline) -> Result<Self> {
        let source = Source::Queue { name: queue_of(queue) };
        let subscription = Subscription::new(source).with_settle(Settle::ByReceiver).with_window(WINDOW);
        let listener = bus.0.subscribe(&subscription, deadline).await?;
        let transport = Arc::clone(&bus.0.transport);
        let (limit, ahead, inspected) = (bus.0.decoding.limit, VecDeque::new(), Arc::default());
        Ok(Self { transport, listener, queue: queue.into(), limit, ahead, inspected })
    }

    /// The next event, oldest first; `None` if no other arrived for `idle`.
    /// A consumer does not learn that a queue is empty, so only the time can say.
    ///
    /// # Errors
    /// Only a loss that the driver cannot repair. It is final: open the queue again.
    ///
    /// # Cancellation
    /// Safe: nothing is lost.
    pub async fn next(&mut self, idle: Duration) -> Result<Option<DeadLetter>> {
        let deadline = Instant::now().checked_add(idle);
        while self.ahead.is_empty() {
            let polled = self.listener.poll(WINDOW.into());
            let polled = match deadline {
                Some(deadline) => timeout_at(deadline, polled).await,
                None => Ok(polled.await),
            };
            let Ok(polled) = polled else { return Ok(None) };
            let Some(messages) = polled? else { return Ok(None) };
            self.take_in(messages).await;
        }
        Ok(self.ahead.pop_front().map(|message| {
            let mut info = DeadLetterInfo::read(&message.message().headers);
            // A dead letter that another program wrote may lack our headers.
            if info.queue.is_empty() {
                self.queue.as_ref().clone_into(&mut info.queue);
            }
            // Weak, so that a letter that outlives its reader does not keep the inspected ones from going back.
            let (transport, inspected) = (Arc::clone(&self.transport), Arc::downgrade(&self.inspected));
            let (queue, limit) = (Arc::clone(&self.queue), self.limit);
            DeadLetter { transport, message: Some(message), info, queue, limit, inspected }
        }))
    }

    /// Replays every event until none arrived for `idle`; returns how many there were.
    ///
    /// # Errors
    /// As [`DeadLetter::replay`]; what was not sent again is still there.
    pub async fn replay_all(&mut self, idle: Duration, deadline: Deadline) -> Result<u64> {
        let mut replayed = 0;
        while let Some(letter) = self.next(idle).await? {
            letter.replay(deadline).await?;
            replayed += 1;
        }
        Ok(replayed)
    }

    /// Discards every event until none arrived for `idle`; returns how many there were.
    ///
    /// # Errors
    /// As [`next`](Self::next) and [`DeadLetter::discard`]; what was not discarded is still there.
    pub async fn purge(&mut self, idle: Duration) -> Result<u64> {
        let mut purged = 0;
        while let Some(letter) = self.next(idle).await? {
            letter.discard().await?;
            purged += 1;
        }
        Ok(purged)
    }

    /// Closes the queue and leaves in it what is left.
    ///
    /// # Errors
    /// [`ErrorKind::Timeout`] or [`ErrorKind::Disconnected`]; everything local is released all the same.
    pub async fn close(mut self, deadline: Deadline) -> Result<()> {
        // What the broker has handed over counts one delivery more, whether it was asked for or not.
        if self.listener.stop(deadline).await.is_ok() {
            while let Ok(Ok(Some(messages))) = deadline.run("close", self.listener.poll(WINDOW.into())).await {
                self.take_in(messages).await;
            }
        }
        let closed = self.listener.close(deadline).await;
        // Only now: an open listener would be handed them again.
        drop(self.inspected);
        closed
    }

    /// Keeps `messages` for [`next`](Self::next); of one that came back often, only a copy at the end of the queue.
    async fn take_in(&mut self, messages: Vec<Box<dyn IncomingMessage>>) {
        // All of them are kept before the first is copied, so that a caller who gives up loses none.
        self.ahead.extend(messages);
        while let Some(place) = self.often_returned() {
            let message = self.ahead[place].message().clone();
            if let Err(error) = copy_to_end(&*self.transport, &self.queue, &message).await {
                warn!(%error, queue = %self.queue, "a dead letter near its delivery limit could not be copied to the end of its queue; it is inspected without a copy");
                return;
            }
            if let Some(message) = self.ahead.remove(place) {
                settled(message.acknowledge().await);
            }
        }
    }

    /// The place of a letter that came back unacknowledged [`REFRESHED_AT`] times or more.
    fn often_returned(&self) -> Option<usize> {
        let count = |message: &dyn IncomingMessage| message.message().delivery_count;
        let often = |count: DeliveryCount| count.failed >= REFRESHED_AT;
        self.ahead.iter().position(|message| count(&**message).is_some_and(often))
    }
}

impl DeadLetter {
    /// Why the event was given up, and where it was published.
    #[must_use]
    pub fn info(&self) -> &DeadLetterInfo {
        &self.info
    }

    /// The message as it came, with the headers of a dead letter.
    #[must_use]
    pub fn message(&self) -> &Message {
        self.incoming().message()
    }

    /// Decodes the event; its payload stays JSON, since only its handler knows the type.
    ///
    /// # Errors
    /// [`ErrorKind::Decode`] if there is none, which may be why it was given up.
    pub fn event(&self) -> Result<Event> {
        let notification = Notification::of_body(&body_within(self.message(), self.limit)?)?;
        Event::received(notification, self.incoming().redelivered()).ok_or_else(|| {
            Error::new(ErrorKind::Decode, "read a dead letter").with_context("reason", "its priority is unknown")
        })
    }

    /// Puts it back into the queue whose dead letters were opened, and into no other, whatever its headers say;
    /// returns when the broker owns it there.
    ///
    /// # Errors
    /// [`ErrorKind::Undeliverable`] if that queue is not there any more, and what [`Transport::publish`] says; it is
    /// still a dead letter then, and [`DeadLetters::next`] gives it again.
    ///
    /// # Cancellation
    /// It may be in both queues.
    pub async fn replay(mut self, deadline: Deadline) -> Result<()> {
        let mut message = Message::new(self.message().body.clone());
        message.headers.clone_from(&self.message().headers);
        strip(&mut message.headers);
        let address = Address::Direct { queue: self.queue.as_ref().to_owned() };
        let options = PublishOptions::by(deadline).mandatory();
        let Err(error) = self.transport.publish(&address, message, &options).await else {
            return self.discard().await;
        };
        // Requeued, so that another attempt finds it.
        if let Some(message) = self.message.take() {
            let _ = message.requeue().await;
        }
        Err(error)
    }

    /// Acknowledges the letter, so that the broker deletes the event for good.
    ///
    /// # Errors
    /// [`ErrorKind::Disconnected`] if that could not be recorded; it is still a dead letter then.
    pub async fn discard(mut self) -> Result<()> {
        match self.message.take() {
            Some(message) => message.acknowledge().await,
            None => Ok(()),
        }
    }

    /// Panics once the message was taken, after which no method of the letter can be called.
    fn incoming(&self) -> &dyn IncomingMessage {
        self.message.as_deref().expect("the message is taken only by what consumes the letter")
    }
}

/// Publishes a copy of a dead letter of `queue` to the end of its dead-letter queue;
/// without the headers that do not fit, as when it was written.
async fn copy_to_end(transport: &dyn Transport, queue: &str, message: &Message) -> Result<()> {
    let info = DeadLetterInfo::read(&message.headers);
    let to = Address::Queue { name: queue_of(queue) };
    let options = PublishOptions::by(Deadline::after(REFRESHING)).mandatory();
    let mut copied = Ok(());
    for extent in Extent::LARGEST_FIRST {
        let mut copy = Message::new(message.body.clone());
        copy.headers = info.headers(&message.headers, extent);
        copied = transport.publish(&to, copy, &options).await;
        match &copied {
            Err(error) if error.kind() == ErrorKind::TooLarge => {}
            _ => break,
        }
    }
    copied
}

impl Drop for DeadLetter {
    fn drop(&mut self) {
        let kept = self.message.take().zip(self.inspected.upgrade());
        if let Some((message, inspected)) = kept {
            inspected.0.lock().unwrap_or_else(PoisonError::into_inner).push(message);
        }
    }
}
