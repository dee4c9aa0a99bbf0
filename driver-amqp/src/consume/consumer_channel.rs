//! Where the consumers of a listener live: a channel of a link.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::FutureExt;
use lapin::Consumer;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, QueueDeclareOptions};
use lapin::types::{FieldTable, ShortString};
use oslo_messaging::{Deadline, Error, Result};

use crate::connection::channel::Channel;
use crate::consume::consumer_plan::ConsumerPlan;
use crate::link::Link;
use crate::short_string::short_string;
use crate::topology::name_lease::taken;

/// A channel, and the link that it is on.
#[derive(Debug, Clone)]
pub(crate) struct ConsumerChannel {
    pub(crate) link: Arc<Link>,
    pub(crate) amqp: Channel,
    /// How many consumer tags were used on this channel.
    tags: Arc<AtomicU32>,
}

impl ConsumerChannel {
    /// A channel of `link` on which nothing is consumed yet.
    pub(crate) fn new(link: &Arc<Link>, channel: Channel) -> Self {
        Self { link: Arc::clone(link), amqp: channel, tags: Arc::default() }
    }

    /// Whether consumers can still live there.
    pub(crate) fn is_connected(&self) -> bool {
        self.amqp.status().connected() && self.link.is_connected()
    }

    /// Starts to consume the queue of `reading`, under a tag that was not used on this channel before.
    ///
    /// # Errors
    /// As the broker's, and then the channel is gone; [`taken`] if nobody else may read the queue and somebody does.
    pub(crate) async fn consume(&self, reading: &ConsumerPlan, deadline: Deadline) -> Result<Consumer> {
        let name = short_string("queue", &reading.plan.name)?;
        // A quorum queue takes a second consumer whatever the first has asked for, so its readers are counted, before it is
        // read and again when it is: of two that came at once, each sees the other.
        if reading.alone && self.readers(&name, deadline).await? > 0 {
            return Err(taken(name.as_str()));
        }
        let options = BasicConsumeOptions { exclusive: reading.alone, ..BasicConsumeOptions::default() };
        let tag = self.next_tag()?;
        let consume = self.amqp.basic_consume(name.clone(), tag.clone(), options, reading.arguments.clone());
        let consumer = self.link.consuming.ask("consume", deadline, consume).await;
        let consumer = consumer.map_err(|error| {
            let refused = reading.alone && says_taken(&error);
            if refused { taken(name.as_str()).with_source(error) } else { error.with("queue", &name) }
        })?;
        if !reading.alone && !reading.stream {
            return Ok(consumer);
        }
        // A stream is read a moment after the broker says so, but before it answers what it is asked next.
        let readers = self.readers(&name, deadline).await?;
        if reading.alone && readers > 1 {
            let cancel = self.amqp.basic_cancel(tag, BasicCancelOptions::default());
            self.link.consuming.ask("stop", deadline, cancel).await?;
            return Err(taken(name.as_str()));
        }
        Ok(consumer)
    }

    /// Ends the channel, and with it every consumer of it, as soon as the broker reads that: nobody waits for the answer.
    pub(crate) fn leave(&self) {
        let _ = self.amqp.close(200, "another is opened".into()).now_or_never();
    }

    /// The reference numbers its consumers from 1 (oslo.messaging `declare_consumer`), and so do we. RabbitMQ 4.3 remembers
    /// the tag of a consumer that it has cancelled because of its timeout, and closes the connection of a client that uses
    /// the tag again.
    fn next_tag(&self) -> Result<ShortString> {
        short_string("consumer_tag", &(self.tags.fetch_add(1, Ordering::Relaxed) + 1).to_string())
    }

    /// How many consumers a queue has.
    async fn readers(&self, queue: &ShortString, deadline: Deadline) -> Result<u32> {
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let asking = self.amqp.queue_declare(queue.clone(), options, FieldTable::default());
        let found = self.link.consuming.ask("find queue", deadline, asking).await;
        found.map(|queue| queue.consumer_count()).map_err(|error| error.with("queue", queue))
    }
}

/// The broker's words where a classic queue has a reader that wants it alone, or another one.
fn says_taken(error: &Error) -> bool {
    error.to_string().contains("in exclusive use")
}
