//! RPC and notifications over a message bus, byte-compatible with Python's `oslo.messaging` 18.3.1.
//!
//! A [`Bus`] is a connection to a message broker. A `#[service]` is a trait: an [`RpcServer`] offers an
//! implementation of it at a [`Target`], and the client that the macro writes calls its methods. Below it lies the table
//! of typed methods of an [`Endpoint`], and an [`RpcClient`] that calls any method. A [`Context`] travels with
//! every request, and a [`Deadline`] bounds every operation. A driver crate connects the bus to a broker:
//! `oslo-messaging-amqp` to RabbitMQ, `oslo-messaging-fake` to a broker in memory, for tests.
//!
//! ```
//! use std::convert::Infallible;
//! use std::time::Duration;
//!
//! use oslo_messaging::{Bus, Context, Deadline, RpcServer, Target, service};
//! use oslo_messaging_fake::FakeBroker;
//!
//! #[service]
//! trait Depot {
//!     async fn up(&self, context: Context) -> Result<bool, Infallible>;
//! }
//!
//! struct North;
//!
//! impl Depot for North {
//!     async fn up(&self, _: Context) -> Result<bool, Infallible> {
//!         Ok(true)
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> oslo_messaging::Result<()> {
//! let bus = Bus::new(FakeBroker::new().transport());
//! let soon = Deadline::after(Duration::from_secs(5));
//! let target = Target::topic("depot").server("d1");
//! let server = RpcServer::builder(&bus, target).endpoint(DepotEndpoint::new(North)).start(soon).await?;
//!
//! assert!(DepotClient::new(&bus, Target::topic("depot")).up(&Context::new()).await?);
//! server.shutdown(soon).await
//! # }
//! ```
//!
//! # Events
//! A [`Notifier`] publishes events with a [`Priority`]. The broker keeps them until a [`NotificationListener`] has
//! passed each to the typed handlers of its [`NotificationEndpoint`]s. A handler that fails is run again
//! ([`FailurePolicy`](notify::FailurePolicy)); an event whose handler fails on every attempt goes to the
//! [`DeadLetters`](notify::DeadLetters).
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
//! # Errors
//! Every fallible operation returns one [`Error`]. Its [`kind`](Error::kind) says what went wrong,
//! [`executed`](Error::executed) whether the method may have run all the same, and
//! [`is_transient`](Error::is_transient) whether another attempt may succeed.
//!
//! # Modules
//! The root has what most programs use. The rest is in [`rpc`], [`notify`] and [`config`]; [`driver`] has what a driver
//! implements, the traits [`Transport`](driver::Transport), [`Listener`](driver::Listener) and
//! [`IncomingMessage`](driver::IncomingMessage); [`wire`] has the messages themselves, for tools and tests. A
//! [`Registry`] finds the driver of a [`TransportUrl`](config::TransportUrl).
//!
//! # Observability
//! Every call, cast and request is one `tracing` span of level info: `rpc.call`, `rpc.cast` or `rpc.handle`; each run
//! of a notification handler is one of level debug, `notification.handle`. The fields of the first three
//! are `messaging.system` (`oslo`), `messaging.destination` (the topic), `messaging.message_id` (the same for sender
//! and server) and `rpc.method`. Bodies are never logged. The crate records these metrics with the `metrics` crate; an
//! `outcome` is `ok`, `dropped` (the future was dropped), or the [`ErrorKind`] in snake case, such as `too_large`.
//!
//! | metric | what is counted |
//! |---|---|
//! | `oslo_messaging_calls_total{outcome}` | calls that ended |
//! | `oslo_messaging_call_seconds` | seconds per call, from the request to the decoded result |
//! | `oslo_messaging_arguments_dropped_total` | optional arguments that were left out because the version cap is below them |
//! | `oslo_messaging_casts_total{outcome}` | casts and fanouts that the bus took, or that failed; whether a method ran is not known |
//! | `oslo_messaging_requests_total{outcome}` | requests that a server ran or refused: `ok`, `expected_failure`, `failure`, `aborted`, `refused` (redelivered), and, where no method ran, `unknown_namespace`, `unsupported_version`, `unknown_method`, `bad_arguments` |
//! | `oslo_messaging_request_seconds` | seconds per request, without sending the reply |
//! | `oslo_messaging_requests_dropped_total` | requests that were acknowledged but did not start, because the server stopped |
//! | `oslo_messaging_requests_set_aside_total` | requests that were not run again, because their queue permits no further delivery |
//! | `oslo_messaging_requests_stale_total` | requests that were skipped because the deadline of the caller had passed, by the clock of this server |
//! | `oslo_messaging_requests_duplicate_total` | repeated deliveries of one `_unique_id`; the request ran once |
//! | `oslo_messaging_requests_redelivered_total` | requests that the broker marked as redelivered |
//! | `oslo_messaging_replies_lost_total` | replies that were not sent |
//! | `oslo_messaging_replies_replaced_total` | replies that could never be sent; a failure that says so was sent instead |
//! | `oslo_messaging_replies_unmatched_total` | replies that matched no waiting call |
//! | `oslo_messaging_notifications_total{outcome}` | events that a listener settled: `handled`, `dead_letter`, `dropped`, `requeued`, or `returned` to the end of their queue because they could not be moved |
//! | `oslo_messaging_dead_letters_failed_total` | failed attempts to move an event to its dead-letter queue |
//! | `oslo_messaging_notifications_failed_total` | events whose handler failed and will run again |
//! | `oslo_messaging_notifications_duplicate_total` | repeated deliveries of one `_unique_id`; the event was handled once |
//! | `oslo_messaging_notifications_lost_total{reason}` | events that a background notifier lost: `full`, `expired`, `failed` or `abandoned` |
//! | `oslo_messaging_undecodable_total` | requests, replies and events that could not be decoded |

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
#[doc(hidden)]
pub mod expansion;
mod failure;
mod internal;
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
pub use config::{ConfigFile, Registry};
pub use context::Context;
pub use deadline::Deadline;
pub use driver::{Health, State};
pub use error::{Error, ErrorKind, Executed, Result};
pub use exception::Exception;
pub use failure::Failure;
pub use internal::Internal;
pub use notify::{BackgroundNotifier, Event, NotificationEndpoint, NotificationListener, Notifier, Priority};
#[cfg(feature = "macros")]
pub use oslo_messaging_macros::{Exception, endpoint, service};
pub use payload::Payload;
pub use remote_error::RemoteError;
pub use retry::Retry;
pub use rpc::{CallError, Endpoint, RpcClient, RpcServer};
pub use serializer::Serializer;
pub use target::Target;

/// The code of the README, which is compiled, and run where it needs no broker, with the documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
