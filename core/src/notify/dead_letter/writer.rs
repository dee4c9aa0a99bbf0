//! Publishes copies of given-up events to dead-letter queues, or back to their own queue.
//!
//! Every copy is published as mandatory and confirmed before the original is acknowledged. So an event is in one of
//! the two queues at any time, and in both for a moment.

use std::sync::Arc;
use std::time::Duration;

use super::info::{DeadLetterInfo, Extent, queue_of, strip};
use crate::driver::{Address, Message, PublishOptions, Transport};
use crate::{Deadline, ErrorKind, Result, Retry};

/// How long one event is tried to be moved before it makes room for others. It is tried again later.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Publishes copies of messages to the dead-letter queue of the queue they came from, or back to that queue.
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

    /// Puts a copy of `message`, with what is known of it in the headers, into `<queue>.dead`; returns when the broker
    /// owns it. Headers that are too large for the driver are left out: first the message's own that are not needed to
    /// read it, then those that explain the failure.
    ///
    /// Errors: what the last attempt of [`Transport::publish`] failed with;
    /// `TooLarge` if not even the shortest headers fit.
    pub(crate) async fn write(&self, message: &Message, info: &DeadLetterInfo) -> Result<()> {
        let address = Address::Queue { name: queue_of(&info.queue) };
        let mut outcome = Ok(());
        for extent in Extent::LARGEST_FIRST {
            let mut copy = Message::new(message.body.clone());
            copy.headers = info.headers(&message.headers, extent);
            outcome = self.publish(&address, copy).await;
            match &outcome {
                Err(error) if error.kind() == ErrorKind::TooLarge => {}
                _ => break,
            }
        }
        outcome
    }

    /// Puts a copy of `message` at the end of the queue it came from; returns when the broker owns it. The copy does
    /// not expire: it belongs into a dead-letter queue.
    ///
    /// Errors: what the last attempt of [`Transport::publish`] failed with;
    /// `TooLarge` if the copy does not fit without foreign headers either.
    pub(crate) async fn send_back(&self, message: &Message, info: &DeadLetterInfo) -> Result<()> {
        // Without the facts of the failure:
        // the copy is an event again, and this process remembers why it was given up.
        let mut copy = Message::new(message.body.clone());
        copy.headers = message.headers.clone();
        strip(&mut copy.headers);
        let address = Address::Direct { queue: info.queue.clone() };
        let outcome = self.publish(&address, copy.clone()).await;
        match &outcome {
            Err(error) if error.kind() == ErrorKind::TooLarge => {
                copy.headers = info.headers(&message.headers, Extent::Bare);
                strip(&mut copy.headers);
                self.publish(&address, copy).await
            }
            _ => outcome,
        }
    }

    /// Publishes as mandatory and repeats also what may have arrived:
    /// a copy too many is recognised by its `_unique_id`.
    async fn publish(&self, to: &Address, message: Message) -> Result<()> {
        let deadline = Deadline::after(TIMEOUT);
        let options = PublishOptions::by(deadline).mandatory();
        Retry::default().run_repeatable(deadline, || self.transport.publish(to, message.clone(), &options)).await
    }
}
