//! Messages as a poll returns them: settled before handover, or by their receivers.

use std::sync::Arc;

use async_trait::async_trait;
use oslo_messaging::Result;
use oslo_messaging::driver::{IncomingMessage, Message};

use crate::shared::Shared;
use crate::state::channel::Settlement;
use crate::state::connection::cut;
use crate::state::id::Id;
use crate::state::mailbox::Mailbox;

/// A message that was acknowledged before the poll returned it. Settling it again has no effect.
#[derive(Debug)]
pub(crate) struct Settled {
    pub(crate) message: Arc<Message>,
    /// Whether an earlier delivery of it was requeued, or lost its consumer.
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

    /// Succeeds: the poll has acknowledged the message.
    async fn acknowledge(self: Box<Self>) -> Result<()> {
        Ok(())
    }

    /// Succeeds without effect: an acknowledged message cannot return to its queue.
    async fn requeue(self: Box<Self>) -> Result<()> {
        Ok(())
    }

    /// Succeeds without effect, since the message was settled before it was handed over.
    async fn reject(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}

/// A message that its receiver settles. The broker keeps it until then. Dropping it requeues it.
///
/// Settling takes effect in the broker at once; nothing is sent later.
#[derive(Debug)]
pub(crate) struct Unsettled {
    pub(crate) broker: Arc<Shared>,
    /// Its `end` is set once the channel has ended, which has requeued the message.
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) channel: Id,
    /// The key of the delivery in its channel. Stale after an interruption, which requeues the message.
    pub(crate) tag: Id,
    pub(crate) message: Arc<Message>,
    /// Whether an earlier delivery of it was requeued, or lost its consumer.
    pub(crate) redelivered: bool,
    /// `None` until it is settled; a drop requeues the message only then.
    pub(crate) settlement: Option<Settlement>,
}

impl Unsettled {
    /// Records the settlement even if it fails, so that the drop does not settle the message again.
    ///
    /// Fails with `Closed` after the listener was closed, and with `Disconnected` after its connection was lost or
    /// interrupted. The message is back in its queue then.
    fn settle(&mut self, settlement: Settlement, operation: &'static str) -> Result<()> {
        self.settlement = Some(settlement);
        self.broker.with(|state| {
            // Checked under the lock: the end of the channel is set under it too, and has requeued the message.
            if let Some(end) = self.mailbox.end.get() {
                return Err(end.error_in_flight(operation));
            }
            if state.settle(self.channel, self.tag, settlement) {
                Ok(())
            } else {
                Err(cut().error_in_flight(operation))
            }
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
        self.settle(Settlement::Acknowledge, "acknowledge")
    }

    async fn requeue(mut self: Box<Self>) -> Result<()> {
        self.settle(Settlement::Requeue, "requeue")
    }

    async fn reject(mut self: Box<Self>) -> Result<()> {
        self.settle(Settlement::Reject, "reject")
    }
}

impl Drop for Unsettled {
    /// Requeues an unsettled message. A receiver that panics or is cancelled so loses nothing.
    fn drop(&mut self) {
        if self.settlement.is_none() {
            // Fails if the channel has ended: the broker requeued the message then.
            let _ = self.settle(Settlement::Requeue, "requeue");
        }
    }
}
