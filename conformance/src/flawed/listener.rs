//! The flaws of listeners and of their messages: what a poll, a settlement or a stop does wrong.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use oslo_messaging::driver::{Address, IncomingMessage, Listener, Message, Subscription, Transport};
use oslo_messaging::{Deadline, ErrorKind, Result};
use tokio::time::{sleep, timeout};

use super::Flaw;
use super::losses::Losses;

/// [`Flaw::StopTakesTheRest`] takes messages until none has come for this long.
const AT_HAND: Duration = Duration::from_millis(100);

/// Forwards to the driver's listener, except where its flaw falsifies a poll, a stop, a close or a drop.
#[derive(Debug)]
pub(super) struct FlawedListener {
    /// `None` before a late subscription, and once it is closed.
    inner: Option<Box<dyn Listener>>,
    /// The subscription that is not made yet, of [`Flaw::SubscribesLate`].
    late: Option<(Arc<dyn Transport>, Subscription)>,
    /// Set when a listener of the same transport is closed.
    closed: Arc<AtomicBool>,
    /// Kept apart, because a late subscription has no inner listener at first.
    address: Address,
    flaw: Flaw,
    losses: Losses,
    /// Messages that the stop took and polls return.
    taken: Vec<Box<dyn IncomingMessage>>,
}

impl FlawedListener {
    /// `closed` is shared by all listeners of one transport.
    pub(super) fn new(inner: Box<dyn Listener>, flaw: Flaw, closed: Arc<AtomicBool>, losses: Losses) -> Self {
        let address = inner.address().clone();
        Self { address, inner: Some(inner), late: None, closed, flaw, losses, taken: Vec::new() }
    }

    /// A listener that subscribes when it is first used.
    /// Its address is that of the subscription, since no driver has been asked yet.
    pub(super) fn late(transport: Arc<dyn Transport>, subscription: Subscription, flaw: Flaw, losses: Losses) -> Self {
        let address = subscription.address("");
        let late = Some((transport, subscription));
        Self { address, inner: None, late, closed: Arc::default(), flaw, losses, taken: Vec::new() }
    }

    /// Does nothing for a listener that has subscribed. The late subscription gets ten seconds.
    ///
    /// Fails with the error of the late subscription.
    async fn open(&mut self) -> Result<()> {
        if let Some((transport, subscription)) = self.late.take() {
            self.inner = Some(transport.subscribe(&subscription, Deadline::after(Duration::from_secs(10))).await?);
        }
        Ok(())
    }

    /// Panics before a late subscription; [`open`](Self::open) makes it.
    fn inner(&mut self) -> &mut dyn Listener {
        self.inner.as_deref_mut().expect("only close, which consumes the listener, takes it out")
    }
}

#[async_trait]
impl Listener for FlawedListener {
    fn address(&self) -> &Address {
        &self.address
    }

    /// Flaws that withhold something wait forever, as a defective driver would.
    /// `Flaw::PollOverflows` asks the driver for three messages more than `max`.
    async fn poll(&mut self, max: NonZeroUsize) -> Result<Option<Vec<Box<dyn IncomingMessage>>>> {
        let flaw = self.flaw;
        self.open().await?;
        if flaw == Flaw::CloseEndsNeighbours && self.closed.load(Ordering::SeqCst) {
            return Ok(None);
        }
        if !self.taken.is_empty() {
            let count = max.get().min(self.taken.len());
            return Ok(Some(self.taken.drain(..count).collect()));
        }
        let max = if flaw == Flaw::PollOverflows { max.saturating_add(3) } else { max };
        let first = self.losses.first();
        let lost = async move { flaw == Flaw::ListenerLostByCut && first.await };
        let polled = tokio::select! {
            biased;
            true = lost => std::future::pending().await,
            polled = self.inner().poll(max) => polled,
        };
        if flaw == Flaw::ClosedPollHangs && polled.is_err() {
            std::future::pending::<()>().await;
        }
        let Some(messages) = polled? else {
            if flaw == Flaw::StopNeverEnds {
                std::future::pending::<()>().await;
            }
            return Ok(None);
        };
        if flaw == Flaw::CancelledPollLoses {
            // The messages are held across an await point and dropped with the cancelled poll.
            sleep(Duration::from_millis(5)).await;
        }
        let cut = self.losses.any();
        let spoil = |inner: Box<dyn IncomingMessage>| {
            let spoiled = (flaw == Flaw::DeliveryCountLost).then(|| without_count(inner.message()));
            Box::new(FlawedMessage { inner: Some(inner), spoiled, flaw, cut }) as Box<dyn IncomingMessage>
        };
        Ok(Some(messages.into_iter().map(spoil).collect()))
    }

