//! A tower service behind one type, so that layers of any type can be stacked on a server.
//!
//! Tower services are generic over their response futures, so a stack of layers has a type that cannot be named.
//! [`RpcService`] erases it behind one `Arc`, and is itself a service that a further layer can wrap.

use std::convert::Infallible;
use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use tower_service::Service;

use super::request::{Reply, Request};
use crate::Failure;
use crate::rpc::failures::failed;

/// The error of a layer, whatever its type.
///
/// An error that is a `Failure` reaches the caller as it is.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The dispatcher of a server with the layers around it: what a [`tower_layer::Layer`] is given to wrap.
///
/// Always ready; an inner layer that is not (a limit, say) holds the request back inside its call.
#[derive(Clone)]
pub struct RpcService(Arc<dyn Erased>);

/// A service whose types are erased: its future is boxed, and its error is a reply with a failure.
trait Erased: Send + Sync {
    /// Clones the service for this one call.
    fn call(&self, request: Request) -> BoxFuture<'static, Reply>;
}

/// Gives any tower service the form of `Erased`.
struct Wrapped<S>(S);

impl RpcService {
    /// Puts `service` behind the common type. An error of it that is not a [`Failure`] becomes
    /// `oslo_messaging_rust.RequestFailed`: a layer may fail before the method or after it.
    pub fn new<S>(service: S) -> Self
    where
        S: Service<Request, Response = Reply> + Clone + Send + Sync + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send,
    {
        Self(Arc::new(Wrapped(service)))
    }

    /// Never fails: an error of a layer is a reply with a failure.
    pub(crate) fn answer(&self, request: Request) -> BoxFuture<'static, Reply> {
        self.0.call(request)
    }
}

impl<S> Erased for Wrapped<S>
where
    S: Service<Request, Response = Reply> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
{
    fn call(&self, request: Request) -> BoxFuture<'static, Reply> {
        // A clone for each call: `poll_ready` needs `&mut`, and calls run concurrently.
        let mut service = self.0.clone();
        Box::pin(async move {
            // Errors are made `Send` at once: the layer's own type need not be.
            let ready = poll_fn(|context| service.poll_ready(context)).await.map_err(Into::into);
            let answered = match ready {
                Ok(()) => service.call(request).await.map_err(Into::into),
                Err(error) => Err(error),
            };
            answered.unwrap_or_else(|error| failure_of(error).into())
        })
    }
}

/// Keeps a `Failure` as it is. Any other error becomes `RequestFailed`, which claims nothing about the method.
fn failure_of(error: BoxError) -> Failure {
    match error.downcast::<Failure>() {
        Ok(failure) => *failure,
        Err(error) => failed(error),
    }
}

impl Service<Request> for RpcService {
    type Response = Reply;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Reply, Infallible>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let reply = self.answer(request);
        Box::pin(async move { Ok(reply.await) })
    }
}

impl fmt::Debug for RpcService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RpcService").finish_non_exhaustive()
    }
}
