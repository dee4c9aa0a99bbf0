//! Publishes given-up events to dead-letter queues, as dead letters, or back to their own queue, as returned events.
//!
//! Both are published as mandatory and confirmed before the original is acknowledged. So an event is in one of
//! the two queues at any time, and in both for a moment.

use std::sync::Arc;
use std::time::Duration;

use super::info::{DeadLetterInfo, Extent, strip};
use super::queue::queue_of;
use crate::driver::{Address, Message, PublishOptions, Transport};
use crate::{Deadline, ErrorKind, Result, Retry};

/// How long one attempt to move an event may take before it makes room for others. Another follows later.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Publishes messages to the dead-letter queue of the queue they came from, or back to that queue.
#[derive(Debug)]
pub(crate) struct DeadLetterWriter {
    transport: Arc<dyn Transport>,
}

impl DeadLetterWriter {
    pub(crate) fn new(transport: Arc<dyn Transport>) -> Self {
        Self { transport }
    }

    /// Declares the dead-letter queue of `queue`; repeats for 10 s what certainly had no effect and may pass.
    ///
    /// Errors: what the last attempt of [`Transport::publish`] failed with.
    pub(crate) async fn declare(&self, queue: &str) -> Result<()> {
        let address = Address::Queue { name: queue_of(queue) };
        let deadline = Deadline::after(TIMEOUT);
        let options = PublishOptions::by(deadline).declare_only();
        Retry::default().run(deadline, || self.transport.publish(&address, Message::new(""), &options)).await
    }

    /// Puts the dead letter of `message`, with what is known of it in the headers, into `<queue>.dead`; returns when the
    /// broker owns it. Headers that are too large for the driver are left out: first the message's own that are not needed to
    /// read it, then those that explain the failure.
    ///
    /// Errors: what the last attempt of [`Transport::publish`] failed with;
    /// `TooLarge` if not even the shortest headers fit.
    pub(crate) async fn write(&self, message: &Message, info: &DeadLetterInfo) -> Result<()> {
        let address = Address::Queue { name: queue_of(&info.queue) };
        let mut outcome = Ok(());
        for extent in Extent::LARGEST_FIRST {
            let mut dead_letter = Message::new(message.body.clone());
            dead_letter.headers = info.headers(&message.headers, extent);
            outcome = self.publish(&address, dead_letter).await;
            match &outcome {
                Err(error) if error.kind() == ErrorKind::TooLarge => {}
                _ => break,
            }
        }
        outcome
    }

    /// Puts `message` at the end of the queue it came from, as a returned event; returns when the broker owns that. The
    /// returned event does not expire: it belongs into a dead-letter queue.
    ///
    /// Errors: what the last attempt of [`Transport::publish`] failed with;
    /// `TooLarge` if the returned event does not fit without foreign headers either.
    pub(crate) async fn send_back(&self, message: &Message, info: &DeadLetterInfo) -> Result<()> {
        // Without the facts of the failure:
        // this is an event again, and this process remembers why it was given up.
        let mut returned = Message::new(message.body.clone());
        returned.headers = message.headers.clone();
        strip(&mut returned.headers);
        let address = Address::Direct { queue: info.queue.clone() };
        let outcome = self.publish(&address, returned.clone()).await;
        match &outcome {
            Err(error) if error.kind() == ErrorKind::TooLarge => {
                returned.headers = info.headers(&message.headers, Extent::Bare);
                strip(&mut returned.headers);
                self.publish(&address, returned).await
            }
            _ => outcome,
        }
    }

    /// Publishes as mandatory and repeats also what may have arrived:
    /// a second message of one event is recognised by its `_unique_id`.
    async fn publish(&self, to: &Address, message: Message) -> Result<()> {
        let deadline = Deadline::after(TIMEOUT);
        let options = PublishOptions::by(deadline).mandatory();
        Retry::default().run_repeatable(deadline, || self.transport.publish(to, message.clone(), &options)).await
    }
}
