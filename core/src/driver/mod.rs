//! What a driver implements and is given: addresses, subscriptions, messages, and the three traits.
//!
//! A driver implements [`Transport`], [`Listener`] and [`IncomingMessage`], and a [`Connector`] that makes its
//! transport from a URL. Nothing here knows RPC or JSON.

mod address;
mod capability;
mod connector;
mod message;
mod subscription;
mod transport;

pub use self::address::{Address, Exchange, ExchangeKind};
pub use self::capability::{Capabilities, Capability};
pub use self::connector::Connector;
pub use self::message::{CONTENT_ENCODING, CONTENT_TYPE, DeliveryCount, Headers, Message, Origin};
pub use self::subscription::{Binding, Lifetime, QueuePlan, Settle, Source, Subscription};
pub use self::transport::{
    Health, IncomingMessage, Listener, PublishOptions, QueueCounts, State, Transport, UnhealthyPart,
};
pub use crate::excerpt::Excerpt;
pub use crate::retry::jitter;
