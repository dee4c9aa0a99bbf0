//! The driver interface: topic, server, fanout, direct and notification delivery of bytes, and settlement.
//!
//! Nothing here knows RPC or JSON. Every method is required and every operation carries a deadline.
//!
//! A driver implements the three traits: [`Transport`] is a connection, [`Listener`] one subscription,
//! [`IncomingMessage`] one delivered message. All methods are required, so that a driver decides about each. The
//! guide is `docs/write-a-driver.md`, and the conformance suite checks the sentences below.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::watch;

use super::{Address, Capabilities, Message, Subscription};
use crate::{Deadline, Result};

/// By when one publish must end, and what it declares or demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own, and any of them may be set together")]
pub struct PublishOptions {
    /// When the publish must have ended; the wait for a connection counts too.
    pub deadline: Deadline,
    /// Fail with [`ErrorKind::Undeliverable`](crate::ErrorKind::Undeliverable) if no queue is bound. Default: no.
    pub mandatory: bool,
    /// Declare the queue of a notification first, so that it is kept before anyone listens. Default: no.
    pub ensure_queue: bool,
    /// Declare what the address needs, with an [`Address::Queue`] that queue, and send nothing. Default: no.
    pub declare_only: bool,
    /// The message is the reply to a call, or a heartbeat of one. A driver may leave it to the broker's memory, since its
    /// caller waits for it no longer than its timeout. Default: no, and a durable queue keeps the message on disk.
    pub reply: bool,
}

impl PublishOptions {
    /// A publish that may go nowhere and declares nothing.
    #[must_use]
    pub fn by(deadline: Deadline) -> Self {
        Self { deadline, mandatory: false, ensure_queue: false, declare_only: false, reply: false }
    }

    /// Asks for an error if no queue is bound.
    #[must_use]
    pub fn mandatory(mut self) -> Self {
        self.mandatory = true;
        self
    }

    /// Asks for the queue of a notification to be declared first.
    #[must_use]
    pub fn ensure_queue(mut self) -> Self {
        self.ensure_queue = true;
        self
    }

    /// Says that the message is a reply, which need not outlive the broker.
    #[must_use]
    pub fn reply(mut self) -> Self {
        self.reply = true;
        self
    }

    /// Asks for a declaration without a message, which shows early whether the queue can be declared.
    #[must_use]
    pub fn declare_only(mut self) -> Self {
        self.declare_only = true;
        self
    }
}

/// Whether a transport can be used now.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// It is making its connections, for the first time or after a loss.
    Connecting,
    /// It works in both directions.
    Ready,
    /// The broker takes no publishes for now.
    Blocked {
        /// The alarm, in the broker's words.
        reason: String,
    },
    /// The connection is gone. A driver that reconnects is [`Connecting`](Self::Connecting) next.
    Lost {
        /// What the driver saw of the loss.
        reason: String,
    },
    /// It was closed by its owner. Final.
    Closed,
}

/// The state of a transport, and what an operator should know about it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// Whether the transport as a whole can be used; a part of it may be unhealthy all the same.
    pub state: State,
    /// Where the broker's objects differ from what we would have declared, in the broker's words.
    pub drift: Vec<String>,
    /// Parts that do not work although the connection does, in the order in which they failed.
    pub unhealthy: Vec<UnhealthyPart>,
}

/// One part of a bus that does not work: a listener, the reply inbox, a publisher.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnhealthyPart {
    /// Which part, for example `listener of notifications.info`.
    pub part: String,
    /// Why, in the broker's words where it gave any.
    pub reason: String,
}

impl UnhealthyPart {
    /// Both texts are for operators: the part as they know it, the reason in the broker's words.
    #[must_use]
    pub fn new(part: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { part: part.into(), reason: reason.into() }
    }
}

impl Health {
    /// `state` with nothing to warn of.
    #[must_use]
    pub fn new(state: State) -> Self {
        Self { state, drift: Vec::new(), unhealthy: Vec::new() }
    }
}

/// What a queue held when the broker was asked; both counts may change at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueCounts {
    /// How many consumers read it, those of other processes included.
    pub consumers: u64,
    /// How many messages wait in it, without those that were handed over and are not settled.
    pub ready: u64,
}

impl QueueCounts {
    /// For a driver that has asked its broker. Both counts are those of one answer.
    #[must_use]
    pub fn new(consumers: u64, ready: u64) -> Self {
        Self { consumers, ready }
    }
}

