//! Moves events that were given up to the dead-letter queue.

use std::sync::Arc;
use std::time::Duration;

use super::dead_letter::{DeadLetterInfo, queue_of};
use crate::{Address, Deadline, Message, PublishOptions, Result, Retry, Transport};

/// How long one event is tried to be moved before it is given back to its queue.
const PATIENCE: Duration = Duration::from_secs(30);

/// Publishes copies of events to the dead-letter queue of the queue they came from.
#[derive(Debug)]
pub(crate) struct DeadLetterWriter {
    transport: Arc<dyn Transport>,
}

impl DeadLetterWriter {
    pub(crate) fn new(transport: Arc<dyn Transport>) -> Self {
        Self { transport }
    }

    /// Puts a copy of `message`, with what is known of it in the headers, into `<queue>.dead`; returns when the broker
    /// owns it.
    ///
    /// # Errors
    /// What [`Transport::publish`] says.
    pub(crate) async fn write(&self, message: &Message, info: &DeadLetterInfo) -> Result<()> {
        let mut copy = Message::new(message.body.clone());
        copy.headers = message.headers.clone();
        info.write(&mut copy.headers);
        let address = Address::Queue { name: queue_of(&info.queue) };
        let deadline = Deadline::after(PATIENCE);
        let options = PublishOptions::by(deadline).mandatory();
        Retry::default().run_repeatable(deadline, || self.transport.publish(&address, copy.clone(), &options)).await
    }
}
