//! The server's side of RPC: which requests run, how many at once, and when each is acknowledged.

pub(crate) mod admission;
mod expiry;
mod handler_permits;
mod intake;
mod last_delivery;
mod runner;
mod waiting_requests;
mod watches;

use std::fmt;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tower_layer::Layer;
use tower_service::Service;

use self::admission::{Admission, Redelivered};
use self::handler_permits::{HandlerPermits, default_reserve};
use self::intake::Intake;
use self::runner::Runner;
use self::waiting_requests::WaitingRequests;
use self::watches::{MethodWatch, SaturationWatch, Thresholds};
use super::dispatch::dispatcher::RpcDispatcher;
use super::dispatch::endpoint::Endpoint;
use super::dispatch::request::{Reply, Request};
use super::dispatch::service::{BoxError, RpcService};
use super::reply::sender::{self, ReplySender};
use crate::decoding::{Decoding, DecodingListener};
use crate::driver::{Capability, Settle, Source, Subscription};
use crate::lifecycle::TaskHandle;
use crate::notify::DeadLetterWriter;
use crate::{Bus, Deadline, Error, ErrorKind, Result, Serializer, Target, wire};

/// The reason in the error of a server that asks for `at_least_once` and `refuse_redelivered`.
const CONTRADICTION: &str = "with at_least_once an unanswered request comes back to be run again, and refuse_redelivered \
    would refuse it then; choose one";

/// Wraps a service in one layer and hides the types of that layer.
type LayerFn = Arc<dyn Fn(RpcService) -> RpcService + Send + Sync>;

/// Runs the methods of its endpoints for the calls and casts that reach one target.
///
/// Dropping it without [`shutdown`](Self::shutdown) aborts its methods and says so in the log;
/// what is unsettled goes back to the broker.
#[derive(Debug)]
pub struct RpcServer {
    target: Target,
    /// Its drop aborts the intake and with it every method that runs.
    task: TaskHandle,
}

/// The settings of a server. Clone it to start the same server again.
#[derive(Clone)]
#[must_use]
pub struct RpcServerBuilder {
    bus: Bus,
    target: Target,
    dispatcher: RpcDispatcher,
    /// The innermost first, as they were added.
    layers: Vec<LayerFn>,
    concurrency: usize,
    /// `None`: a quarter of the concurrency, at most 32.
    reserve: Option<usize>,
    settle: Settle,
    redelivered: Redelivered,
    ping: bool,
    serializer: Option<Arc<dyn Serializer>>,
    thresholds: Thresholds,
}

impl RpcServer {
    /// A server of `target`, which needs a topic and a server name.
    pub fn builder(bus: &Bus, target: Target) -> RpcServerBuilder {
        RpcServerBuilder {
            bus: bus.clone(),
            target,
            dispatcher: RpcDispatcher::new(),
            layers: Vec::new(),
            concurrency: bus.0.concurrency.unwrap_or(64).clamp(1, usize::from(u16::MAX)),
            reserve: None,
            settle: Settle::BeforeHandover,
            redelivered: Redelivered::Run,
            ping: bus.0.ping,
            serializer: None,
            thresholds: Thresholds::default(),
        }
    }

    /// The target that it was built with, before the defaults of the bus are applied.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Stops taking requests; returns when what was acknowledged already has been taken too, or, of a server that
    /// settles [after the answer](RpcServerBuilder::at_least_once), what the broker had handed over. Methods go on, and
    /// what was taken still begins; everything else is the broker's again.
    ///
    /// Idempotent; callers at the same time share one outcome,
    /// and the first deadline is the one that counts for the broker.
    ///
    /// # Errors
    /// [`ErrorKind::Timeout`] if `deadline` passes first; the server goes on stopping.
    pub async fn stop(&self, deadline: Deadline) -> Result<()> {
        self.task.stop(deadline).await
    }

    /// Stops the server gracefully: takes no more requests, waits until every method has ended and every answer is out,
    /// and closes its listener. What still runs at `deadline` is aborted. Returns why the server ended;
    /// calling it again returns the same.
    ///
    /// In the last quarter of the time until `deadline`, at most its last second, no further request begins: those that
    /// were acknowledged and have not begun are dropped, counted in `oslo_messaging_requests_dropped_total` and logged
    /// once, and a caller among their senders gets a failure that says that its method did not run.
    ///
    /// # Errors
    /// What ended the server, if it was not asked to stop; [`ErrorKind::Timeout`] if `deadline` passes first, and
    /// then every method that still runs is aborted.
    ///
    /// # Cancellation
    /// The server goes on stopping and aborts nothing; call it again to wait for the end.
    pub async fn shutdown(&self, deadline: Deadline) -> Result<()> {
        self.task.shutdown(deadline).await
    }

