//! Runs one accepted request, from its first poll to its settled answer.

use std::pin::pin;
use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;
use tracing::{Instrument, debug, error};

use super::admission::{Accepted, Admission, ReplyTo};
use super::monitor::{Pulse, with_heartbeats};
use super::observe::{self, Meter};
use super::outbox::{Outbox, fresh_unique_id};
use super::request::{Reply, Request};
use super::service::RpcService;
use crate::{Failure, Payload, Settle, panic, wire};

/// The module of failures that only this implementation knows.
pub(super) const MODULE: &str = "oslo_messaging_rust";
/// The class of the answer to a request that came a second time, at a server that refuses those.
pub(super) const REDELIVERED: &str = "RequestRedelivered";
/// The class of the answer to a request that something around the method has failed: it may not have come to the method.
pub(super) const FAILED: &str = "RequestFailed";

#[derive(Debug)]
pub(super) struct Runner {
    /// What is served, for whoever looks on.
    pub(super) topic: String,
    pub(super) service: RpcService,
    pub(super) outbox: Outbox,
    pub(super) admission: Admission,
    pub(super) settle: Settle,
}

impl Runner {
    /// Runs the request, gives its permit back when the method has ended, then sends the answer.
    pub(super) async fn run(self: Arc<Self>, accepted: Accepted, permit: OwnedSemaphorePermit) {
        if accepted.has_become_stale() {
            drop(permit);
            return accepted.delivery.acknowledge().await;
        }
        let Accepted { request, reply_to, pulse, refused, delivery, .. } = accepted;
        let id = match &reply_to {
            Some(to) => &to.msg_id,
            None => request.context.request().map_or("", |info| info.unique_id.as_str()),
        };
        let span = observe::request(&self.topic, &request.method, id);
        let meter = Meter::of_request();
        let work = async { if refused { Err(redelivered()) } else { self.execute(request).await } };
        let outcome = match &reply_to {
            Some(to) => self.with_heartbeats(work, to, pulse).instrument(span.clone()).await,
            None => work.instrument(span.clone()).await,
        };
        drop(permit);
        meter.answered(refused, &outcome);
        span.in_scope(|| report(&outcome));
        if let Some(to) = &reply_to {
            self.outbox.deliver(to, &reply(to, outcome)).await;
        }
        // Before handover it is settled already; otherwise only now, so that a crash brings the request back.
        if self.settle == Settle::ByReceiver {
            delivery.acknowledge().await;
        }
    }

    /// Does `work`; while it goes on, its caller is told so.
    pub(super) async fn with_heartbeats<T>(
        &self,
        work: impl Future<Output = T>,
        to: &ReplyTo,
        pulse: Option<Pulse>,
    ) -> T {
        let Some(pulse) = pulse else { return work.await };
        with_heartbeats(work, pulse, || self.outbox.heartbeat(to, pulse.every)).await
    }

    /// Runs the layers and the method. A panic in them, or in the serializer when it has the result, is a failure of this
    /// call and of nothing else.
    async fn execute(&self, request: Request) -> Result<Payload, Failure> {
        let mut running = pin!(Some(async {
            let request = self.admission.translate(request)?;
            let context = request.context.clone();
            let Reply { outcome } = self.service.answer(request).await;
            self.admission.translate_back(&context, outcome?).map_err(|error| Failure::internal(&error))
        }));
        panic::caught_in(running.as_mut()).await.unwrap_or_else(|panic| Err(Failure::panicked(&panic)))
    }
}

/// The wire form of an outcome.
fn reply(to: &ReplyTo, outcome: Result<Payload, Failure>) -> wire::Reply {
    match outcome {
        Ok(result) => wire::Reply::result(to.msg_id.clone(), fresh_unique_id(), result),
        Err(failure) => wire::Reply::failure(to.msg_id.clone(), fresh_unique_id(), &failure),
    }
}

/// What becomes of a request that something around the method has failed with `error`.
pub(super) fn failed(error: impl std::error::Error) -> Failure {
    Failure::internal(error).renamed(MODULE, FAILED)
}

fn redelivered() -> Failure {
    Failure::new(
        MODULE,
        REDELIVERED,
        "the request was handed over before and may have run; this server runs it at most once",
    )
}

/// An expected failure is an answer like any other; one that nobody expected is the operator's business too.
fn report(outcome: &Result<Payload, Failure>) {
    match outcome {
        Ok(_) => {}
        Err(failure) if failure.is_expected() => debug!(%failure, "the method failed as expected"),
        Err(failure) => error!(%failure, "the method failed"),
    }
}
