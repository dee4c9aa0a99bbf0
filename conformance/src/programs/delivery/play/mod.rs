//! Plays a program step by step, records each result in the ledger, and ends it.

mod bus;
mod end;
mod gather;
mod hang_up;

use std::collections::BTreeMap;
use std::num::{NonZeroU16, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use oslo_messaging::driver::{
    Address, IncomingMessage, Lifetime, Listener, Message, PublishOptions, Settle, Subscription, Transport,
};
use oslo_messaging::{Deadline, Error, ErrorKind};
use tokio::time::error::Elapsed;
use tokio::time::{sleep, timeout};

use super::event::{Event, Got, Outcome, Polled};
use super::ledger::{Ledger, Phase};
use super::program::{NotificationQueue, Program, Reader, Reads, Settlement, Step};
use super::publish::{Life, Publish};
use super::routing::QueueName;
use crate::programs::Violation;
use crate::{Failed, Stage};

/// `Ok(None)` is the end of a listener that was stopped and is drained.
type PollResult = oslo_messaging::Result<Option<Vec<Box<dyn IncomingMessage>>>>;

/// A program while it is played: the connections that are open, and the messages in hand.
struct Play<'a> {
    /// Gives connections, unique names and time limits.
    stage: &'a Stage,
    /// Judges each event when it is noted.
    ledger: Ledger,
    /// By index. A transport that a step closes is replaced by a new one.
    transports: Vec<Arc<dyn Transport>>,
    /// By index of the reader; `None` while it is shut.
    listeners: Vec<Option<Box<dyn Listener>>>,
    /// The address of the last inbox of each reader that had one.
    inboxes: BTreeMap<usize, Address>,
    /// The unsettled messages, oldest first.
    hand: Vec<InHand>,
    /// The token of the next message that is received. Tokens are never used again.
    tokens: usize,
    /// Every message that was published, by its number, for the comparison with what arrives.
    published: Vec<Message>,
    /// What was done and what came of it, for the comparison of two drivers.
    observed: Vec<Observed>,
}

/// One event, with the queues in it by their names in the program.
#[derive(Debug)]
pub(super) struct Observed {
    pub(super) event: Event,
    /// The queue of each received message; `None` for one that the reader should not have received.
    pub(super) queues: Vec<Option<QueueName>>,
}

/// An unsettled message, the reader that received it, and its token in the ledger.
struct InHand {
    token: usize,
    reader: usize,
    /// Dropping it settles it as `Settlement::Drop`.
    message: Box<dyn IncomingMessage>,
}

/// Plays `program`, then reads every queue, closes everything, and returns the violations.
///
/// Fails if a transport cannot be opened.
pub(crate) async fn play(stage: &Stage, program: &Program) -> Result<Vec<Violation>, Failed> {
    let mut play = begin(stage, program).await?;
    for step in &program.steps {
        play.step(step).await?;
    }
    play.end().await;
    Ok(play.ledger.close())
}

/// Plays `program` as [`play`] does, but polls and settles everything after each step, so that no
/// result depends on timing. Returns the events.
///
/// Fails if a transport cannot be opened.
pub(super) async fn play_step_by_step(stage: &Stage, program: &Program) -> Result<Vec<Observed>, Failed> {
    let mut play = begin(stage, program).await?;
    for step in &program.steps {
        play.step(step).await?;
        play.gather().await;
    }
    play.end().await;
    Ok(play.observed)
}

/// Opens one transport for each index, and waits until all are ready.
async fn begin<'a>(stage: &'a Stage, program: &Program) -> Result<Play<'a>, Failed> {
    let mut transports = Vec::new();
    for _ in 0..=program.transports() {
        transports.push(stage.connect().await?);
    }
    let ledger = Ledger::new(program, transports[0].capabilities());
    let listeners = program.readers.iter().map(|_| None).collect();
    let (hand, published) = (Vec::new(), Vec::new());
    let inboxes = BTreeMap::new();
    let mut play =
        Play { stage, ledger, transports, listeners, inboxes, hand, tokens: 0, published, observed: Vec::new() };
    for transport in play.transports.clone() {
        play.ready(&*transport).await;
    }
    Ok(play)
}

