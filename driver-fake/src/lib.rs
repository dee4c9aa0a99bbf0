//! An in-memory broker for `oslo-messaging`: unit tests without a server, with the bytes and the rules of RabbitMQ.
//!
//! [`FakeBroker`] is a small broker, not a mock. It implements what a program can see of RabbitMQ: topic, fanout
//! and default exchanges, bindings, competing consumers in round robin, a prefetch window per consumer,
//! settlement, the redelivered flag, delivery limits, time to live, queue expiry, mandatory returns, conflicts and
//! limits. It never succeeds where RabbitMQ fails.
//!
//! # What differs from RabbitMQ
//! Everything is durable: a restart of the broker loses no queue and no message, unless [`Fault::Drop`] says so.
//! There are no users and no permissions beyond the reserved names `amq.*`. A transport that was cut does not
//! reconnect by itself, except after [`Faults::interrupt`].
//!
//! # Time
//! It does not poll, spawn tasks or read any clock but tokio's, so a test under `start_paused` controls time.
//! Expiry and delayed messages take effect when the broker is next used after they are due.
//!
//! # Faults
//! [`FakeBroker::faults`] injects faults: lost, delayed, duplicated and reordered messages, cut connections, alarms.
//!
//! ```
//! use std::{num::NonZeroUsize, time::Duration};
//! use oslo_messaging::driver::{Address, Listener, Message, PublishOptions, Source, Subscription, Transport};
//! use oslo_messaging::Deadline;
//! use oslo_messaging_fake::FakeBroker;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> oslo_messaging::Result<()> {
//! let deadline = Deadline::after(Duration::from_secs(5));
//! let broker = FakeBroker::new();
//! let transport = broker.transport();
//! let mut inbox = transport.subscribe(&Subscription::new(Source::Inbox), deadline).await?;
//!
//! let sender = broker.transport();
//! sender.publish(inbox.address(), Message::new("hello"), &PublishOptions::by(deadline).mandatory()).await?;
//! let messages = inbox.poll(NonZeroUsize::MIN).await?.expect("the listener is not stopped");
//! assert_eq!(messages[0].message().body, "hello");
//! # Ok(())
//! # }
//! ```

mod broker;
mod config;
mod connector;
mod counters;
mod delivery_limit;
mod fault;
mod faults;
mod faulty_publish;
mod incoming;
mod listener;
mod names;
mod properties;
mod shared;
mod state;
mod transport;

pub use broker::FakeBroker;
pub use config::FakeConfig;
pub use connector::FakeConnector;
pub use counters::Counters;
pub use delivery_limit::{CountedReturns, DeliveryLimit};
pub use fault::{Cut, Fault, FaultRule};
pub use faults::Faults;
pub use state::inspect::{BindingState, ExchangeState, Leftovers, QueueState};
pub use transport::FakeTransport;

/// The code of the README, which is compiled, and run where it needs no broker, with the documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
