//! Requests that a server took and has not begun yet.

use std::collections::VecDeque;

use futures_util::future::join_all;
use metrics::counter;
use tokio_util::task::AbortOnDropHandle;
use tracing::warn;

use super::admission::Accepted;
use super::failures::not_run;
use super::outbox::Outbox;
use crate::{Deadline, Settle};

/// Why a request is refused that was taken and could not begin.
const STOPPED: &str = "the server stopped before the request began";

/// A request that waits to start.
pub(super) struct Waiting {
    accepted: Accepted,
    /// Sends heartbeats to the caller of a monitored call, and ends when the request starts.
    heartbeats: Option<AbortOnDropHandle<()>>,
}

/// The requests that wait to start, in order.
///
/// Those that were acknowledged already are nobody else's: if they are dropped here, they are lost, so that is counted and
/// logged, once for all of them. Those that their receiver settles go back to the broker.
pub(super) struct WaitingRequests {
    requests: VecDeque<Waiting>,
    settle: Settle,
    topic: String,
}

impl Waiting {
    pub(super) fn new(accepted: Accepted, heartbeats: Option<AbortOnDropHandle<()>>) -> Self {
        Self { accepted, heartbeats }
    }
}

impl WaitingRequests {
    /// No request yet; `topic` is for the log.
    pub(super) fn new(settle: Settle, topic: String) -> Self {
        Self { requests: VecDeque::new(), settle, topic }
    }

    pub(super) fn len(&self) -> usize {
        self.requests.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    pub(super) fn push(&mut self, request: Waiting) {
        self.requests.push_back(request);
    }

    /// The request that has waited longest; its heartbeats end.
    pub(super) fn pop(&mut self) -> Option<Accepted> {
        Some(self.requests.pop_front()?.accepted)
    }

    /// Drops every request; the callers among their senders get a failure that says so, as far as that can be sent until
    /// `deadline`.
    pub(super) async fn refuse(&mut self, outbox: &Outbox, deadline: Deadline) {
        let calls: Vec<_> = self.clear().into_iter().filter_map(|accepted| accepted.reply_to).collect();
        let refusals = calls.iter().map(|to| async move { outbox.deliver(to, &not_run(to, STOPPED)).await });
        let _ = deadline.run("refuse requests", join_all(refusals)).await;
    }

    /// Takes every request out to be dropped.
    fn clear(&mut self) -> Vec<Accepted> {
        let dropped: Vec<Accepted> = self.requests.drain(..).map(|waiting| waiting.accepted).collect();
        if !dropped.is_empty() && self.settle == Settle::BeforeHandover {
            let (requests, calls) =
                (dropped.len(), dropped.iter().filter(|accepted| accepted.reply_to.is_some()).count());
            counter!("oslo_messaging_requests_dropped_total").increment(requests as u64);
            warn!(
                topic = self.topic,
                requests, calls, "a server stopped before requests began that it had acknowledged: they are dropped"
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

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waiting").field("monitored", &self.heartbeats.is_some()).finish_non_exhaustive()
    }
}