impl Play<'_> {
    /// Polls wait a tenth of `Budget::quiet`, glances 1 ms.
    ///
    /// Fails if a replacement of a closed transport cannot be opened. Other errors are results for the ledger.
    async fn step(&mut self, step: &Step) -> Result<(), Failed> {
        let look = self.stage.budget().quiet / 10;
        match step {
            Step::Open { reader } => self.open(*reader).await,
            Step::Publish { count, publish } => {
                for _ in 0..*count {
                    self.publish(publish).await;
                }
            }
            Step::Poll { reader, max } => drop(self.poll(*reader, *max, look).await),
            Step::Glance { reader, max } => drop(self.poll(*reader, *max, Duration::from_millis(1)).await),
            Step::Settle { reader, which, settlement } => self.settle_one(*reader, *which, *settlement).await,
            Step::Stop { reader } => self.stop(*reader).await,
            Step::Close { reader } => self.close(*reader).await,
            Step::Forget { reader } => self.forget(*reader),
            Step::HangUp { transport } => self.hang_up(*transport).await?,
            Step::Cut => {
                let outcome = self.stage.cut().await;
                self.note(Event::Cut { outcome });
            }
            Step::Wait => {
                sleep(self.stage.budget().quiet).await;
                self.note(Event::Waited);
            }
        }
        Ok(())
    }

    /// Applies the event to the ledger and keeps it for the comparison.
    /// Must be called for every operation, in the order in which they ended.
    fn note(&mut self, event: Event) {
        self.ledger.note(&event);
        let queues = match &event {
            Event::Polled { polled: Polled::Messages(messages), .. } => {
                messages.iter().map(|got| self.ledger.queue_in_hand(got.token)).collect()
            }
            _ => Vec::new(),
        };
        self.observed.push(Observed { event, queues });
    }

    /// Keeps the listener only if the ledger agrees that it is open: a driver may wrongly succeed.
    /// The subscription has the deadline of [`Stage::soon`].
    async fn open(&mut self, reader: usize) {
        let spec = self.ledger.readers[reader].reader.clone();
        let subscription = self.subscription(&spec);
        let opened = self.transports[spec.transport].subscribe(&subscription, self.stage.soon()).await;
        self.note(Event::Opened { reader, outcome: outcome_of(opened.as_ref().err()) });
        if let Ok(listener) = opened
            && self.ledger.readers[reader].phase == Phase::Open
        {
            self.inboxes.insert(reader, listener.address().clone());
            self.listeners[reader] = Some(listener);
        }
    }

    /// Publishes one message with the next number, and records the result.
    /// A long-lived message lives for an hour, a short-lived one for a tenth of `Budget::quiet`.
    async fn publish(&mut self, publish: &Publish) {
        let number = self.published.len();
        let mut message = bus::message(number, publish);
        let quiet = self.stage.budget().quiet;
        message.expiration = match publish.life {
            Life::Endless => None,
            Life::Long => Some(Duration::from_secs(3_600)),
            Life::Short => Some(quiet / 10),
        };
        let deadline = if publish.too_late { Deadline::after(Duration::ZERO) } else { self.stage.soon() };
        let mut options = PublishOptions::by(deadline);
        options.mandatory = publish.mandatory;
        options.ensure_queue = publish.ensure_queue;
        let to = self.address(&publish.to);
        self.published.push(message.clone());
        let sent = self.transports[publish.transport].publish(&to, message, &options).await;
        let outcome = outcome_of(sent.as_ref().err());
        self.note(Event::Published { number, publish: publish.clone(), outcome });
    }

    /// Polls once. Returns how many messages came, or `None` if the listener has ended.
    async fn poll(&mut self, reader: usize, max: usize, patience: Duration) -> Option<usize> {
        let listener = self.listeners[reader].as_mut()?;
        let most = NonZeroUsize::new(max).unwrap_or(NonZeroUsize::MIN);
        let polled = timeout(patience, listener.poll(most)).await;
        self.polled(reader, most.get(), polled)
    }

    /// Records the result of a poll. Returns as [`poll`](Self::poll).
    fn polled(&mut self, reader: usize, max: usize, polled: Result<PollResult, Elapsed>) -> Option<usize> {
        let polled = self.given(reader, polled);
        let came = match &polled {
            Polled::Nothing => Some(0),
            Polled::Messages(messages) => Some(messages.len()),
            Polled::End | Polled::Failed(_) => None,
        };
        self.note(Event::Polled { reader, max, polled });
        came
    }

    /// The result of a poll. Its messages are unsettled from now on.
    fn given(&mut self, reader: usize, polled: Result<PollResult, Elapsed>) -> Polled {
        match polled {
            Err(_) => Polled::Nothing,
            Ok(Ok(None)) => Polled::End,
            Ok(Err(error)) => Polled::Failed(outcome_of(Some(&error))),
            Ok(Ok(Some(messages))) => {
                Polled::Messages(messages.into_iter().map(|message| self.take(reader, message)).collect())
            }
        }
    }

    /// Compares a message with the published one and keeps it until it is settled.
    /// A number that was never published counts as unknown.
    fn take(&mut self, reader: usize, message: Box<dyn IncomingMessage>) -> Got {
        let token = self.tokens;
        self.tokens += 1;
        let came = message.message();
        let number = bus::number_of(came).filter(|number| *number < self.published.len());
        let intact = number.is_some_and(|number| bus::same(came, &self.published[number]));
        let redelivered = message.redelivered();
        self.hand.push(InHand { token, reader, message });
        Got { number, redelivered, intact, token }
    }

    /// Has no effect if the reader has no unsettled message.
    /// `which` is taken modulo the number of messages that the reader holds.
    async fn settle_one(&mut self, reader: usize, which: usize, settlement: Settlement) {
        let of_reader: Vec<usize> = (0..self.hand.len()).filter(|at| self.hand[*at].reader == reader).collect();
        let Some(which) = which.checked_rem(of_reader.len()) else { return };
        let held = self.hand.remove(of_reader[which]);
        self.settle(held, settlement).await;
    }

    /// A drop has no result and is recorded as `Done`.
    async fn settle(&mut self, held: InHand, settlement: Settlement) {
        let InHand { token, message, .. } = held;
        let settled = match settlement {
            Settlement::Acknowledge => message.acknowledge().await,
            Settlement::Requeue => message.requeue().await,
            Settlement::Reject => message.reject().await,
            Settlement::Drop => {
                drop(message);
                Ok(())
            }
        };
        self.note(Event::Settled { token, settlement, outcome: outcome_of(settled.as_ref().err()) });
    }

    /// Has no effect on a closed reader.
    async fn stop(&mut self, reader: usize) {
        let deadline = self.stage.soon();
        let Some(listener) = self.listeners[reader].as_mut() else { return };
        let stopped = listener.stop(deadline).await;
        self.note(Event::Stopped { reader, outcome: outcome_of(stopped.as_ref().err()) });
    }

    /// Messages of the reader stay unsettled; later steps try to settle them.
    async fn close(&mut self, reader: usize) {
        let Some(listener) = self.listeners[reader].take() else { return };
        let closed = listener.close(self.stage.soon()).await;
        self.note(Event::Closed { reader, outcome: outcome_of(closed.as_ref().err()) });
    }

    /// Drops a listener, and its unsettled messages first: the contract does not say what those can do after that.
    fn forget(&mut self, reader: usize) {
        let Some(listener) = self.listeners[reader].take() else { return };
        let (gone, kept) = std::mem::take(&mut self.hand).into_iter().partition(|held| held.reader == reader);
        self.hand = kept;
        let gone: Vec<InHand> = gone;
        for InHand { token, message, .. } in gone {
            drop(message);
            self.note(Event::Settled { token, settlement: Settlement::Drop, outcome: Outcome::Done });
        }
        drop(listener);
        self.note(Event::Forgotten { reader });
    }

    /// The subscription of a reader; taps of notifications have a private queue.
    /// A window of zero becomes one.
    fn subscription(&self, reader: &Reader) -> Subscription {
        let settle = if reader.before_handover { Settle::BeforeHandover } else { Settle::ByReceiver };
        let window = NonZeroU16::new(reader.window).unwrap_or(NonZeroU16::MIN);
        let private = matches!(&reader.reads, Reads::Notifications { queue: NotificationQueue::Private, .. });
        let lifetime = if private { Lifetime::Private } else { Lifetime::Shared };
        let source = bus::source(self.stage, &reader.reads);
        Subscription::new(source).with_settle(settle).with_window(window).with_lifetime(lifetime)
    }
}

/// The kind of the error; unexpected kinds keep their text for the report.
/// The text of the error is kept only for kinds that no rule expects.
fn outcome_of(error: Option<&Error>) -> Outcome {
    let Some(error) = error else { return Outcome::Done };
    match error.kind() {
        ErrorKind::Undeliverable => Outcome::Undeliverable,
        ErrorKind::Timeout => Outcome::TimedOut,
        ErrorKind::Closed => Outcome::Closed,
        ErrorKind::Unsupported => Outcome::Unsupported,
        ErrorKind::TooLarge => Outcome::TooLarge,
        ErrorKind::Disconnected => Outcome::Disconnected,
        _ => Outcome::Other(error.to_string()),
    }
}
