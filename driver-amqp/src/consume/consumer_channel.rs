//! The channel of a listener's consumers, and how a consumer is started on it.
//!
//! Consumers of one channel share its delivery tags, so an acknowledgement can cover messages of several queues.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::FutureExt;
use lapin::Consumer;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions, QueueDeclareOptions};
use lapin::types::{FieldTable, ShortString};
use oslo_messaging::{Deadline, Error, Result};

use crate::connection::Connection;
use crate::connection::channel::Channel;
use crate::consume::consumer_plan::ConsumerPlan;
use crate::link::Link;
use crate::link::consuming::Seat;
use crate::short_string::short_string;
use crate::topology::name_lease::taken;

/// A channel with its link. Clones share the channel: a session, its settler and its recovery each hold one.
#[derive(Debug, Clone)]
pub(crate) struct ConsumerChannel {
    /// Kept alive by the channel, so its sockets stay open as long as a consumer may settle.
    pub(crate) link: Arc<Link>,
    /// Dropping the last clone closes it.
    pub(crate) amqp: Channel,
    /// Its place on one of the consuming connections. After the channel, which closes first.
    seat: Arc<Seat>,
    /// How many consumer tags this channel has used. Clones share the count, so no tag is used twice.
    tags: Arc<AtomicU32>,
}

impl ConsumerChannel {
    /// Opens a channel without consumers on a connection of `link` that has room for it. `window` is the prefetch
    /// count of each consumer.
    ///
    /// # Errors
    /// As [`ConsumingConnections::seat`](crate::link::consuming::ConsumingConnections::seat) and
    /// [`Connection::channel`].
    ///
    /// # Cancellation
    /// Closes the channel.
    pub(crate) async fn open(link: &Arc<Link>, window: u16, deadline: Deadline) -> Result<Self> {
        let seat = link.consuming.seat(deadline).await?;
        let amqp = seat.connection.channel(deadline).await?;
        let setting = amqp.basic_qos(window, BasicQosOptions::default());
        seat.connection.ask("set prefetch", deadline, setting).await?;
        Ok(Self { link: Arc::clone(link), amqp, seat: Arc::new(seat), tags: Arc::default() })
    }

    /// The connection of the channel.
    pub(crate) fn connection(&self) -> &Connection {
        &self.seat.connection
    }

    /// According to lapin, which notes a loss a moment late.
    /// The channel of a lost link does not count as open.
    pub(crate) fn is_connected(&self) -> bool {
        self.amqp.status().connected() && self.link.is_connected()
    }

    /// Starts a consumer of the queue of `reading`, under a tag that is new on this channel.
    ///
    /// Fails with the broker's error, which closes the channel;
    /// with [`taken`] if the queue must have a single consumer and has another.
    pub(crate) async fn consume(&self, reading: &ConsumerPlan, deadline: Deadline) -> Result<Consumer> {
        let name = short_string("queue", &reading.plan.name)?;
        // A quorum queue ignores the exclusive flag. So its consumers are counted before and after the
        // start: of two that start at the same time, each sees the other.
        if reading.alone && self.readers(&name, deadline).await? > 0 {
            return Err(taken(name.as_str()));
        }
        let options = BasicConsumeOptions { exclusive: reading.alone, ..BasicConsumeOptions::default() };
        let tag = self.next_tag()?;
        let consume = self.amqp.basic_consume(name.clone(), tag.clone(), options, reading.arguments.clone());
        let consumer = self.connection().ask("consume", deadline, consume).await;
        let consumer = consumer.map_err(|error| {
            let refused = reading.alone && says_taken(&error);
            if refused { taken(name.as_str()).with_source(error) } else { error.with_context("queue", &name) }
        })?;
        if !reading.alone && !reading.stream {
            return Ok(consumer);
        }
        // A stream attaches a consumer shortly after consume-ok, but before it answers the next request on
        // the channel.
        let readers = self.readers(&name, deadline).await?;
        // Both of two consumers that started together leave; each retries after a random wait.
        if reading.alone && readers > 1 {
            let cancel = self.amqp.basic_cancel(tag, BasicCancelOptions::default());
            self.connection().ask("stop", deadline, cancel).await?;
            return Err(taken(name.as_str()));
        }
        Ok(consumer)
    }

    /// Closes the channel, and with it every consumer on it. Does not wait for the answer.
    /// Every consumer ends without an error of its own; what it had not acknowledged goes back to its queue.
    pub(crate) fn leave(&self) {
        let _ = self.amqp.close(200, "another is opened".into()).now_or_never();
    }

    /// The reference numbers its consumers from 1 (oslo.messaging `declare_consumer`), and so does this driver.
    /// RabbitMQ 4.3 keeps the tag of a consumer that it cancelled for its timeout,
    /// and closes the connection of a client that uses it again.
    ///
    /// Never fails in practice: a number of 32 bits is far below 255 bytes.
    fn next_tag(&self) -> Result<ShortString> {
        short_string("consumer_tag", &(self.tags.fetch_add(1, Ordering::Relaxed) + 1).to_string())
    }

    /// How many consumers the queue has, by a passive declare.
    ///
    /// On this channel, so the answer comes after what was requested before.
    ///
    /// Fails with the broker's error, which closes the channel.
    async fn readers(&self, queue: &ShortString, deadline: Deadline) -> Result<u32> {
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let asking = self.amqp.queue_declare(queue.clone(), options, FieldTable::default());
        let found = self.connection().ask("find queue", deadline, asking).await;
        found.map(|queue| queue.consumer_count()).map_err(|error| error.with_context("queue", queue))
    }
}

/// Whether `error` has the broker's words for a classic queue
/// with an exclusive consumer, or with one that prevents ours.
fn says_taken(error: &Error) -> bool {
    error.to_string().contains("in exclusive use")
}
