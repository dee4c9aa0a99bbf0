//! A message in hand.

use std::sync::Arc;

use async_trait::async_trait;
use oslo_messaging::{IncomingMessage, Message, Result};

use crate::broker::Shared;
use crate::state::channel::Verdict;
use crate::state::connection::cut;
use crate::state::id::Id;
use crate::state::mailbox::Mailbox;

/// A message that was acknowledged before it was handed over.
#[derive(Debug)]
pub(crate) struct Settled {
    pub(crate) message: Arc<Message>,
    pub(crate) redelivered: bool,
}

#[async_trait]
impl IncomingMessage for Settled {
    fn message(&self) -> &Message {
        &self.message
    }

    fn redelivered(&self) -> bool {
        self.redelivered
    }

    async fn acknowledge(self: Box<Self>) -> Result<()> {
        Ok(())
    }

    async fn requeue(self: Box<Self>) -> Result<()> {
        Ok(())
    }

    async fn reject(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}

/// A message that its receiver settles. The broker has it too, in case this connection is lost.
#[derive(Debug)]
pub(crate) struct Unsettled {
    pub(crate) broker: Arc<Shared>,
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) channel: Id,
    pub(crate) tag: Id,
    pub(crate) message: Arc<Message>,
    pub(crate) redelivered: bool,
    pub(crate) verdict: Option<Verdict>,
}

impl Unsettled {
    fn settle(&mut self, verdict: Verdict, operation: &'static str) -> Result<()> {
        self.verdict = Some(verdict);
        self.broker.with(|state| {
            // Looked at under the lock: whoever ends the channel sets this there, and requeues the message.
            if let Some(end) = self.mailbox.end.get() {
                return Err(end.error_under_way(operation));
            }
            if state.settle(self.channel, self.tag, verdict) { Ok(()) } else { Err(cut().error_under_way(operation)) }
        })
    }
}

#[async_trait]
impl IncomingMessage for Unsettled {
    fn message(&self) -> &Message {
        &self.message
    }

    fn redelivered(&self) -> bool {
        self.redelivered
    }

    async fn acknowledge(mut self: Box<Self>) -> Result<()> {
        self.settle(Verdict::Acknowledge, "acknowledge")
    }

    async fn requeue(mut self: Box<Self>) -> Result<()> {
        self.settle(Verdict::Requeue, "requeue")
    }

    async fn reject(mut self: Box<Self>) -> Result<()> {
        self.settle(Verdict::Reject, "reject")
    }
}

impl Drop for Unsettled {
    fn drop(&mut self) {
        if self.verdict.is_none() {
            // Of a channel that has ended, the broker took it back already.
            let _ = self.settle(Verdict::Requeue, "requeue");
        }
    }
}
