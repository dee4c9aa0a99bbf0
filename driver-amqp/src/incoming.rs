//! A received message, which its receiver settles once, without a wait for the broker.
//!
//! Settling consumes the message, so it cannot be settled twice.
//! The decision is queued for the task that writes for the listener's channel; nothing here waits for the broker.
//! AMQP does not confirm a basic.ack, basic.nack or basic.reject,
//! so a success means that the decision was queued, not that the broker has it.

use async_trait::async_trait;
use oslo_messaging::Result;
use oslo_messaging::driver::{IncomingMessage, Message};

use crate::consume::ack_frames::Tag;
use crate::consume::settler::{Command, Settler};

/// A received message. One that the driver acknowledged
/// before handover has no settler. Dropping an unsettled one requeues it.
#[derive(Debug)]
pub(crate) struct AmqpIncoming {
    /// The decoded message. Receivers see nothing of lapin.
    message: Message,
    /// The flag of basic.deliver. The broker sets it
    /// if it has delivered the message before, whether or not a receiver saw it.
    redelivered: bool,
    /// The delivery tag, and the task that writes its settlement.
    /// `None` if nothing is left to settle: the driver acknowledged the message
    /// before handover, or a settlement took the tag.
    unsettled: Option<(Tag, Settler)>,
}

impl AmqpIncoming {
    /// A message whose acknowledgement was written before. Each settlement of it succeeds without effect.
    pub(crate) fn settled(message: Message, redelivered: bool) -> Self {
        Self { message, redelivered, unsettled: None }
    }

    /// A message that its receiver settles. `tag` must be the delivery tag on the channel of `settler`.
    pub(crate) fn unsettled(message: Message, redelivered: bool, tag: Tag, settler: Settler) -> Self {
        Self { message, redelivered, unsettled: Some((tag, settler)) }
    }

    /// Queues the decision, and takes the tag so that the drop requeues nothing.
    ///
    /// Fails with `Closed` after the listener was closed; with `Disconnected` if the channel is lost.
    /// In both cases the broker has the message back in its queue, or puts it back.
    fn settle(&mut self, operation: &'static str, command: impl FnOnce(Tag) -> Command) -> Result<()> {
        let Some((tag, settler)) = self.unsettled.take() else { return Ok(()) };
        settler.send(operation, command(tag))
    }
}

#[async_trait]
impl IncomingMessage for AmqpIncoming {
    /// Decoded before the handover, so nothing is left that could fail here.
    fn message(&self) -> &Message {
        &self.message
    }

    /// A property of the delivery: a requeued message comes again with the flag set.
    fn redelivered(&self) -> bool {
        self.redelivered
    }

    /// Written within 5 ms, together with the acknowledgements of other messages.
    async fn acknowledge(mut self: Box<Self>) -> Result<()> {
        self.settle("acknowledge", Command::Acknowledge)
    }

    /// Written at once as basic.nack. From RabbitMQ 4.3
    /// on a nack does not count towards the delivery limit of a quorum queue.
    async fn requeue(mut self: Box<Self>) -> Result<()> {
        self.settle("requeue", Command::Requeue)
    }

    /// Written at once as basic.reject without requeue.
    /// The broker drops the message, or routes it to the dead-letter exchange of its queue.
    async fn reject(mut self: Box<Self>) -> Result<()> {
        self.settle("reject", Command::Reject)
    }
}

/// An unsettled message is requeued. If its listener is closed, the broker has requeued it already.
impl Drop for AmqpIncoming {
    /// A failed requeue needs no report: the channel is gone then, and its end requeues the message.
    fn drop(&mut self) {
        if let Some((tag, settler)) = self.unsettled.take() {
            let _ = settler.send("requeue", Command::Requeue(tag));
        }
    }
}
