//! Runs one accepted request, from its first poll to its settled answer.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use tokio::sync::OwnedSemaphorePermit;
use tracing::{Instrument, debug, error};

use super::admission::{Accepted, Admission, ReplyTo};
use super::failures::redelivered;
use super::monitor::{Pulse, with_heartbeats};
use super::observe::{self, Meter};
use super::outbox::{Outbox, fresh_unique_id};
use super::request::{Reply, Request};
use super::service::RpcService;
use crate::{Failure, Payload, Settle, panic, wire};

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
            None => delivery.unique_id(),
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
        let running = AssertUnwindSafe(async {
            let request = self.admission.translate(request)?;
            let context = request.context.clone();
            let Reply { outcome } = self.service.answer(request).await;
            self.admission.translate_back(&context, outcome?).map_err(|error| Failure::internal(&error))
        });
        match running.catch_unwind().await {
            Ok(outcome) => outcome,
            Err(panic) => Err(Failure::panicked(panic::text(&*panic))),
        }
    }
}

/// The wire form of an outcome.
fn reply(to: &ReplyTo, outcome: Result<Payload, Failure>) -> wire::Reply {
    match outcome {
        Ok(result) => wire::Reply::result(to.msg_id.clone(), fresh_unique_id(), result),
        Err(failure) => wire::Reply::failure(to.msg_id.clone(), fresh_unique_id(), &failure),
    }
}

/// An expected failure is an answer like any other; one that nobody expected is the operator's business too.
fn report(outcome: &Result<Payload, Failure>) {
    match outcome {
        Ok(_) => {}
        Err(failure) if failure.is_expected() => debug!(%failure, "the method failed as expected"),
        Err(failure) => error!(%failure, "the method failed"),
    }
}
