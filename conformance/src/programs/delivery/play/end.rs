//! The begin and the end of every program: working transports first, empty queues last.

use std::num::NonZeroUsize;

use futures_util::future::join_all;
use oslo_messaging::driver::{Message, PublishOptions, Transport};
use oslo_messaging::{Result, State};
use tokio::time::{Instant, sleep, timeout};

use super::{Play, outcome_of};
use crate::programs::delivery::event::Outcome;
use crate::programs::delivery::ledger::{Phase, Reading};
use crate::programs::delivery::program::Settlement;
use crate::programs::delivery::publish::{Publish, To};
use crate::programs::delivery::rules;

/// Polls at the end take up to this many messages at once.
const MANY: usize = 50;

impl Play<'_> {
    /// Waits until a transport reports that it is ready.
    /// Gives up after `Budget::arrive`, and breaks `rules::HEALTH` then.
    pub(super) async fn ready(&mut self, transport: &dyn Transport) {
        let mut health = transport.health();
        let ready = health.wait_for(|health| health.state == State::Ready);
        if !matches!(timeout(self.stage.budget().arrive, ready).await, Ok(Ok(_))) {
            let state = format!("{:?}", transport.health().borrow().state);
            self.ledger.broken(&rules::HEALTH, format!("a transport that is connected says {state}"));
        }
    }

    /// Settles every message, drains stopped listeners, reads every queue to its end, and closes everything.
    /// Unsettled messages are acknowledged before anything is closed, so that no close requeues one.
    pub(super) async fn end(&mut self) {
        self.let_go(Settlement::Acknowledge).await;
        for reader in 0..self.listeners.len() {
            if self.ledger.readers[reader].phase == Phase::Stopped {
                self.drain(reader).await;
            }
            if self.ledger.readers[reader].phase == Phase::Shut {
                self.open(reader).await;
            }
        }
        for spec in self.ledger.unread() {
            self.ledger.readers.push(Reading::new(spec));
            self.listeners.push(None);
            self.open(self.listeners.len() - 1).await;
        }
        self.read_all().await;
        self.silence().await;
        for reader in 0..self.listeners.len() {
            self.close(reader).await;
        }
        self.call_after_inboxes().await;
        self.close_transports().await;
    }

    /// Publishes to every closed inbox; its queue must be deleted.
    /// The publishes are mandatory. A success means that the close left the queue behind.
    async fn call_after_inboxes(&mut self) {
        let readers: Vec<usize> = self.inboxes.keys().copied().collect();
        for reader in readers {
            if self.ledger.inbox_of(reader).is_some() {
                self.publish(&Publish::inbox(reader).mandatory()).await;
            }
        }
    }

    /// Settles the messages in hand of every reader in the same way, oldest first.
    async fn let_go(&mut self, settlement: Settlement) {
        for held in std::mem::take(&mut self.hand) {
            self.settle(held, settlement).await;
        }
    }

    /// Drains a stopped listener and closes it.
    /// A listener that neither ends nor returns a message within `Budget::arrive` breaks `rules::ENDED`.
    async fn drain(&mut self, reader: usize) {
        while let Some(came) = self.poll(reader, MANY, self.stage.budget().arrive).await {
            if came == 0 {
                self.ledger.broken(&rules::ENDED, format!("reader {reader} was stopped and does not end"));
                break;
            }
            self.let_go(Settlement::Acknowledge).await;
        }
        self.close(reader).await;
    }

    /// Polls until nothing is outstanding, or `Budget::arrive` has passed.
    /// Each poll waits a tenth of `Budget::quiet`. Every message is acknowledged at once.
    async fn read_all(&mut self) {
        let (begun, budget) = (Instant::now(), self.stage.budget());
        // On a paused clock endless redelivery takes no time. By this many rounds a rule is broken.
        let mut rounds = 0;
        while !self.ledger.outstanding().is_empty() && begun.elapsed() < budget.arrive && rounds < 1_000 {
            let mut came = 0;
            for reader in 0..self.listeners.len() {
                came += self.poll(reader, MANY, budget.quiet / 10).await.unwrap_or(0);
                self.let_go(Settlement::Acknowledge).await;
            }
            rounds += came.min(1);
            if came == 0 {
                // Polls of ended listeners return at once; without a sleep a paused clock would not advance.
                sleep(budget.quiet / 10).await;
            }
        }
    }

    /// Polls until nothing comes for `Budget::quiet`, at most 20 times.
    /// The ledger decides whether a message that comes now is surplus.
    async fn silence(&mut self) {
        for _ in 0..20 {
            if !self.listen().await {
                return;
            }
        }
    }

    /// Polls all listeners concurrently; returns whether any message came.
    /// Asks for one message of each listener. Acknowledges what came.
    async fn listen(&mut self) -> bool {
        let quiet = self.stage.budget().quiet;
        let polls = self.listeners.iter_mut().enumerate().filter_map(|(reader, listener)| {
            let listener = listener.as_mut()?;
            Some(async move { (reader, timeout(quiet, listener.poll(NonZeroUsize::MIN)).await) })
        });
        let mut came = 0;
        for (reader, polled) in join_all(polls).await {
            came += self.polled(reader, 1, polled).unwrap_or(0);
        }
        self.let_go(Settlement::Acknowledge).await;
        came > 0
    }

    /// Closes one transport after the other; each must refuse a publish afterwards.
    async fn close_transports(&mut self) {
        for transport in std::mem::take(&mut self.transports) {
            let closed = transport.close(self.stage.soon()).await;
            self.over(&*transport, closed).await;
        }
    }

    /// Checks a closed transport: result, later publishes and health.
    /// The late publish must fail with `Closed`, and the health must be `Closed`.
    pub(super) async fn over(&mut self, transport: &dyn Transport, closed: Result<()>) {
        let to = self.address(&To::Queue { name: "late".to_owned(), bytes: None });
        let late = transport.publish(&to, Message::new("late"), &PublishOptions::by(self.stage.soon())).await;
        let (closed, late) = (outcome_of(closed.as_ref().err()), outcome_of(late.as_ref().err()));
        if closed != Outcome::Done || late != Outcome::Closed {
            self.ledger.broken(&rules::OVER, format!("closing it ended {closed:?}, and a publish after it {late:?}"));
        }
        let state = transport.health().borrow().state.clone();
        if state != State::Closed {
            self.ledger.broken(&rules::HEALTH, format!("a transport that was closed says {state:?}"));
        }
    }
}
