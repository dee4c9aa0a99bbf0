//! What was given up: to look at, to send again, to throw away.

use std::num::{NonZeroU16, NonZeroUsize};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use super::dead_letter::{DeadLetterInfo, queue_of, strip};
use super::event::Event;
use crate::wire::Notification;
use crate::wire::compression::body_within;
use crate::{
    Address, Bus, Deadline, Error, ErrorKind, IncomingMessage, Listener, Message, PublishOptions, Result, Settle,
    Source, Subscription, Transport,
};

/// Dead letters that are in hand at once, those that were only looked at among them.
const WINDOW: NonZeroU16 = NonZeroU16::new(1_000).expect("1000 is not zero");

/// The dead-letter queue of one queue: events that were given up, to look at, to send again or to throw away.
///
/// Each is seen once: one that was only looked at is in the queue again when this is closed or dropped, and nobody else has it
/// before. A thousand may be looked at so; those behind them show only as others are sent again or thrown away.
///
/// ```
/// # use std::time::Duration;
/// # use oslo_messaging::{Bus, Deadline, DeadLetters};
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
    queue: String,
    /// How many bytes an event may have once it is decompressed.
    limit: usize,
    looked_at: Arc<LookedAt>,
}

/// An event that was given up. Dropping it leaves it where it is.
#[derive(Debug)]
pub struct DeadLetter {
    transport: Arc<dyn Transport>,
    /// Taken when it is settled, or put back.
    message: Option<Box<dyn IncomingMessage>>,
    info: DeadLetterInfo,
    limit: usize,
    looked_at: Weak<LookedAt>,
}

/// Letters that were looked at and left. Unsettled, since a broker hands over at once what it is given back.
#[derive(Debug, Default)]
struct LookedAt(Mutex<Vec<Box<dyn IncomingMessage>>>);

impl DeadLetters {
    /// Opens the dead-letter queue of `queue`: `notifications.info` for a topic and a priority, or the name of a pool.
    /// It is made if it does not exist.
    ///
    /// # Errors
    /// What [`Transport::subscribe`] says.
    pub async fn open(bus: &Bus, queue: &str, deadline: Deadline) -> Result<Self> {
        let source = Source::Queue { name: queue_of(queue) };
        let subscription = Subscription::new(source).with_settle(Settle::ByReceiver).with_window(WINDOW);
        let listener = bus.0.subscribe(&subscription, deadline).await?;
        let transport = Arc::clone(&bus.0.transport);
        let limit = bus.0.decoding.limit;
        Ok(Self { transport, listener, queue: queue.to_owned(), limit, looked_at: Arc::default() })
    }

    /// The next event, oldest first; `None` if there was no other for `patience`. A broker tells nobody that a queue is
    /// empty.
    ///
    /// # Errors
    /// Only a loss that cannot be repaired. It is final: open the queue anew.
    ///
    /// # Cancellation
    /// Safe: nothing is lost.
    pub async fn next(&mut self, patience: Duration) -> Result<Option<DeadLetter>> {
        let Ok(polled) = tokio::time::timeout(patience, self.listener.poll(NonZeroUsize::MIN)).await else {
            return Ok(None);
        };
        let message = polled?.and_then(|mut messages| messages.pop());
        Ok(message.map(|message| {
            let mut info = DeadLetterInfo::read(&message.message().headers);
            if info.queue.is_empty() {
                info.queue.clone_from(&self.queue);
            }
            let (transport, looked_at) = (Arc::clone(&self.transport), Arc::downgrade(&self.looked_at));
            DeadLetter { transport, message: Some(message), info, limit: self.limit, looked_at }
        }))
    }

    /// Sends every event again, until there was none for `patience`; says how many there were.
    ///
    /// # Errors
    /// As [`DeadLetter::replay`]; what was not sent again is still there.
    pub async fn replay_all(&mut self, patience: Duration, deadline: Deadline) -> Result<u64> {
        let mut replayed = 0;
        while let Some(letter) = self.next(patience).await? {
            letter.replay(deadline).await?;
            replayed += 1;
        }
        Ok(replayed)
    }

    /// Throws every event away, until there was none for `patience`; says how many there were.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub async fn purge(&mut self, patience: Duration) -> Result<u64> {
        let mut purged = 0;
        while let Some(letter) = self.next(patience).await? {
            letter.discard().await?;
            purged += 1;
        }
        Ok(purged)
    }

    /// Closes the queue and leaves in it what is left.
    ///
    /// # Errors
    /// [`ErrorKind::Timeout`] or [`ErrorKind::Disconnected`]; everything local is released all the same.
    pub async fn close(self, deadline: Deadline) -> Result<()> {
        let closed = self.listener.close(deadline).await;
        // Only now: an open listener would be handed them again.
        drop(self.looked_at);
        closed
    }
}

impl DeadLetter {
    /// Why it was given up, and where it came from.
    #[must_use]
    pub fn info(&self) -> &DeadLetterInfo {
        &self.info
    }

    /// The message as it came, with the headers of a dead letter.
    #[must_use]
    pub fn message(&self) -> &Message {
        self.incoming().message()
    }

    /// The event in it.
    ///
    /// # Errors
    /// [`ErrorKind::Decode`] if there is none, which may be why it was given up.
    pub fn event(&self) -> Result<Event> {
        let notification = Notification::of_body(body_within(self.message(), self.limit)?)?;
        Event::received(notification, self.incoming().redelivered()).ok_or_else(|| {
            Error::new(ErrorKind::Decode, "read a dead letter").with("reason", "its priority is unknown")
        })
    }

    /// Puts it back into the queue that it came from, and into no other; returns when the broker owns it there.
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
        let address = Address::Direct { queue: self.info.queue.clone() };
        let options = PublishOptions::by(deadline).mandatory();
        let Err(error) = self.transport.publish(&address, message, &options).await else {
            return self.discard().await;
        };
        // Whoever tries again is to find it again.
        if let Some(message) = self.message.take() {
            let _ = message.requeue().await;
        }
        Err(error)
    }

    /// Throws it away.
    ///
    /// # Errors
    /// [`ErrorKind::Disconnected`] if that could not be recorded; it is still a dead letter then.
    pub async fn discard(mut self) -> Result<()> {
        match self.message.take() {
            Some(message) => message.acknowledge().await,
            None => Ok(()),
        }
    }

    fn incoming(&self) -> &dyn IncomingMessage {
        self.message.as_deref().expect("the message is taken only by what consumes the letter")
    }
}

impl Drop for DeadLetter {
    fn drop(&mut self) {
        let kept = self.message.take().zip(self.looked_at.upgrade());
        if let Some((message, looked_at)) = kept {
            looked_at.0.lock().unwrap_or_else(PoisonError::into_inner).push(message);
        }
    }
}
