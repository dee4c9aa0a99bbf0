//! What was given up: to look at, to send again, to throw away.

use std::num::{NonZeroU16, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use super::dead_letter::{DeadLetterInfo, queue_of, strip};
use super::event::Event;
use crate::wire::Notification;
use crate::{
    Address, Bus, Deadline, Error, ErrorKind, IncomingMessage, Listener, Message, PublishOptions, Result, Settle,
    Source, Subscription, Transport,
};

/// Dead letters that are in hand at once. What is not settled stays in the queue.
const WINDOW: NonZeroU16 = NonZeroU16::new(100).expect("100 is not zero");

/// The dead-letter queue of one queue: events that were given up, to look at, to send again or to throw away.
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
}

/// An event that was given up. Dropping it leaves it where it is.
#[derive(Debug)]
pub struct DeadLetter {
    transport: Arc<dyn Transport>,
    message: Box<dyn IncomingMessage>,
    info: DeadLetterInfo,
}

impl DeadLetters {
    /// Opens the dead-letter queue of `queue`: `notifications.info` for a topic and a priority, or the name of a pool.
    /// It is made if it does not exist.
    ///
    /// # Errors
    /// What [`Transport::subscribe`] says.
    pub async fn open(bus: &Bus, queue: &str, deadline: Deadline) -> Result<Self> {
        let source = Source::Queue { name: queue_of(queue) };
        let subscription = Subscription::new(source).with_settle(Settle::ByReceiver).with_window(WINDOW);
        let transport = Arc::clone(&bus.0.transport);
        let listener = transport.subscribe(&subscription, deadline).await?;
        Ok(Self { transport, listener, queue: queue.to_owned() })
    }

    /// The next event, oldest first; `None` if there was none for `patience`. A broker tells nobody that a queue is
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
            DeadLetter { transport: Arc::clone(&self.transport), message, info }
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
        self.listener.close(deadline).await
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
        self.message.message()
    }

    /// The event in it.
    ///
    /// # Errors
    /// [`ErrorKind::Decode`] if there is none, which may be why it was given up.
    pub fn event(&self) -> Result<Event> {
        let notification = Notification::decode(self.message.message())?;
        Event::received(notification, self.message.redelivered()).ok_or_else(|| {
            Error::new(ErrorKind::Decode, "read a dead letter").with("reason", "its priority is unknown")
        })
    }

    /// Puts it back into the queue that it came from, and into no other; returns when the broker owns it there.
    ///
    /// # Errors
    /// [`ErrorKind::Undeliverable`] if that queue is not there any more, and what [`Transport::publish`] says; it is
    /// still a dead letter then.
    ///
    /// # Cancellation
    /// It may be in both queues.
    pub async fn replay(self, deadline: Deadline) -> Result<()> {
        let mut message = Message::new(self.message.message().body.clone());
        message.headers.clone_from(&self.message.message().headers);
        strip(&mut message.headers);
        let address = Address::Direct { queue: self.info.queue.clone() };
        self.transport.publish(&address, message, &PublishOptions::by(deadline).mandatory()).await?;
        self.message.acknowledge().await
    }

    /// Throws it away.
    ///
    /// # Errors
    /// [`ErrorKind::Disconnected`] if that could not be recorded; it is still a dead letter then.
    pub async fn discard(self) -> Result<()> {
        self.message.acknowledge().await
    }
}
