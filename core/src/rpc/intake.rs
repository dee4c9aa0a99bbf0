//! The task of a server: takes requests from the listener and starts them in the order in which they came.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, info, warn};

use super::CLOSE_TIMEOUT;
use super::admission::Accepted;
use super::gate::Gate;
use super::run::Runner;
use crate::lifecycle::{Phase, Reins, asked, start};
use crate::{Deadline, ErrorKind, IncomingMessage, Listener, Result};

/// How long an acknowledgement that is being written may take to let go of its requests.
const HANDOVER: Duration = Duration::from_secs(1);

pub(super) struct Intake {
    pub(super) listener: Box<dyn Listener>,
    pub(super) runner: Arc<Runner>,
    pub(super) gate: Gate,
    pub(super) reins: Reins,
    pub(super) waiting: VecDeque<Waiting>,
    pub(super) running: JoinSet<()>,
}

/// A request that waits to start.
pub(super) struct Waiting {
    accepted: Accepted,
    /// Tells the caller of a monitored call meanwhile, and ends when the request starts.
    _heartbeats: Option<AbortOnDropHandle<()>>,
}

impl Intake {
    pub(super) async fn run(mut self) {
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
        self.reins.phase.send_replace(Phase::Stopped);
        self.finish().await;
        if let Err(error) = self.listener.close(Deadline::after(CLOSE_TIMEOUT)).await {
            debug!(%error, "a listener was not closed cleanly");
        }
        self.reins.phase.send_replace(Phase::Ended(ended));
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

    /// Stops the listener and takes what the broker had handed over before.
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

    /// Runs what still waits, and sees every answer out.
    async fn finish(&mut self) {
        while !self.waiting.is_empty() {
            let permit = self.gate.enter().await;
            self.start_next(permit);
        }
        while self.running.join_next().await.is_some() {}
    }

    async fn admit(&mut self, messages: Vec<Box<dyn IncomingMessage>>) {
        for message in messages {
            if let Some(accepted) = self.runner.admission.admit(message).await {
                let starts_at_once = self.waiting.len() < self.gate.free();
                let heartbeats = if starts_at_once { None } else { self.heartbeats(&accepted) };
                self.waiting.push_back(Waiting { accepted, _heartbeats: heartbeats });
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

    /// Starts the request that has waited longest.
    fn start_next(&mut self, permit: OwnedSemaphorePermit) {
        let Some(Waiting { accepted, .. }) = self.waiting.pop_front() else { return };
        start(Arc::clone(&self.runner).run(accepted, permit), &mut self.running);
    }
}

async fn poll(listener: &mut dyn Listener, max: Option<NonZeroUsize>) -> Result<Option<Vec<Box<dyn IncomingMessage>>>> {
    listener.poll(max.unwrap_or(NonZeroUsize::MIN)).await
}
