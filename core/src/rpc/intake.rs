//! The task of a server: takes requests from the listener and starts them in the order in which they came.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::task::JoinSet;
use tokio::time::sleep_until;
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, warn};

use super::CLOSE_TIMEOUT;
use super::admission::Accepted;
use super::gate::Gate;
use super::run::Runner;
use super::waiting::{Waiting, WaitingRequests};
use crate::lifecycle::{EndBy, Phase, Reins, asked, start};
use crate::{Deadline, IncomingMessage, Listener, Result, Settle};

/// How long an acknowledgement that is being written may take to let go of its requests.
const HANDOVER: Duration = Duration::from_secs(1);

pub(super) struct Intake {
    pub(super) listener: Box<dyn Listener>,
    pub(super) runner: Arc<Runner>,
    pub(super) gate: Gate,
    pub(super) reins: Reins,
    pub(super) waiting: WaitingRequests,
    pub(super) running: JoinSet<()>,
}

impl Intake {
    pub(super) async fn run(mut self) {
        let ended = match self.receive().await {
            Ok(()) => self.drain().await,
            Err(error) => Err(error),
        };
        if let Err(error) = &ended {
            warn!(%error, "a server has lost its queues and stops");
        }
        self.reins.phase.send_replace(Phase::Stopped);
        let Self { listener, runner, gate, mut reins, mut waiting, mut running } = self;
        let finishing = finish(&runner, &gate, &mut reins.end, &mut waiting, &mut running);
        match runner.settle {
            // Nothing here needs the listener any more, and what it did not hand over should not wait for methods to end.
            Settle::BeforeHandover => drop(tokio::join!(close(listener), finishing)),
            Settle::ByReceiver => {
                finishing.await;
                close(listener).await;
            }
        }
        reins.phase.send_replace(Phase::Ended(ended));
    }

    /// Takes and starts requests until the server is to stop or its listener is lost.
    async fn receive(&mut self) -> Result<()> {
        loop {
            while self.running.try_join_next().is_some() {}
            self.start_what_may();
            // Whatever is ready to run goes first, so that one acknowledgement covers what arrives meanwhile. Nothing is
            // waited for: where nothing else is ready this costs no time.
            tokio::task::yield_now().await;
            // Asked once: a reply may leave between two looks, and then no arm below would be left to wake this task.
            let full = self.runner.outbox.is_full();
            let demand = if full { 0 } else { self.gate.demand(self.waiting.len()) };
            let take = NonZeroUsize::new(demand);
            tokio::select! {
                biased;
                () = asked(&mut self.reins.stop) => return Ok(()),
                permit = self.gate.enter(), if !self.waiting.is_empty() => self.start_next(permit),
                polled = poll(self.listener.as_mut(), take), if take.is_some() => match polled? {
                    Some(messages) => self.admit(messages).await,
                    None => return Ok(()),
                },
                _ = self.gate.enter(), if take.is_none() && self.waiting.is_empty() && !full => {}
                () = self.runner.outbox.room(), if full => {}
            }
        }
    }

    /// Stops the listener and takes what it hands over all the same: what it has acknowledged already, or, where the receiver
    /// settles, what the broker had handed over before.
    async fn drain(&mut self) -> Result<()> {
        let deadline = (*self.reins.stop.borrow()).unwrap_or_else(|| Deadline::after(CLOSE_TIMEOUT));
        if let Err(error) = self.listener.stop(deadline).await {
            debug!(%error, "a listener was not stopped cleanly");
        }
        // A broker that did not hear us may go on sending: what it sends then stays its own. What the driver has acknowledged
        // already is nobody else's any more, and is taken however short the stop was to be.
        let (all, taken_by) = (NonZeroUsize::new(1_024), deadline.max(Deadline::after(HANDOVER)));
        while let Ok(polled) = taken_by.run("stop", poll(self.listener.as_mut(), all)).await {
            let Some(messages) = polled? else { break };
            self.admit(messages).await;
            self.start_what_may();
        }
        Ok(())
    }

    async fn admit(&mut self, messages: Vec<Box<dyn IncomingMessage>>) {
        for message in messages {
            if let Some(accepted) = self.runner.admission.admit(message).await {
                let starts_at_once = self.waiting.len() < self.gate.free();
                let heartbeats = if starts_at_once { None } else { self.heartbeats(&accepted) };
                self.waiting.push(Waiting::new(accepted, heartbeats));
            }
        }
    }

    /// Says that a monitored call is not forgotten, for as long as the handle is held.
    fn heartbeats(&self, accepted: &Accepted) -> Option<AbortOnDropHandle<()>> {
        let (pulse, to) = (accepted.pulse?, accepted.reply_to.clone()?);
        let runner = Arc::clone(&self.runner);
        let beating = async move { runner.with_heartbeats(std::future::pending(), &to, Some(pulse)).await };
        Some(AbortOnDropHandle::new(tokio::spawn(beating)))
    }

    fn start_what_may(&mut self) {
        while !self.waiting.is_empty() {
            let Some(permit) = self.gate.try_enter() else { return };
            self.start_next(permit);
        }
    }

    fn start_next(&mut self, permit: OwnedSemaphorePermit) {
        start_next(&self.runner, &mut self.waiting, &mut self.running, permit);
    }
}

/// Starts the request that has waited longest.
fn start_next(
    runner: &Arc<Runner>,
    waiting: &mut WaitingRequests,
    running: &mut JoinSet<()>,
    permit: OwnedSemaphorePermit,
) {
    if let Some(accepted) = waiting.pop() {
        start(Arc::clone(runner).run(accepted, permit), running);
    }
}

/// Runs what still waits, and sees every answer out. Once too little time is left for a request to begin, refuses those that
/// were acknowledged and have not begun.
async fn finish(
    runner: &Arc<Runner>,
    gate: &Gate,
    end: &mut watch::Receiver<Option<EndBy>>,
    waiting: &mut WaitingRequests,
    running: &mut JoinSet<()>,
) {
    let settled_already = runner.settle == Settle::BeforeHandover;
    while !waiting.is_empty() {
        tokio::select! {
            biased;
            deadline = too_late(end), if settled_already => {
                waiting.refuse(&runner.outbox, deadline).await;
            }
            permit = gate.enter() => start_next(runner, waiting, running, permit),
        }
    }
    while running.join_next().await.is_some() {}
}

/// Waits until nothing should start any more; gives the deadline of the owner, who then aborts what runs.
async fn too_late(end: &mut watch::Receiver<Option<EndBy>>) -> Deadline {
    // An owner that is gone has aborted this task.
    let Some(by) = end.wait_for(Option::is_some).await.ok().and_then(|end| *end) else {
        return std::future::pending().await;
    };
    sleep_until(by.start_nothing_after.instant()).await;
    by.deadline
}

async fn close(listener: Box<dyn Listener>) {
    if let Err(error) = listener.close(Deadline::after(CLOSE_TIMEOUT)).await {
        debug!(%error, "a listener was not closed cleanly");
    }
}

async fn poll(listener: &mut dyn Listener, max: Option<NonZeroUsize>) -> Result<Option<Vec<Box<dyn IncomingMessage>>>> {
    listener.poll(max.unwrap_or(NonZeroUsize::MIN)).await
}
