//! The flaws of a listener and of the messages it hands over.

use std::num::NonZeroUsize;
use std::time::Duration;

use async_trait::async_trait;
use oslo_messaging::{Address, Deadline, ErrorKind, IncomingMessage, Listener, Message, Result};
use tokio::time::sleep;

use super::Flaw;

#[derive(Debug)]
pub(super) struct FlawedListener {
    /// `None` once it is closed.
    inner: Option<Box<dyn Listener>>,
    address: Address,
    flaw: Flaw,
}

impl FlawedListener {
    pub(super) fn new(inner: Box<dyn Listener>, flaw: Flaw) -> Self {
        Self { address: inner.address().clone(), inner: Some(inner), flaw }
    }

    fn inner(&mut self) -> &mut dyn Listener {
        self.inner.as_deref_mut().expect("only close, which consumes the listener, takes it out")
    }
}

#[async_trait]
impl Listener for FlawedListener {
    fn address(&self) -> &Address {
        &self.address
    }

    async fn poll(&mut self, max: NonZeroUsize) -> Result<Option<Vec<Box<dyn IncomingMessage>>>> {
        let flaw = self.flaw;
        let max = if flaw == Flaw::PollOverflows { max.saturating_add(3) } else { max };
        let Some(messages) = self.inner().poll(max).await? else {
            if flaw == Flaw::StopNeverEnds {
                std::future::pending::<()>().await;
            }
            return Ok(None);
        };
        if flaw == Flaw::CancelledPollLoses {
            // What was taken is held across a wait, and dropped with it.
            sleep(Duration::from_millis(5)).await;
        }
        let spoil = |inner| Box::new(FlawedMessage { inner: Some(inner), flaw }) as Box<dyn IncomingMessage>;
        Ok(Some(messages.into_iter().map(spoil).collect()))
    }

    async fn stop(&mut self, deadline: Deadline) -> Result<()> {
        self.inner().stop(deadline).await
    }

    async fn close(mut self: Box<Self>, deadline: Deadline) -> Result<()> {
        match self.inner.take() {
            Some(inner) if self.flaw != Flaw::CloseLeavesQueue => inner.close(deadline).await,
            _ => Ok(()),
        }
    }
}

impl Drop for FlawedListener {
    fn drop(&mut self) {
        if self.flaw == Flaw::DroppedGoesOn {
            std::mem::forget(self.inner.take());
        }
    }
}

#[derive(Debug)]
struct FlawedMessage {
    /// `None` once it is settled.
    inner: Option<Box<dyn IncomingMessage>>,
    flaw: Flaw,
}

impl FlawedMessage {
    fn inner(&self) -> &dyn IncomingMessage {
        self.inner.as_deref().expect("only settling, which consumes the message, takes it out")
    }

    fn take(&mut self) -> Box<dyn IncomingMessage> {
        self.inner.take().expect("only settling, which consumes the message, takes it out")
    }

    fn settled(&self, outcome: Result<()>) -> Result<()> {
        match outcome {
            Err(error) if self.flaw == Flaw::SettlesAfterClose && error.kind() == ErrorKind::Closed => Ok(()),
            outcome => outcome,
        }
    }
}

#[async_trait]
impl IncomingMessage for FlawedMessage {
    fn message(&self) -> &Message {
        self.inner().message()
    }

    fn redelivered(&self) -> bool {
        match self.flaw {
            Flaw::RedeliveredFlagLost => false,
            Flaw::RedeliveredAlways => true,
            _ => self.inner().redelivered(),
        }
    }

    async fn acknowledge(mut self: Box<Self>) -> Result<()> {
        let inner = self.take();
        let outcome = match self.flaw {
            Flaw::AcknowledgedComesBack => inner.requeue().await,
            _ => inner.acknowledge().await,
        };
        self.settled(outcome)
    }

    async fn requeue(mut self: Box<Self>) -> Result<()> {
        let inner = self.take();
        let outcome = match self.flaw {
            Flaw::RequeueDrops => inner.reject().await,
            _ => inner.requeue().await,
        };
        self.settled(outcome)
    }

    async fn reject(mut self: Box<Self>) -> Result<()> {
        let inner = self.take();
        let outcome = match self.flaw {
            Flaw::RejectedComesBack => inner.requeue().await,
            _ => inner.reject().await,
        };
        self.settled(outcome)
    }
}

impl Drop for FlawedMessage {
    fn drop(&mut self) {
        if self.flaw == Flaw::DroppedStaysOut {
            std::mem::forget(self.inner.take());
        }
    }
}
