//! Remote procedure calls: clients, servers, and what lies between them.

mod arguments;
pub(crate) mod client;
pub(crate) mod contract;
mod dispatch;
mod failures;
mod observe;
mod rate_limit;
mod reply;
mod server;
mod unique_id;

pub use self::client::RpcClient;
pub use self::client::call_error::CallError;
pub use self::contract::{Contract, ContractChanged};
pub use self::dispatch::endpoint::Endpoint;
pub use self::dispatch::request::{Extensions, Reply, Request};
pub use self::dispatch::service::{BoxError, RpcService};
pub use self::server::{RpcServer, RpcServerBuilder};
pub use crate::context::RequestInfo;
