//! Runs one accepted request, from its first poll to its settled answer.
//!
//! The order matters: the handler's permit is released when the method ends, then the reply is sent, and only then is
//! the request acknowledged if the receiver settles it.
//! So a slow reply blocks no handler, and a crash before the reply brings the request back.

use std::pin::pin;
use std::sync::Arc;

use tracing::{Instrument, debug, error};

use super::admission::{Accepted, Admission};
use super::handler_permits::Permit;
use super::last_delivery::set_aside;
use super::watches::MethodWatch;
use crate::driver::Settle;
use crate::failure::Nature;
use crate::notify::DeadLetterWriter;
use crate::panic::{caught, caught_in};
use crate::rpc::arguments;
use crate::rpc::dispatch::request::{Reply, Request};
use crate::rpc::dispatch::service::RpcService;
use crate::rpc::failures::{failed, not_run, redelivered};
use crate::rpc::observe;
use crate::rpc::observe::Meter;
use crate::rpc::reply::heartbeat::{HeartbeatTimer, with_heartbeats};
use crate::rpc::reply::reply_to::ReplyTo;
use crate::rpc::reply::sender::ReplySender;
use crate::rpc::unique_id::fresh_unique_id;
use crate::{Context, Error, ErrorKind, Failure, Payload, Result, Serializer, wire};

/// Shared by all requests of a server, each of which runs in a future of its own.
#[derive(Debug)]
pub(crate) struct Runner {
    /// The topic that is served, for spans.
    pub(crate) topic: String,
    /// The dispatcher with the layers of the server around it.
    pub(crate) service: RpcService,
    /// Sends answers and heartbeats, and bounds how many answers are published at once.
    pub(crate) replies: ReplySender,
    /// Knows when a request became stale.
    pub(crate) admission: Admission,
    /// Of the application; `None` leaves arguments and results as they are.
    pub(crate) serializer: Option<Arc<dyn Serializer>>,
    /// `ByReceiver`: the request is acknowledged after its reply.
    pub(crate) settle: Settle,
    /// Warns about methods that block or run for long.
    pub(crate) watch: MethodWatch,
    /// Takes casts that their queue would drop next.
    pub(crate) dead_letters: DeadLetterWriter,
}

impl Runner {
    /// Runs the request, gives its permit back when the method has ended, then sends the answer.
    ///
    /// A request that became stale while it waited does not run: a call gets a failure, a cast is only acknowledged.
    ///
    /// Cancellation: the method is dropped where it stands.
    /// A request that the receiver settles comes again; another one is lost.
    pub(crate) async fn run(self: Arc<Self>, accepted: Accepted, permit: Permit) {
        if let Some(why) = self.admission.has_become_stale(&accepted) {
            drop(permit);
            accepted.delivery.acknowledge().await;
            // Its time has passed by our clock; by its own it may still wait.
            if let Some(to) = accepted.reply_to {
                self.refuse(ReplyTo { stale_from: None, ..to }, why).await;
            }
            return;
        }
        let Accepted { request, reply_to, heartbeat, refused, delivery, .. } = accepted;
        let id = match &reply_to {
            Some(to) => &to.msg_id,
            None => request.context.request().map_or("", |info| info.unique_id.as_str()),
        };
        let span = observe::request(&self.topic, &request.method, id);
        let meter = Meter::of_request();
        // Pinned where they are made: each `async fn` that takes a future by value keeps room for it.
        let work = async {
            let method = pin!(async {
                if refused {
                    return Err(redelivered());
                }
                let running = pin!(self.execute(request));
                self.watch.watch(running).await
            });
            match &reply_to {
                Some(to) => self.with_heartbeats(method, to, heartbeat).await,
                None => method.await,
            }
        };
        // In the span as a whole, so that what an aborted method holds is dropped in it.
        let outcome = pin!(work.instrument(span.clone())).await;
        // Before the reply: sending it may take long and needs no handler.
        drop(permit);
        meter.answered(refused, &outcome);
        span.in_scope(|| report(&outcome));
        if let Some(to) = &reply_to {
            self.replies.deliver(to, &reply(to, outcome)).await;
        }
        // Before handover it is settled already; otherwise only now, so that a crash brings the request back.
        if self.settle == Settle::ByReceiver {
            delivery.acknowledge().await;
        }
    }

