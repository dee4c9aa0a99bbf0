//! Finds the method that a request asks for, or refuses the request as the reference does.
//!
//! The rules are those of the reference (oslo.messaging `rpc/dispatcher.py`, `dispatch`): endpoints are searched in
//! order; the namespace must be equal, the version compatible, and the method listed.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use tower_service::Service;
use tracing::warn;

use super::endpoint::{Endpoint, Method, MethodTable};
use super::ping;
use super::request::{Reply, Request};
use crate::Failure;
use crate::excerpt::Excerpt;
use crate::failure::Refusal;
use crate::rpc::rate_limit::RateLimit;
use crate::version::{Version, is_compatible};

/// What a request that names no version asks for (oslo.messaging `rpc/dispatcher.py`, `dispatch`).
const DEFAULT_VERSION: &str = "1.0";
/// How the log shows that there is no namespace.
const NO_NAMESPACE: &str = "(none)";
/// How many namespaces or methods one line of the log lists.
const MOST_OFFERED: usize = 20;

/// Routes each request to the first endpoint whose namespace and version fit and which lists the method.
///
/// A [`tower_service::Service`] that is always ready and never fails: what it refuses is a [`Reply`] with a failure.
#[derive(Debug, Clone, Default)]
pub(crate) struct RpcDispatcher {
    /// In the order in which they were added. Shared by clones: adding to a clone copies the list.
    endpoints: Arc<Vec<MethodTable>>,
    /// Limits the warnings about refused requests, for all clones together.
    refusals: Arc<RateLimit>,
}

impl RpcDispatcher {
    /// A dispatcher that refuses everything.
    ///
    /// A server builds one for its endpoints.
    #[must_use]
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds an endpoint behind those it has.
    ///
    /// The order matters only where two endpoints list the same method in the same namespace and compatible versions.
    #[must_use]
    pub(crate) fn endpoint<S: Send + Sync + 'static>(self, endpoint: Endpoint<S>) -> Self {
        self.with(endpoint.into_table())
    }

    /// Adds the endpoint that answers `oslo_rpc_server_ping` with `pong`; an endpoint before it may take its place.
    ///
    /// It has no namespace and the version 1.0, as in the reference, where `rpc_ping_enabled` adds it.
    #[must_use]
    pub(crate) fn ping(self) -> Self {
        self.with(ping::table())
    }

    /// Copies the list first if a clone shares it.
    fn with(mut self, table: MethodTable) -> Self {
        Arc::make_mut(&mut self.endpoints).push(table);
        self
    }

    /// The method for `request`, or why there is none.
    ///
    /// On the wire an unknown namespace is reported like an unsupported version, as in the reference;
    /// only the log of the server distinguishes them.
    ///
    /// A version that does not parse is refused like one that no endpoint serves.
    ///
    /// Errors: the failure `UnsupportedVersion` or `NoSuchMethod` of `oslo_messaging.rpc.dispatcher`,
    /// which is what the reference raises.
    fn find(&self, request: &Request) -> Result<&Method, Failure> {
        let text = request.version.as_deref().unwrap_or(DEFAULT_VERSION);
        let requested: Option<Version> = text.parse().ok();
        let (mut named, mut fits) = (false, false);
        for table in self.endpoints.iter().filter(|table| table.namespaces.contains(&request.namespace)) {
            named = true;
            // A version that does not parse fits no endpoint of the namespace.
            let Some(requested) = &requested else { break };
            if !is_compatible(Some(&table.version), Some(requested)) {
                continue;
            }
            fits = true;
            if let Some(method) = table.methods.get(&request.method) {
                return Ok(method);
            }
        }
        let refusal = match (named, fits) {
            (false, _) => Refusal::Namespace,
            (true, false) => Refusal::Version,
            (true, true) => Refusal::Method,
        };
        self.warn(request, text, refusal);
        let method = &request.method;
        let failure = if fits { Failure::no_such_method(method) } else { Failure::unsupported_version(text, method) };
        Err(failure.refused(refusal))
    }

    /// Logs what the request asks for beside what there is.
    ///
    /// Limited in rate, with the number of suppressed warnings.
    fn warn(&self, request: &Request, version: &str, refusal: Refusal) {
        let Some(suppressed) = self.refusals.due() else { return };
        let missing = match refusal {
            Refusal::Namespace => "no endpoint has the namespace",
            Refusal::Version => "no endpoint of the namespace serves the version",
            Refusal::Method | Refusal::Arguments => "no endpoint of the namespace and version has the method",
        };
        let (method, namespace) = (&request.method, request.namespace.as_deref().unwrap_or(NO_NAMESPACE));
        warn!(method = %Excerpt(method), namespace = %Excerpt(namespace), version = %Excerpt(version), offered = %self.offered(refusal), suppressed, "a request was refused: {missing}");
    }

    /// What callers may ask for instead: namespaces and versions, or the methods.
    ///
    /// Sorted, at most 20, with the number of the others.
    fn offered(&self, refusal: Refusal) -> String {
        let mut offered: Vec<String> = Vec::new();
        for table in self.endpoints.iter() {
            if refusal == Refusal::Method {
                offered.extend(table.methods.keys().cloned());
            } else {
                let namespaces = table.namespaces.iter().map(|name| name.as_deref().unwrap_or(NO_NAMESPACE));
                offered.extend(namespaces.map(|namespace| format!("{namespace} {}", table.version)));
            }
        }
        offered.sort();
        let more = offered.len().saturating_sub(MOST_OFFERED);
        offered.truncate(MOST_OFFERED);
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        offered.join(", ") + &more
    }
}

/// The method is called within `call`, so that methods start in the order of their requests; its future is returned.
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
mod tests;
