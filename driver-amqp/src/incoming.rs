//! A received message, and how it is settled.

use async_trait::async_trait;
use oslo_messaging::Result;
use oslo_messaging::driver::{IncomingMessage, Message};

use crate::consume::ack_frames::Tag;
use crate::consume::settler::{Command, Settler};

/// A received message. One that the driver acknowledged before handover has no settler.
#[derive(Debug)]
pub(crate) struct AmqpIncoming {
    message: Message,
    redelivered: bool,
    unsettled: Option<(Tag, Settler)>,
}

impl AmqpIncoming {
    pub(crate) fn settled(message: Message, redelivered: bool) -> Self {
        Self { message, redelivered, unsettled: None }
    }

    pub(crate) fn unsettled(message: Message, redelivered: bool, tag: Tag, settler: Settler) -> Self {
        Self { message, redelivered, unsettled: Some((tag, settler)) }
    }

    fn settle(&mut self, operation: &'static str, command: impl FnOnce(Tag) -> Command) -> Result<()> {
        let Some((tag, settler)) = self.unsettled.take() else { return Ok(()) };
        settler.send(operation, command(tag))
    }
}

#[async_trait]
impl IncomingMessage for AmqpIncoming {
    fn message(&self) -> &Message {
        &self.message
    }

    fn redelivered(&self) -> bool {
        self.redelivered
    }

    async fn acknowledge(mut self: Box<Self>) -> Result<()> {
        self.settle("acknowledge", Command::Acknowledge)
    }

    async fn requeue(mut self: Box<Self>) -> Result<()> {
        self.settle("requeue", Command::Requeue)
    }

    async fn reject(mut self: Box<Self>) -> Result<()> {
        self.settle("reject", Command::Reject)
    }
}

/// An unsettled message is requeued. If its listener is closed, the broker has requeued it already.
impl Drop for AmqpIncoming {
    fn drop(&mut self) {
        if let Some((tag, settler)) = self.unsettled.take() {
            let _ = settler.send("requeue", Command::Requeue(tag));
        }
    }
}
