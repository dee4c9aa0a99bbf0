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
//! server.wait(soon).await
//! # }
//! ```
//!
//! # What failed, and did it run?
//! Every fallible operation gives one [`Error`]: its [`kind`](Error::kind) says what went wrong, and
//! [`executed`](Error::executed) whether the method may have run all the same.
//!
//! # Drivers
//! A driver implements [`Transport`], [`Listener`] and [`IncomingMessage`]: bytes to addresses, and settlement. All of RPC is
//! above that interface and the same for every driver. A [`Registry`] finds the driver of a [`TransportUrl`].
//!
//! # The wire
//! [`wire`] has the messages themselves, for tools and tests.

mod address;
mod bus;
mod capability;
mod clock;
mod context;
mod deadline;
mod duplicate;
mod error;
mod exception;
mod failure;
mod message;
mod notify;
mod payload;
mod registry;
mod remote_error;
mod retry;
mod rpc;
mod serializer;
mod subscription;
mod target;
mod transport;
mod url;
mod version;
pub mod wire;

pub use address::{Address, Exchange, ExchangeKind};
pub use bus::{Bus, BusBuilder};
pub use capability::{Capabilities, Capability};
pub use context::{Context, RequestInfo};
pub use deadline::Deadline;
pub use error::{Error, ErrorKind, Executed, Result};
pub use exception::Exception;
pub use failure::Failure;
pub use message::{CONTENT_ENCODING, CONTENT_TYPE, Headers, Message};
pub use notify::{
    AllowedContext, BackgroundNotifier, LogSink, MessagingSink, NoopSink, NotificationSink, Notifier, OutboxConfig,
    OutboxCounts, OutgoingEvent, Pattern, Priority, Queued, RecordingSink, Redact, Route, RoutingSink, Secret,
    WhenFull,
};
pub use payload::Payload;
pub use registry::{Connector, Registry};
pub use remote_error::RemoteError;
pub use retry::Retry;
pub use rpc::{
    BoxError, Endpoint, Extensions, Reply, Request, RpcClient, RpcDispatcher, RpcServer, RpcServerBuilder, RpcService,
};
pub use serializer::Serializer;
pub use subscription::{Binding, Lifetime, QueuePlan, Settle, Source, Subscription};
pub use target::Target;
pub use transport::{Health, IncomingMessage, Listener, PublishOptions, State, Transport};
pub use url::{Host, Password, TransportUrl};
pub use version::{Version, is_compatible};
