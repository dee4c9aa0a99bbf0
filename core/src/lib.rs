//! RPC and notifications over a message bus, byte-compatible with Python's `oslo.messaging` 18.3.1.
//!
//! A [`Bus`] is a connection to a message bus through a driver, a [`Transport`]. An [`RpcServer`] answers with the typed
//! methods of its [`Endpoint`]s what an [`RpcClient`] calls or casts at a [`Target`]. The [`Context`] travels beside every
//! request; a [`Deadline`] governs every operation.
//!
//! ```
//! use std::convert::Infallible;
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use oslo_messaging::{Bus, Context, Deadline, Endpoint, RpcClient, RpcServer, Target};
//! use oslo_messaging_fake::FakeBroker;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> oslo_messaging::Result<()> {
//! let bus = Bus::new(FakeBroker::new().transport());
//! let soon = Deadline::after(Duration::from_secs(5));
//! let endpoint = Endpoint::new(()).method("up", async |_: Arc<()>, _: Context, (): ()| Ok::<_, Infallible>(true));
//! let server = RpcServer::builder(&bus, Target::topic("depot").server("d1")).endpoint(endpoint).start(soon).await?;
//!
//! let up: bool = RpcClient::new(&bus, Target::topic("depot")).call(&Context::new(), "up", &()).await?;
//! assert!(up);
//! server.shutdown(soon).await
//! # }
//! ```
//!
//! # Events
//! A [`Notifier`] tells events with a [`Priority`]; they are kept until a [`NotificationListener`] has handed each to the typed
//! handlers of its [`NotificationEndpoint`]s. A handler that fails is tried again ([`FailurePolicy`]), and what fails for good goes
//! to the [`DeadLetters`].
//!
//! ```
//! use std::convert::Infallible;
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use oslo_messaging::{
//!     Bus, Context, Deadline, Event, NotificationEndpoint, NotificationListener, Notifier, Priority, Target,
//! };
//! use oslo_messaging_fake::FakeBroker;
//! use serde_json::{Value, json};
//! use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> oslo_messaging::Result<()> {
//! let bus = Bus::new(FakeBroker::new().transport());
//! let soon = Deadline::after(Duration::from_secs(5));
//! Notifier::new(&bus, "shop.host-1").info(&Context::new(), "order.created", &json!({"id": 7})).await?;
//!
//! let (to, mut orders) = unbounded_channel();
//! let endpoint = NotificationEndpoint::new(to).on(
//!     Priority::Info,
//!     "order.*",
//!     async |to: Arc<UnboundedSender<Value>>, event: Event<Value>| {
//!         let _ = to.send(event.payload);
//!         Ok::<_, Infallible>(())
//!     },
//! );
//! let target = Target::topic("notifications");
//! let listener = NotificationListener::builder(&bus).target(target).endpoint(endpoint).start(soon).await?;
//! assert_eq!(orders.recv().await, Some(json!({"id": 7})));
//! listener.shutdown(soon).await
//! # }
//! ```
//!
//! # What failed, and did it run?
//! Every fallible operation gives one [`Error`]: its [`kind`](Error::kind) says what went wrong, and
//! [`executed`](Error::executed) whether the method may have run all the same.
//!
//! # Drivers
//! A driver implements [`Transport`], [`Listener`] and [`IncomingMessage`]: bytes to addresses, and settlement. All of RPC and
//! of notifications is above that interface and the same for every driver. A [`Registry`] finds the driver of a [`TransportUrl`].
//!
//! # Watching it
//! Every call, cast and request is one `tracing` span of level info: `rpc.call`, `rpc.cast` or `rpc.handle`, with
//! `messaging.system` (`oslo`), `messaging.destination` (the topic), `messaging.message_id` (the same for the sender and the
//! server) and `rpc.method`. Bodies are never logged. The `metrics` are these; an outcome is `ok`, `dropped` (the future was),
//! or the [`ErrorKind`] in lower case, `too_large` for example.
//!
//! | metric | what is counted |
//! |---|---|
//! | `oslo_messaging_calls_total{outcome}` | calls that ended |
//! | `oslo_messaging_call_seconds` | how long each took, from the request to the decoded result |
//! | `oslo_messaging_casts_total{outcome}` | casts that ended |
//! | `oslo_messaging_requests_total{outcome}` | requests that a server ran or refused: `ok`, `expected_failure`, `failure`, `aborted`, `refused` (redelivered), and, where no method ran, `unknown_namespace`, `unsupported_version`, `unknown_method`, `bad_arguments` |
//! | `oslo_messaging_request_seconds` | how long each took, without the reply |
//! | `oslo_messaging_requests_dropped_total` | requests that were acknowledged and never began, because the server stopped |
//! | `oslo_messaging_requests_set_aside_total` | requests that were not run again, since their queues permit no further delivery |
//! | `oslo_messaging_requests_stale_total` | requests that were skipped because their callers had given up, by the clock of this server |
//! | `oslo_messaging_requests_duplicate_total` | requests that came twice with one `_unique_id`, and ran once |
//! | `oslo_messaging_requests_redelivered_total` | requests that the broker marked as handed over before |
//! | `oslo_messaging_replies_lost_total` | replies that never went out |
//! | `oslo_messaging_replies_replaced_total` | replies that could not be sent, so that their callers were to hear why instead |
//! | `oslo_messaging_replies_unmatched_total` | replies that came and that no call waited for |
//! | `oslo_messaging_notifications_total{outcome}` | events that a listener was done with: `handled`, `dead_letter`, `dropped`, `requeued`, or `returned` (to the end of their queue, because they could not be moved) |
//! | `oslo_messaging_dead_letters_failed_total` | events that could not be moved to their dead-letter queue, at each try |
//! | `oslo_messaging_notifications_failed_total` | events whose handler failed and that were to be tried again |
//! | `oslo_messaging_notifications_duplicate_total` | events that came twice with one `_unique_id`, and were handled once |
//! | `oslo_messaging_notifications_lost_total{reason}` | events that a background notifier lost: `full`, `expired`, `failed` or `abandoned` |
//! | `oslo_messaging_undecodable_total` | requests, replies and events that could not be read |
//!
//! # The wire
//! [`wire`] has the messages themselves, for tools and tests.

mod backoff;
mod bus;
pub mod config;
mod context;
mod deadline;
mod decoding;
mod delivery;
pub mod driver;
mod error;
mod exception;
mod excerpt;
mod failure;
mod lifecycle;
pub mod notify;
mod panic;
mod payload;
mod remote_error;
mod retry;
pub mod rpc;
mod serializer;
mod target;
mod url;
mod version;
pub mod wire;

pub use bus::{Bus, BusBuilder};
pub use config::{ConfigFile, Host, Password, Registry, TransportUrl};
pub use context::{Context, RequestInfo};
pub use deadline::Deadline;
pub use driver::{
    Address, Binding, CONTENT_ENCODING, CONTENT_TYPE, Capabilities, Capability, Connector, DeliveryCount, Exchange,
    ExchangeKind, Headers, Health, IncomingMessage, Lifetime, Listener, Message, Origin, PublishOptions, QueueCounts,
    QueuePlan, Settle, Source, State, Subscription, Transport, UnhealthyPart,
};
pub use error::{Error, ErrorKind, Executed, Result};
pub use exception::Exception;
pub use excerpt::Excerpt;
pub use failure::Failure;
#[cfg(feature = "log-layer")]
pub use notify::LogRecordLayer;
pub use notify::{
    AllowedContext, BackgroundNotifier, DeadLetter, DeadLetterInfo, DeadLetters, DeadReason, Event, FailurePolicy,
    GiveUp, LogSink, MessagingSink, NoopSink, NotificationEndpoint, NotificationFilter, NotificationListener,
    NotificationListenerBuilder, NotificationResult, NotificationSink, Notifier, OutboxConfig, OutboxCounts,
    OutgoingEvent, Pattern, Priority, Queued, RecordingSink, Redact, Route, RoutingSink, Secret, WhenFull,
};
pub use payload::Payload;
pub use remote_error::RemoteError;
pub use retry::Retry;
pub use rpc::{
    BoxError, Endpoint, Extensions, Reply, Request, RpcClient, RpcDispatcher, RpcServer, RpcServerBuilder, RpcService,
};
pub use serializer::Serializer;
pub use target::Target;
pub use version::{Version, is_compatible};
