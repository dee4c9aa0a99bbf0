//! Requests that a server took and has not begun yet.
//!
//! Requests that have failed before may crash the process. They are kept apart and run one at a time, in random
//! order, so that the same one does not take the same others down each time.

use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::future::join_all;
use metrics::counter;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::AbortOnDropHandle;
use tracing::warn;
use uuid::Uuid;

use super::admission::Accepted;
use super::handler_permits::Permit;
use crate::Deadline;
use crate::driver::Settle;
use crate::rpc::failures::not_run;
use crate::rpc::reply::sender::ReplySender;

/// Why a request is refused that was taken and could not begin.
const STOPPED: &str = "the server stopped before the request began";

/// A request that waits to start, with the heartbeats that its caller gets meanwhile.
pub(crate) struct WaitingRequest {
    accepted: Accepted,
    /// Sends heartbeats to the caller of a monitored call, and ends when the request starts.
    heartbeats: Option<AbortOnDropHandle<()>>,
}

/// The requests that wait to start, in order.
///
/// Requests that were acknowledged already are lost if they are dropped here; that is counted, and logged once for all
/// of them. Requests that the receiver settles go back to the broker.
pub(crate) struct WaitingRequests {
    /// Oldest first.
    requests: VecDeque<WaitingRequest>,
    /// Those that have failed before, any of which may end the process: they start one at a time, in random order.
    suspects: Vec<WaitingRequest>,
    /// One permit, held while a suspect runs.
    alone: Arc<Semaphore>,
    /// Decides whether a dropped request is lost or delivered again.
    settle: Settle,
    /// Names the server in the warnings of its intake.
    target: String,
}

impl WaitingRequest {
    pub(crate) fn new(accepted: Accepted, heartbeats: Option<AbortOnDropHandle<()>>) -> Self {
        Self { accepted, heartbeats }
    }
}

impl WaitingRequests {
    /// No request yet; `target` is what is served, for the log.
    pub(crate) fn new(settle: Settle, target: String) -> Self {
        Self { requests: VecDeque::new(), suspects: Vec::new(), alone: Arc::new(Semaphore::new(1)), settle, target }
    }

    /// The target of the server, for the log.
    pub(crate) fn target(&self) -> &str {
        &self.target
    }

    /// The intake subtracts it from the demand of the next poll.
    pub(crate) fn len(&self) -> usize {
        self.requests.len() + self.suspects.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.requests.is_empty() && self.suspects.is_empty()
    }

    /// Suspects go apart, whatever the order of arrival.
    pub(crate) fn push(&mut self, request: WaitingRequest) {
        if request.accepted.suspect {
            self.suspects.push(request);
        } else {
            self.requests.push_back(request);
        }
    }

    /// Whether a request could start, were a handler free.
    ///
    /// False while only suspects wait and one of them runs.
    pub(crate) fn may_start(&self) -> bool {
        !self.requests.is_empty() || (!self.suspects.is_empty() && self.alone.available_permits() > 0)
    }

    /// Waits until the request that runs alone has ended.
    ///
    /// Does not borrow the queue, so the intake can wait for it beside other work.
    pub(crate) fn nothing_runs_alone(&self) -> impl Future<Output = ()> + use<> {
        let alone = Arc::clone(&self.alone);
        async move { drop(alone.acquire().await) }
    }

    /// The request that is to start on the handler of `permit`; its heartbeats end. Those that failed before go first.
    ///
    /// `None`, and the permit goes back, if nothing can start.
    pub(crate) fn pop(&mut self, permit: OwnedSemaphorePermit) -> Option<(Accepted, Permit)> {
        if !self.suspects.is_empty()
            && let Ok(alone) = Arc::clone(&self.alone).try_acquire_owned()
        {
            // Random, since the oldest first would let one that ends the process do so at every start.
            let any = usize::try_from(Uuid::new_v4().as_u128() % self.suspects.len() as u128).unwrap_or(0);
            return Some((self.suspects.swap_remove(any).accepted, Permit::new(permit, Some(alone))));
        }
        Some((self.requests.pop_front()?.accepted, Permit::new(permit, None)))
    }

    /// Drops every request; the callers among their senders get a failure that says so,
    /// as far as that can be sent until `deadline`.
    pub(crate) async fn refuse(&mut self, replies: &ReplySender, deadline: Deadline) {
        let calls: Vec<_> = self.clear().into_iter().filter_map(|accepted| accepted.reply_to).collect();
        let refusals = calls.iter().map(|to| async move { replies.deliver(to, &not_run(to, STOPPED)).await });
        let _ = deadline.run("refuse requests", join_all(refusals)).await;
    }

    /// Takes every request out to be dropped.
    ///
    /// Counts and logs them if they were acknowledged.
    fn clear(&mut self) -> Vec<Accepted> {
        let requests = self.requests.drain(..).chain(self.suspects.drain(..));
        let dropped: Vec<Accepted> = requests.map(|waiting| waiting.accepted).collect();
        if !dropped.is_empty() && self.settle == Settle::BeforeHandover {
            let (requests, calls) =
                (dropped.len(), dropped.iter().filter(|accepted| accepted.reply_to.is_some()).count());
            counter!("oslo_messaging_requests_dropped_total").increment(requests as u64);
            warn!(
                target = self.target,
                requests, calls, "a server stopped before acknowledged requests had started: they are dropped"
            );
        }
        dropped
    }
}

impl Drop for WaitingRequests {
    fn drop(&mut self) {
        drop(self.clear());
    }
}

impl std::fmt::Debug for WaitingRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WaitingRequest").field("monitored", &self.heartbeats.is_some()).finish_non_exhaustive()
    }
}