    /// Waits until the server has ended, by itself or because it was stopped, and returns why. Does not stop it.
    ///
    /// # Errors
    /// What ended the server, if it was not asked to stop;
    /// [`ErrorKind::Closed`] if [`shutdown`](Self::shutdown) aborted it.
    ///
    /// # Cancellation
    /// Safe: it only watches.
    pub async fn wait(&self) -> Result<()> {
        self.task.wait().await
    }
}

impl RpcServerBuilder {
    /// Adds an endpoint, or the service that becomes one; the first that fits a request takes it.
    pub fn endpoint<S: Send + Sync + 'static>(mut self, endpoint: impl Into<Endpoint<S>>) -> Self {
        self.dispatcher = self.dispatcher.endpoint(endpoint.into());
        self
    }

    /// How many methods run at once, from 1 to 65,535.
    /// Default: [what the bus says](crate::BusBuilder::concurrency), or 64.
    pub fn concurrency(mut self, methods: usize) -> Self {
        self.concurrency = methods.clamp(1, usize::from(u16::MAX));
        self
    }

    /// How many acknowledged requests may wait for a free handler, so that acknowledgements are written in batches.
    /// They are lost if the process dies. 0 turns the reserve off. Default: a quarter of the concurrency, at most 32.
    pub fn reserve(mut self, requests: usize) -> Self {
        self.reserve = Some(requests.min(usize::from(u16::MAX)));
        self
    }

    /// Answers a request that the broker hands over a second time with a failure instead of running it, so that it
    /// runs at most once whatever is cut, killed or stopped. Only with a driver that marks such a request
    /// ([`Capability::RedeliveredFlag`]). Default: it runs, marked as redelivered.
    pub fn refuse_redelivered(mut self) -> Self {
        self.redelivered = Redelivered::Refuse;
        self
    }

    /// Acknowledges a request only when its answer is out, or can reach its caller no more, so that a crash before
    /// brings it back. A method that fails has answered. Default: acknowledged before it runs.
    ///
    /// Where the queue counts failed deliveries and has a limit, as a quorum queue of RabbitMQ 4 has, a request that
    /// may not fail once more is not run: a caller gets a failure in words, and a cast goes into `<queue>.dead`; both
    /// are counted in `oslo_messaging_requests_set_aside_total`. Requests that have failed before run one at a time, in
    /// random order, so that one that ends its process takes few others along.
    pub fn at_least_once(mut self) -> Self {
        self.settle = Settle::ByReceiver;
        self
    }

    /// Answers `oslo_rpc_server_ping` with `pong`, as the reference's `rpc_ping_enabled`. Default:
    /// [what the bus says](crate::BusBuilder::ping), or no.
    pub fn ping(mut self) -> Self {
        self.ping = true;
        self
    }

    /// Warns in the log when the first poll of a method takes this long, since it keeps the server from taking requests
    /// meanwhile; `None` turns that off. At most one warning a minute. Default: 1 s.
    pub fn warn_of_blocking_after(mut self, threshold: impl Into<Option<Duration>>) -> Self {
        self.thresholds.blocking = threshold.into();
        self
    }

    /// Warns in the log when a method has run for this long, and each time that it has run for as long again; `None`
    /// turns that off. At most one warning a minute. Default: 5 minutes.
    pub fn warn_of_long_methods_after(mut self, threshold: impl Into<Option<Duration>>) -> Self {
        self.thresholds.long = threshold.into();
        self
    }

    /// Warns in the log when every handler was busy for this long without a pause, once until one is free;
    /// `None` turns that off. Default: 30 s.
    pub fn warn_of_saturation_after(mut self, threshold: impl Into<Option<Duration>>) -> Self {
        self.thresholds.saturation = threshold.into();
        self
    }

    /// Translates every argument, result and context. Clients must use its counterpart. Default: none.
    pub fn serializer(mut self, serializer: impl Serializer) -> Self {
        self.serializer = Some(Arc::new(serializer));
        self
    }

    /// Puts `layer` around every endpoint, also those that are added later, and around the layers so far:
    /// the last one added sees a request first.
    ///
    /// An error of a layer becomes a failure of the call, `oslo_messaging_rust.RequestFailed`, which does not claim
    /// that the method ran; a [`Failure`](crate::Failure) stays what it is.
    pub fn layer<L>(mut self, layer: L) -> Self
    where
        L: Layer<RpcService> + Send + Sync + 'static,
        L::Service: Service<Request, Response = Reply> + Clone + Send + Sync + 'static,
        <L::Service as Service<Request>>::Error: Into<BoxError>,
        <L::Service as Service<Request>>::Future: Send,
    {
        self.layers.push(Arc::new(move |inner| RpcService::new(layer.layer(inner))));
        self
    }

    /// Starts the server; returns when its queues are bound, so that what is sent afterwards is not missed.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidTarget`] without a topic or a server name, [`ErrorKind::Config`] with both
    /// [`at_least_once`](Self::at_least_once) and [`refuse_redelivered`](Self::refuse_redelivered),
    /// [`ErrorKind::Unsupported`] with the latter if the driver marks nothing, and what
    /// [`Transport::subscribe`](crate::driver::Transport::subscribe) says.
    pub async fn start(self, deadline: Deadline) -> Result<RpcServer> {
        if self.settle == Settle::ByReceiver && self.redelivered == Redelivered::Refuse {
            return Err(Error::new(ErrorKind::Config, "start")
                .with_context("reason", CONTRADICTION)
                .with_context("target", &self.target));
        }
        if self.redelivered == Redelivered::Refuse && !self.bus.capabilities().has(Capability::RedeliveredFlag) {
            return Err(Error::unsupported("refuse_redelivered").with_context("target", &self.target));
        }
        let subscription = self.subscription()?;
        let reserve = self.effective_reserve();
        let listener = self.bus.0.subscribe(&subscription, deadline).await?;
        let Decoding { limit, received, .. } = self.bus.0.decoding.clone();
        let listener = DecodingListener::new(listener, self.settle, limit, received, wire::Request::of_body);
        let runner = Arc::new(Runner {
            topic: self.target.topic.clone().unwrap_or_default(),
            service: self.service(),
            replies: self.replies(),
            admission: Admission::new(self.bus.0.clock, self.redelivered, self.settle),
            serializer: self.serializer,
            settle: self.settle,
            watch: MethodWatch::new(self.thresholds),
            dead_letters: DeadLetterWriter::new(Arc::clone(&self.bus.0.transport)),
        });
        let handlers = HandlerPermits::new(self.concurrency, reserve);
        let saturation = SaturationWatch::new(self.thresholds.saturation);
        let waiting = WaitingRequests::new(self.settle, self.target.to_string());
        let task = TaskHandle::start("server", &self.target, move |control| {
            let (running, unpolled) = (JoinSet::new(), Duration::ZERO);
            Intake { listener, runner, handlers, control, waiting, running, unpolled, saturation }.run()
        });
        Ok(RpcServer { target: self.target, task })
    }

    /// The sender of replies, sized by the concurrency.
    fn replies(&self) -> ReplySender {
        let (transport, compression) = (Arc::clone(&self.bus.0.transport), self.bus.0.compression);
        ReplySender::new(transport, compression, self.concurrency, self.settle)
    }

    /// The configured reserve, or the default for the concurrency.
    fn effective_reserve(&self) -> usize {
        self.reserve.unwrap_or_else(|| default_reserve(self.concurrency))
    }

    /// How many unsettled requests the broker may hand over: twice what runs at once, so that taking requests never
    /// waits for the network. Those that are settled after the answer stay unsettled until it is out, and answers that
    /// wait must not keep new requests away.
    fn window(&self) -> NonZeroU16 {
        let requests = match self.settle {
            Settle::BeforeHandover => self.concurrency.saturating_mul(2),
            Settle::ByReceiver => {
                let waiting = self.effective_reserve().saturating_add(sender::slots(self.concurrency));
                self.concurrency.saturating_add(waiting)
            }
        };
        u16::try_from(requests).ok().and_then(NonZeroU16::new).unwrap_or(NonZeroU16::MAX)
    }

    /// What the driver is asked to listen to. Fails without a topic or a server name.
    fn subscription(&self) -> Result<Subscription> {
        let part = |part: &Option<String>, name: &str| {
            part.clone().filter(|text| !text.is_empty()).ok_or_else(|| {
                Error::new(ErrorKind::InvalidTarget, "start")
                    .with_context("reason", format_args!("a server needs a {name}"))
                    .with_context("target", &self.target)
            })
        };
        let source = Source::Server {
            exchange: self.target.exchange.clone().unwrap_or_else(|| self.bus.0.default_exchange.clone()),
            topic: part(&self.target.topic, "topic")?,
            server: part(&self.target.server, "server name")?,
        };
        Ok(Subscription::new(source).with_settle(self.settle).with_window(self.window()))
    }

    /// The dispatcher with its layers, the last one outermost.
    fn service(&self) -> RpcService {
        let dispatcher = if self.ping { self.dispatcher.clone().ping() } else { self.dispatcher.clone() };
        self.layers.iter().fold(RpcService::new(dispatcher), |service, wrap| wrap(service))
    }
}

impl fmt::Debug for RpcServerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RpcServerBuilder")
            .field("target", &self.target)
            .field("dispatcher", &self.dispatcher)
            .field("layers", &self.layers.len())
            .field("concurrency", &self.concurrency)
            .field("settle", &self.settle)
            .finish_non_exhaustive()
    }
}
