//! Where the consumers of a listener live: a channel of a link.

use std::sync::Arc;

use lapin::options::BasicConsumeOptions;
use lapin::types::{FieldTable, ShortString};
use lapin::{Channel, Consumer};
use oslo_messaging::{Deadline, QueuePlan, Result};

use crate::link::Link;
use crate::names::short;

/// A channel, and the link that it is on.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) link: Arc<Link>,
    pub(crate) channel: Channel,
}

impl Place {
    /// Whether consumers can still live there.
    pub(crate) fn is_connected(&self) -> bool {
        self.channel.status().connected() && self.link.is_connected()
    }

    /// Starts to consume `queue`, the one of `index` of its subscription.
    ///
    /// # Errors
    /// As the broker's; the channel is gone then.
    pub(crate) async fn consume(&self, index: usize, queue: &QueuePlan, deadline: Deadline) -> Result<Consumer> {
        let name = short("queue", &queue.name)?;
        let options = BasicConsumeOptions::default();
        let consume = self.channel.basic_consume(name, tag(index)?, options, FieldTable::default());
        let consumer = self.link.consuming.ask("consume", deadline, consume).await;
        consumer.map_err(|error| error.with("queue", &queue.name))
    }
}

/// The reference numbers its consumers from 1 (oslo.messaging `declare_consumer`).
pub(crate) fn tag(index: usize) -> Result<ShortString> {
    short("consumer tag", &(index + 1).to_string())
}