/// A connection to a bus, which all its clients, servers, notifiers and listeners share.
#[async_trait]
pub trait Transport: fmt::Debug + Send + Sync + 'static {
    /// What this driver can do. The conformance suite tests what is claimed, and lists the rest as not run.
    fn capabilities(&self) -> Capabilities;

    /// The state, and every later change of it.
    fn health(&self) -> watch::Receiver<Health>;

    /// Hands `message` to the bus once; returns when the bus owns it.
    ///
    /// The driver waits for a connection, for room in its window and for an alarm to end until the deadline. It sends
    /// again only what definitely was not sent. From one caller to one address, order holds. With
    /// [`declare_only`](PublishOptions::declare_only) it declares what the address needs and drops `message`.
    ///
    /// # Errors
    /// `Undeliverable` if mandatory and no queue is bound, which may be transient while consumers reconnect after a
    /// lost connection; `Refused` for a negative confirm,
    /// `TooLarge`, `Blocked`, `Disconnected`, `Denied`, `Topology`, `Timeout`, `Closed`;
    /// [`executed`](crate::Error::executed) says whether the bus may own the message all the same.
    ///
    /// # Cancellation
    /// A dropped future detaches its caller and disturbs no neighbour; the message may still be delivered, once.
    async fn publish(&self, to: &Address, message: Message, options: &PublishOptions) -> Result<()>;

    /// Opens a listener; returns once every queue exists and is bound,
    /// so that what is published afterwards is not missed.
    ///
    /// # Errors
    /// `Topology` if what exists cannot be used, `TooLarge` for a name over the broker's limit, `Denied`,
    /// `Disconnected`, `Timeout`, `Closed`.
    async fn subscribe(&self, subscription: &Subscription, deadline: Deadline) -> Result<Box<dyn Listener>>;

    /// Looks at the queue that a message to `address` waits in; `None` if there is none. Nothing is
    /// consumed, and nothing is declared but a reply inbox that the driver finds gone.
    ///
    /// Core asks when a call is about to time out: about the server's queue, for the error, and about the reply inbox.
    ///
    /// # Errors
    /// `Unsupported` if the address has no single queue, if the look would keep alive what is to expire, or if the
    /// driver cannot look; `Disconnected`, `Denied`, `Timeout`, `Closed`.
    /// The message that is waited for is not touched.
    ///
    /// # Cancellation
    /// Safe: a dropped future takes nothing from the queue.
    async fn inspect(&self, address: &Address, deadline: Deadline) -> Result<Option<QueueCounts>>;

    /// Closes every connection. Idempotent; later operations fail with `Closed`.
    ///
    /// # Errors
    /// `Timeout` if the broker did not answer in time; everything is released all the same.
    async fn close(&self, deadline: Deadline) -> Result<()>;
}

/// A reader of one subscription. Dropping it stops consuming.
#[async_trait]
pub trait Listener: fmt::Debug + Send {
    /// Where this listener can be reached; of an inbox, the name that travels in `_reply_q`.
    fn address(&self) -> &Address;

    /// Waits for one message, then takes what else is ready, `max` in all. `None`: stopped and drained.
    ///
    /// # Errors
    /// Only a loss that the driver cannot repair. It is final: subscribe again.
    ///
    /// # Cancellation
    /// Safe: what a dropped call took or acknowledged comes from the next one.
    async fn poll(&mut self, max: NonZeroUsize) -> Result<Option<Vec<Box<dyn IncomingMessage>>>>;

    /// Stops consuming. Idempotent.
    ///
    /// Under [`Settle::ByReceiver`](crate::driver::Settle::ByReceiver) what the broker already handed over still comes
    /// out of [`poll`](Self::poll). Under [`Settle::BeforeHandover`](crate::driver::Settle::BeforeHandover) only what
    /// was acknowledged already still comes, since to acknowledge more would take over messages that this reader may
    /// never handle; the rest is the broker's again once the listener is closed or dropped.
    ///
    /// # Errors
    /// `Timeout` or `Disconnected`; nothing new arrives all the same.
    async fn stop(&mut self, deadline: Deadline) -> Result<()>;

    /// Stops, writes the acknowledgements that were recorded, requeues what is unsettled, deletes private queues.
    ///
    /// # Errors
    /// `Timeout` or `Disconnected`; everything local is released all the same.
    async fn close(self: Box<Self>, deadline: Deadline) -> Result<()>;
}

/// A message in hand. Settling consumes it; dropping it unsettled requeues it.
///
/// A message that was settled before handover accepts each of the three calls and does nothing. Settling after the
/// listener was closed is [`ErrorKind::Closed`](crate::ErrorKind::Closed).
#[async_trait]
pub trait IncomingMessage: fmt::Debug + Send {
    /// What the publisher sent, with what the driver knows of the delivery.
    fn message(&self) -> &Message;

    /// Whether the broker handed it over before, to this reader or to another.
    fn redelivered(&self) -> bool;

    /// Says that it is done with; returns once that is recorded. The driver writes acknowledgements in batches.
    async fn acknowledge(self: Box<Self>) -> Result<()>;

    /// Gives it back for another try, marked as redelivered.
    async fn requeue(self: Box<Self>) -> Result<()>;

    /// Drops it, or does what an operator's policy says, such as to move it to a dead-letter exchange.
    async fn reject(self: Box<Self>) -> Result<()>;
}

#[async_trait]
impl<T: Transport + ?Sized> Transport for Arc<T> {
    fn capabilities(&self) -> Capabilities {
        (**self).capabilities()
    }

    fn health(&self) -> watch::Receiver<Health> {
        (**self).health()
    }

    async fn publish(&self, to: &Address, message: Message, options: &PublishOptions) -> Result<()> {
        (**self).publish(to, message, options).await
    }

    async fn subscribe(&self, subscription: &Subscription, deadline: Deadline) -> Result<Box<dyn Listener>> {
        (**self).subscribe(subscription, deadline).await
    }

    async fn inspect(&self, address: &Address, deadline: Deadline) -> Result<Option<QueueCounts>> {
        (**self).inspect(address, deadline).await
    }

    async fn close(&self, deadline: Deadline) -> Result<()> {
        (**self).close(deadline).await
    }
}
