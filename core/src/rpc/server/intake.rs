//! The task of a server: takes requests from the listener and starts them in the order in which they came.
//!
//! It is the only task that polls the listener and starts methods. Each round starts what may start, then waits for
//! the first of: a request to stop, a free handler, more messages, room for replies,
//! or the time to warn of saturation.
//!
//! Shutdown has two parts: `drain` stops the listener and takes what was acknowledged already, and `finish` runs what
//! is left until too little time remains.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, info, warn};

use super::admission::{Accepted, Admitted};
use super::handler_permits::HandlerPermits;
use super::runner::Runner;
use super::waiting_requests::{WaitingRequest, WaitingRequests};
use super::watches::SaturationWatch;
use crate::decoding::{Decoded, DecodingListener};
use crate::driver::{Listener, Settle};
use crate::lifecycle::{CLOSE_TIMEOUT, EndBy, Phase, TaskControl, start_in_order, stop_requested};
use crate::{Deadline, ErrorKind, Result, wire};

/// How long an acknowledgement that is being written may take to let go of its requests.
const HANDOVER: Duration = Duration::from_secs(1);

/// The state of a server's task. Only this task polls the listener.
pub(crate) struct Intake {
    /// The three queues of the server, decoded and within the memory budget of the bus.
    pub(crate) listener: DecodingListener<wire::Request>,
    /// Shared with every request that runs.
    pub(crate) runner: Arc<Runner>,
    /// One permit for each method that may run at once.
    pub(crate) handlers: HandlerPermits,
    /// Requests to stop come in here, and the phase of the server goes out.
    pub(crate) control: TaskControl,
    /// Accepted requests without a handler, in order of arrival.
    pub(crate) waiting: WaitingRequests,
    /// Methods, answers and refusals that are under way. Dropping it aborts them.
    pub(crate) running: JoinSet<()>,
    /// For how long messages may have waited in the listener because nothing was taken from it.
    /// The admission adds it to the age of a message: it measures time that the broker's clock does not show.
    pub(crate) unpolled: Duration,
    /// Warns once for each period without a free handler.
    pub(crate) saturation: SaturationWatch,
}

impl Intake {
    /// Runs until the server is asked to stop or has lost its queues, then until its methods have ended.
    ///
    /// The phase becomes `Stopped` when no more requests are taken,
    /// and `Ended` with the result when all answers are out.
    ///
    /// Cancellation: dropping the future aborts every running method.
    /// Requests that the receiver settles are delivered again.
    pub(crate) async fn run(mut self) {
        let ended = match self.receive().await {
            Ok(()) => self.drain().await,
            Err(error) => Err(error),
        };
        if let Err(error) = &ended {
            if error.kind() == ErrorKind::Closed {
                info!("a server stops, since its bus was closed");
            } else {
                warn!(%error, "a server has lost its queues and stops");
            }
        }
        self.control.phase.send_replace(Phase::Stopped);
        let listener = self.listener.detach();
        match self.runner.settle {
            // Nothing here needs the listener any more,
            // and what it did not hand over should not wait for methods to end.
            Settle::BeforeHandover => drop(tokio::join!(close(listener), self.finish())),
            // Requests are acknowledged through the listener, so it closes after the last of them has ended.
            Settle::ByReceiver => {
                self.finish().await;
                close(listener).await;
            }
        }
        self.control.phase.send_replace(Phase::Ended(ended));
    }

    /// Takes and starts requests until the server is to stop or its listener is lost.
    ///
    /// The arms of the `select!` are ordered: stopping comes before work, and waiting requests come before new ones.
    ///
    /// Errors: the error of the listener, once it has lost its queues.
    async fn receive(&mut self) -> Result<()> {
        loop {
            while self.running.try_join_next().is_some() {}
            self.start_what_may();
            // Whatever is ready to run goes first, so that one acknowledgement covers what arrives meanwhile. Nothing
            // is waited for: where nothing else is ready this costs no time.
            tokio::task::yield_now().await;
            // Asked once: a reply may leave between two looks, and then no arm below would be left to wake this task.
            let full = self.runner.replies.is_full();
            let demand = if full { 0 } else { self.handlers.demand(self.waiting.len()) };
            let take = NonZeroUsize::new(demand);
            let idle_since = Instant::now();
            self.saturation.note(self.handlers.free() > 0);
            let saturated_at = self.saturation.due();
            tokio::select! {
                biased;
                () = stop_requested(&mut self.control.stop) => return Ok(()),
                permit = self.handlers.acquire(), if self.waiting.may_start() => self.start_next(permit),
                polled = poll(&mut self.listener, take), if take.is_some() => match polled? {
                    Some(messages) => {
                        let has_more = messages.len() >= demand;
                        self.admit(messages).await;
                        // The listener gave all that it had, so nothing has waited in it.
                        if !has_more {
                            self.unpolled = Duration::ZERO;
                        }
                    }
                    None => return Ok(()),
                },
                // Every handler is busy and nothing waits: look again when one is free. The permit goes back at once.
                _ = self.handlers.acquire(), if take.is_none() && self.waiting.is_empty() && !full => {}
                () = self.runner.replies.room(), if full => {}
                () = self.waiting.nothing_runs_alone(), if !self.waiting.may_start() && !self.waiting.is_empty() => {}
                () = sleep_until(saturated_at.unwrap_or(idle_since)), if saturated_at.is_some() => {
                    self.saturation.warn(self.waiting.target(), self.handlers.permits(), self.waiting.len());
                }
            }
            // Nothing was polled in this round, so messages may have waited in the driver all the time.
            if take.is_none() {
                self.unpolled += idle_since.elapsed();
            }
        }
    }

