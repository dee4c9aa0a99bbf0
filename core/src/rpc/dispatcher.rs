//! Finds the method that a request asks for.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use tower_service::Service;

use super::endpoint::{Endpoint, Method, Table};
use super::ping;
use super::request::{Reply, Request};
use crate::Failure;
use crate::version::{Version, is_compatible};

/// What a request that names no version asks for (oslo.messaging `rpc/dispatcher.py`, `dispatch`).
const DEFAULT_VERSION: &str = "1.0";

/// Routes each request to the first endpoint whose namespace and version fit and which lists the method.
///
/// A [`tower_service::Service`] that is always ready and never fails: what it refuses is a [`Reply`] with a failure.
#[derive(Debug, Clone, Default)]
pub struct RpcDispatcher {
    endpoints: Arc<Vec<Table>>,
}

impl RpcDispatcher {
    /// A dispatcher that refuses everything.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an endpoint behind those it has.
    #[must_use]
    pub fn endpoint<S: Send + Sync + 'static>(self, endpoint: Endpoint<S>) -> Self {
        self.with(endpoint.into_table())
    }

    /// Adds the endpoint that answers `oslo_rpc_server_ping` with `pong`; an endpoint before it may take its place.
    #[must_use]
    pub fn ping(self) -> Self {
        self.with(ping::table())
    }

    fn with(mut self, table: Table) -> Self {
        Arc::make_mut(&mut self.endpoints).push(table);
        self
    }

    /// The method for `request`, or why there is none.
    ///
    /// A namespace that nobody has is told as a version that nobody has, as in the reference.
    fn find(&self, request: &Request) -> Result<&Method, Failure> {
        let text = request.version.as_deref().unwrap_or(DEFAULT_VERSION);
        let unsupported = || Failure::unsupported_version(text, &request.method);
        let requested: Version = text.parse().map_err(|_| unsupported())?;
        let mut fits = false;
        for table in self.endpoints.iter() {
            let named = table.namespaces.contains(&request.namespace);
            if !named || !is_compatible(Some(&table.version), Some(&requested)) {
                continue;
            }
            fits = true;
            if let Some(method) = table.methods.get(&request.method) {
                return Ok(method);
            }
        }
        Err(if fits { Failure::no_such_method(&request.method) } else { unsupported() })
    }
}

impl Service<Request> for RpcDispatcher {
    type Response = Reply;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Reply, Infallible>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        match self.find(&request) {
            Ok(method) => {
                let running = method(request);
                Box::pin(async move { Ok(running.await) })
            }
            Err(failure) => Box::pin(async move { Ok(failure.into()) }),
        }
    }
}

#[cfg(test)]
#[path = "dispatcher_tests.rs"]
mod tests;
