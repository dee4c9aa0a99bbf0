//! Remote procedure calls: clients, servers, and what lies between them.

mod admission;
mod arguments;
mod call;
mod client;
mod dispatcher;
mod endpoint;
mod failures;
mod gate;
pub(crate) mod inbox;
mod intake;
mod monitor;
mod observe;
mod outbox;
mod patience;
mod pending;
mod ping;
mod request;
mod run;
mod server;
mod service;
mod waiting;

use std::time::Duration;

pub use client::RpcClient;
pub use dispatcher::RpcDispatcher;
pub use endpoint::Endpoint;
pub use request::{Extensions, Reply, Request};
pub use server::{RpcServer, RpcServerBuilder};
pub use service::{BoxError, RpcService};

/// How long releasing something in the background may take.
pub(crate) const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