    /// `StopLosesAcknowledged` discards what is ready.
    /// `StopTakesTheRest` takes messages until none comes for `AT_HAND`.
    async fn stop(&mut self, deadline: Deadline) -> Result<()> {
        self.open().await?;
        if self.flaw == Flaw::StopLosesAcknowledged {
            let waiting = |listener: &mut Self| listener.inner().poll(NonZeroUsize::MAX).now_or_never();
            while let Some(Ok(Some(_))) = waiting(self) {}
        }
        if self.flaw == Flaw::StopTakesTheRest {
            while let Ok(Ok(Some(messages))) = timeout(AT_HAND, self.inner().poll(NonZeroUsize::MAX)).await {
                self.taken.extend(messages);
            }
        }
        self.inner().stop(deadline).await
    }

    /// Marks the transport's listeners as ended, for `Flaw::CloseEndsNeighbours`.
    /// `Flaw::CloseLeavesQueue` drops the listener without closing it.
    async fn close(mut self: Box<Self>, deadline: Deadline) -> Result<()> {
        self.closed.store(true, Ordering::SeqCst);
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

/// A copy of the message for `Flaw::DeliveryCountLost`, as a driver would read it that ignores the broker's count.
fn without_count(message: &Message) -> Message {
    let mut message = message.clone();
    message.delivery_count = None;
    message
}

/// Forwards to the driver's message, except where its flaw falsifies a settlement, a flag or the count.
#[derive(Debug)]
struct FlawedMessage {
    /// The driver's message, which settles. `None` once it is settled.
    inner: Option<Box<dyn IncomingMessage>>,
    /// The message without its delivery count, for [`Flaw::DeliveryCountLost`].
    spoiled: Option<Message>,
    flaw: Flaw,
    /// Whether connections were cut before it was delivered.
    cut: bool,
}

impl FlawedMessage {
    fn inner(&self) -> &dyn IncomingMessage {
        self.inner.as_deref().expect("only settling, which consumes the message, takes it out")
    }

    /// Afterwards `drop` has nothing to forget.
    fn take(&mut self) -> Box<dyn IncomingMessage> {
        self.inner.take().expect("only settling, which consumes the message, takes it out")
    }

    /// Turns the errors that the flaw hides into successes.
    /// All other results pass unchanged.
    fn settled(&self, outcome: Result<()>) -> Result<()> {
        match outcome {
            Err(error) if self.flaw == Flaw::SettlesAfterClose && error.kind() == ErrorKind::Closed => Ok(()),
            Err(error) if self.flaw == Flaw::SettledAfterCut && error.kind() == ErrorKind::Disconnected => Ok(()),
            outcome => outcome,
        }
    }
}

#[async_trait]
impl IncomingMessage for FlawedMessage {
    fn message(&self) -> &Message {
        self.spoiled.as_ref().unwrap_or_else(|| self.inner().message())
    }

    /// `MarkLostByCut` affects only messages that were polled after a cut.
    fn redelivered(&self) -> bool {
        match self.flaw {
            Flaw::RedeliveredFlagLost => false,
            Flaw::MarkLostByCut if self.cut => false,
            Flaw::RedeliveredAlways => true,
            _ => self.inner().redelivered(),
        }
    }

    /// `AcknowledgedComesBack` requeues the message instead.
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