    /// Stops the listener and takes what it hands over all the same: what it has acknowledged already, or, where the
    /// receiver settles, what the broker had handed over before.
    ///
    /// The stop waits until the deadline of the owner, or `CLOSE_TIMEOUT` if there is none. Taking what was
    /// acknowledged has at least one second more.
    ///
    /// Errors: the error of the listener, if it lost its queues meanwhile.
    async fn drain(&mut self) -> Result<()> {
        let deadline = (*self.control.stop.borrow()).unwrap_or_else(|| Deadline::after(CLOSE_TIMEOUT));
        if let Err(error) = self.listener.stop(deadline).await {
            debug!(%error, "a listener was not stopped cleanly");
        }
        // A broker that did not hear us may go on sending: what it sends then stays its own. What the driver has
        // acknowledged already would be lost, so it is taken however short the deadline is.
        let (all, taken_by) = (NonZeroUsize::new(1_024), deadline.max(Deadline::after(HANDOVER)));
        while let Ok(polled) = taken_by.run("stop", poll(&mut self.listener, all)).await {
            let Some(messages) = polled? else { break };
            self.admit(messages).await;
            self.start_what_may();
        }
        Ok(())
    }

    /// Runs what still waits or is still being decoded, and sees every answer out. Once too little time is left for a
    /// request to begin, refuses those that were acknowledged and have not begun.
    ///
    /// Requests that the receiver settles are not refused here: the broker delivers them to another server.
    async fn finish(&mut self) {
        let settled_already = self.runner.settle == Settle::BeforeHandover;
        let mut decoding = true;
        while decoding || !self.waiting.is_empty() {
            let waits = !self.waiting.is_empty();
            tokio::select! {
                biased;
                deadline = too_late(&mut self.control.end), if settled_already && waits => {
                    self.waiting.refuse(&self.runner.replies, deadline).await;
                }
                permit = self.handlers.acquire(), if self.waiting.may_start() => self.start_next(permit),
                rest = self.listener.rest(), if decoding => match rest {
                    Some(decoded) => self.admit(vec![decoded]).await,
                    None => decoding = false,
                },
                () = self.waiting.nothing_runs_alone(), if waits && !self.waiting.may_start() => {}
            }
        }
        while self.running.join_next().await.is_some() {}
    }

    /// Decides about each message and queues, answers or sets aside its request.
    ///
    /// Answers and moves run as tasks of their own, so that a slow reply does not hold up the messages behind it.
    async fn admit(&mut self, messages: Vec<Decoded<wire::Request>>) {
        for message in messages {
            match self.runner.admission.admit(message, self.unpolled).await {
                Admitted::Run(mut accepted) => {
                    accepted.waited = self.waiting.len() >= self.handlers.free();
                    let heartbeats = if accepted.waited { self.heartbeats(&accepted) } else { None };
                    self.waiting.push(WaitingRequest::new(*accepted, heartbeats));
                }
                Admitted::SetAside(accepted, deliveries) => {
                    let setting_aside = Arc::clone(&self.runner).set_aside(*accepted, deliveries);
                    self.running.spawn(setting_aside);
                }
                Admitted::Refuse(to, why) => {
                    start_in_order(Arc::clone(&self.runner).refuse(to, why), &mut self.running);
                }
                Admitted::Nothing => {}
            }
        }
    }

    /// Says that a monitored call is not forgotten, for as long as the handle is held.
    ///
    /// `None` for a cast or a call without monitoring.
    /// While the request waits for a handler, this task beats; while it runs, the runner does.
    fn heartbeats(&self, accepted: &Accepted) -> Option<AbortOnDropHandle<()>> {
        let (heartbeat, to) = (accepted.heartbeat?, accepted.reply_to.clone()?);
        let runner = Arc::clone(&self.runner);
        let beating = async move { runner.with_heartbeats(std::future::pending(), &to, Some(heartbeat)).await };
        Some(AbortOnDropHandle::new(tokio::spawn(beating)))
    }

    /// Starts waiting requests while handlers are free.
    ///
    /// Does not wait: it ends when no handler is free or no request may start.
    fn start_what_may(&mut self) {
        while self.waiting.may_start() {
            let Some(permit) = self.handlers.try_acquire() else { return };
            self.start_next(permit);
        }
    }

    /// Starts one that has failed before if it may run, and else the request that has waited longest.
    ///
    /// The permit goes back at once if nothing waits any more.
    fn start_next(&mut self, permit: OwnedSemaphorePermit) {
        if let Some((accepted, permit)) = self.waiting.pop(permit) {
            start_in_order(Arc::clone(&self.runner).run(accepted, permit), &mut self.running);
        }
    }
}

/// Waits until nothing should start any more; gives the deadline of the owner, who then aborts what runs.
///
/// Pending for ever while the owner has set no end.
async fn too_late(end: &mut watch::Receiver<Option<EndBy>>) -> Deadline {
    // An owner that is gone has aborted this task.
    let Some(by) = end.wait_for(Option::is_some).await.ok().and_then(|end| *end) else {
        return std::future::pending().await;
    };
    sleep_until(by.start_nothing_after.instant()).await;
    by.deadline
}

/// Has its own budget of `CLOSE_TIMEOUT`. A failure is logged only: the server has ended by then.
async fn close(listener: Option<Box<dyn Listener>>) {
    let Some(listener) = listener else { return };
    if let Err(error) = listener.close(Deadline::after(CLOSE_TIMEOUT)).await {
        debug!(%error, "a listener was not closed cleanly");
    }
}

/// `max` is `None` only where the arm of the caller is disabled; the future is then built but never polled.
async fn poll(
    listener: &mut DecodingListener<wire::Request>,
    max: Option<NonZeroUsize>,
) -> Result<Option<Vec<Decoded<wire::Request>>>> {
    listener.poll(max.unwrap_or(NonZeroUsize::MIN)).await
}