    /// Takes a request out of its queue that has failed `deliveries` times and may not fail once more.
    ///
    /// Needs no handler permit, since no method runs.
    pub(crate) async fn set_aside(self: Arc<Self>, accepted: Accepted, deliveries: u64) {
        set_aside(accepted, deliveries, &self.replies, &self.dead_letters).await;
    }

    /// Answers a call that does not run, for the reason `why`, which its caller reads.
    ///
    /// The failure carries the module `oslo_messaging_rust`, so that a Rust caller knows that its method did not run.
    pub(crate) async fn refuse(self: Arc<Self>, to: ReplyTo, why: String) {
        self.replies.deliver(&to, &not_run(&to, &why)).await;
    }

    /// Runs `work` and sends heartbeats to the caller until it ends.
    ///
    /// Without a timer it only awaits `work`.
    pub(crate) async fn with_heartbeats<T>(
        &self,
        work: impl Future<Output = T>,
        to: &ReplyTo,
        heartbeat: Option<HeartbeatTimer>,
    ) -> T {
        let Some(heartbeat) = heartbeat else { return work.await };
        with_heartbeats(work, heartbeat, || self.replies.heartbeat(to, heartbeat.every)).await
    }

    /// Runs the layers and the method.
    /// A panic in them, or in the serializer when it has the result, is a failure of this call and of nothing else.
    ///
    /// The order is: translate the request, run the layers and the method, translate the result.
    ///
    /// Errors: the failure of the method, of a layer or of the serializer, or the text of a panic in one of them.
    async fn execute(&self, request: Request) -> Result<Payload, Failure> {
        let mut running = pin!(Some(async {
            let request = self.translate(request)?;
            let context = request.context.clone();
            let Reply { outcome } = self.service.answer(request).await;
            self.translate_back(&context, outcome?).map_err(|error| Failure::internal(&error))
        }));
        caught_in(running.as_mut()).await.unwrap_or_else(|panic| Err(Failure::panicked(&panic)))
    }

    /// Translates what arrived, if the application has a serializer; first the context, which says how to read the
    /// arguments (oslo.messaging `rpc/dispatcher.py`, `_do_dispatch`).
    /// A panic of the serializer is this request's alone.
    ///
    /// Errors: the failure for the caller; it carries the module `oslo_messaging_rust`, and the method did not run.
    fn translate(&self, mut request: Request) -> Result<Request, Failure> {
        let Some(serializer) = &self.serializer else { return Ok(request) };
        let translated = caught(|| {
            request.context = request.context.replaced(&serializer.deserialize_context(&request.context)?);
            request.args = arguments::map(&request.args, |value| serializer.deserialize(&request.context, value))?;
            Ok(request)
        });
        let panicked = |panic| Err(Error::new(ErrorKind::Decode, "translate").with_context("panic", panic));
        translated.unwrap_or_else(panicked).map_err(failed)
    }

    /// Translates the result of a request whose translated context is `context`.
    ///
    /// Errors: what the serializer returns. The method has run by then.
    fn translate_back(&self, context: &Context, result: Payload) -> Result<Payload> {
        match &self.serializer {
            Some(serializer) => serializer.serialize(context, result),
            None => Ok(result),
        }
    }
}

/// The outcome on the wire: under the `_msg_id` of the call, with a `_unique_id` of its own.
fn reply(to: &ReplyTo, outcome: Result<Payload, Failure>) -> wire::Reply {
    match outcome {
        Ok(result) => wire::Reply::result(to.msg_id.clone(), fresh_unique_id(), result),
        Err(failure) => wire::Reply::failure(to.msg_id.clone(), fresh_unique_id(), &failure),
    }
}

/// Logs a failure: an expected one is part of the method's contract, an unexpected one concerns the operator.
fn report(outcome: &Result<Payload, Failure>) {
    match outcome {
        Ok(_) => {}
        Err(failure) => match failure.nature() {
            Nature::Expected => debug!(%failure, "the method failed as expected"),
            // Who refused it has logged it, with what there is instead.
            Nature::Refused(_) => debug!(%failure, "the request was refused"),
            Nature::Unexpected => error!(%failure, "the method failed"),
        },
    }
}
