//! Plays a program: runs its acts, lets everything end, and returns the history.

mod end;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};
use oslo_messaging::notify::{FailurePolicy, GiveUp, MessagingSink};
use oslo_messaging::wire::Format;
use oslo_messaging::{Bus, NotificationListener, Notifier, Result, Target};
use tokio::sync::Mutex;

use super::Event;
use super::actor::{ForeignActors, Listen, Notify, ProcessActor};
use super::handler::{ALLOWED, Handler, OnFailure, Returns, context, endpoint, payload};
use super::history::{Happened, History, Log};
use super::program::{Act, Listener, Program, Reads, Step};
use super::timeline::Timeline;
use crate::{Failed, Stage};

/// How long an event waits for its second try. The waits of five tries together are shorter than `Budget::quiet`.
const FIRST_WAIT: Duration = Duration::from_millis(2);

/// The listeners and notifiers of a program, each on its own bus, and the history they write.
#[derive(Debug)]
struct Play<'a> {
    stage: &'a Stage,
    program: &'a Program,
    log: Log,
    /// How often each event was requeued, counted over all listeners.
    returns: Returns,
    /// How often each event failed at foreign listeners that requeue it.
    failures: Returns,
    foreign: ForeignActors,
    /// Each listener keeps its bus over its lives.
    listeners: Vec<(Bus, Mutex<Option<NotificationListener>>)>,
    notifiers: Vec<Bus>,
}

/// Plays `program`. After its last act it starts every listener once more, so that waiting events are handled,
/// stops all of them, and then reads every queue.
///
/// Fails if a connection could not be opened, or a queue not be read. Failed steps are part of the history.
pub(crate) async fn play(stage: &Stage, program: &Program) -> Result<History, Failed> {
    let (mut listeners, mut notifiers) = (Vec::new(), Vec::new());
    for _ in &program.listeners {
        listeners.push((stage.bus().await?, Mutex::default()));
    }
    for _ in 0..program.notifiers() {
        notifiers.push(stage.bus().await?);
    }
    let foreign = ForeignActors::hire(stage, program).await?;
    if let Some(limit) = program.limit {
        stage.disturb(limit).await?;
    }
    let (log, returns, failures) = (Log::default(), Returns::default(), Returns::default());
    let play = Play { stage, program, log, returns, failures, foreign, listeners, notifiers };
    for act in &program.acts {
        play.act(act).await;
    }
    play.end().await?;
    Ok(play.log.history())
}

impl Play<'_> {
    /// Runs the steps of an act concurrently, those of one notifier in order, and waits for all of them.
    async fn act(&self, act: &Act) {
        let mut parts: Vec<BoxFuture<'_, ()>> = Vec::new();
        let mut lines: BTreeMap<usize, Vec<&Event>> = BTreeMap::new();
        for step in &act.steps {
            match step {
                Step::Send { sender: notifier, message: event } => lines.entry(*notifier).or_default().push(event),
                Step::Cut { after } => parts.push(Box::pin(self.cut(*after))),
                Step::Start { .. } | Step::Stop { .. } | Step::Hurry { .. } | Step::Kill { .. } => {
                    parts.push(Box::pin(self.perform(step.clone())));
                }
            }
        }
        parts.extend(lines.into_iter().map(|(notifier, events)| Box::pin(self.send_all(notifier, events)) as _));
        join_all(parts).await;
        if act.settle {
            self.settle().await;
        }
    }

    /// Sends the events in order, each after the confirm of the one before.
    /// Copies of one with `at_once` go concurrently.
    async fn send_all(&self, notifier: usize, events: Vec<&Event>) {
        for event in events {
            let once = || self.perform(Step::Send { sender: notifier, message: event.clone().times(1) });
            if event.at_once {
                join_all((0..event.times).map(|_| once())).await;
            } else {
                for _ in 0..event.times {
                    once().await;
                }
            }
        }
    }

    /// Cuts every connection after `after` more events of the history, or when no more come.
    async fn cut(&self, after: usize) {
        let number = self.log.begin(&Step::Cut { after });
        let enough = self.log.history().events.len() + after;
        self.log.wait(self.stage.budget().quiet / 2, |history| history.events.len() >= enough).await;
        self.log.note(Happened::Cutting(number));
        let outcome = self.stage.cut().await;
        self.log.note(Happened::Ended { step: number, outcome });
    }

    /// Records the begin of a step, performs it, and records its end. An error is part of the history.
    async fn perform(&self, step: Step) {
        let number = self.log.begin(&step);
        let outcome = match self.foreign.of(&step) {
            Some(actor) => self.perform_foreign(actor, &step, number).await,
            None => self.perform_ours(&step, number).await.map_err(|error| error.to_string()),
        };
        self.log.note(Happened::Ended { step: number, outcome });
    }

    /// A stop or kill of a listener that is down succeeds without effect.
    async fn perform_ours(&self, step: &Step, number: usize) -> Result<()> {
        match step {
            Step::Start { actor: listener } => self.start(*listener).await,
            Step::Stop { actor: listener } | Step::Hurry { actor: listener } => {
                match self.listeners[*listener].1.lock().await.take() {
                    Some(running) => running.shutdown(self.stage.soon()).await,
                    None => Ok(()),
                }
            }
            Step::Kill { actor: listener } => {
                drop(self.listeners[*listener].1.lock().await.take());
                Ok(())
            }
            Step::Send { sender: notifier, message: event } => self.send(*notifier, event, number).await,
            Step::Cut { .. } => unreachable!("cuts concern every connection"),
        }
    }

    /// A hurried stop is an ordinary one: foreign listeners know no other.
    async fn perform_foreign(&self, actor: &ProcessActor, step: &Step, number: usize) -> Result<(), String> {
        match step {
            Step::Start { actor: listener } => {
                let listen = Listen::new(self.stage, &self.program.listeners[*listener]);
                actor.listen(listen, self.handler(*listener)).await
            }
            Step::Stop { .. } | Step::Hurry { .. } => actor.stop().await,
            Step::Kill { .. } => {
                actor.kill().await;
                Ok(())
            }
            Step::Send { message: event, .. } => actor.notify(Notify::new(self.stage, event, number)).await,
            Step::Cut { .. } => unreachable!("cuts concern every connection"),
        }
    }

    /// Decides what the listener does with a failure, and how long its slow handlers take.
    fn handler(&self, place: usize) -> Handler {
        let listener = &self.program.listeners[place];
        Handler {
            listener: place,
            reads: listener.reads.clone(),
            log: self.log.clone(),
            returns: self.returns.clone(),
            failures: self.failures.clone(),
            on_failure: match (listener.foreign, listener.drops) {
                (false, _) => OnFailure::Retry,
                (true, false) => OnFailure::Requeue,
                (true, true) => OnFailure::Drop,
            },
            nap: self.stage.budget().quiet / 3,
        }
    }

    /// Fails if the listener cannot subscribe within `Budget::arrive`, or its filter is invalid.
    async fn start(&self, place: usize) -> Result<()> {
        let (listener, (bus, running)) = (&self.program.listeners[place], &self.listeners[place]);
        let handler = self.handler(place);
        let give_up = if listener.drops { GiveUp::Drop } else { GiveUp::DeadLetter };
        let policy = FailurePolicy::default().with_attempts(listener.tries).with_first_wait(FIRST_WAIT);
        let mut builder = NotificationListener::builder(bus).endpoint(endpoint(listener, handler)?);
        for target in targets(self.stage, listener) {
            builder = builder.target(target);
        }
        builder = match &listener.reads {
            Reads::Shared => builder,
            Reads::Pool(pool) => builder.pool(self.stage.name(pool)),
            Reads::Private => builder.tap(),
        };
        if let Some(size) = listener.batch.and_then(NonZeroUsize::new) {
            builder = builder.batch(size, super::window(self.stage.budget()));
        }
        let builder = builder.concurrency(listener.concurrency).on_failure(policy.with_give_up(give_up));
        let started = builder.start(self.stage.soon()).await?;
        *running.lock().await = Some(started);
        Ok(())
    }

    /// Fails if the event is not confirmed within `Budget::arrive`.
    async fn send(&self, notifier: usize, event: &Event, number: usize) -> Result<()> {
        let sink = MessagingSink::new(&self.notifiers[notifier])
            .topics([self.stage.name(&event.topic)])
            .exchange(self.stage.name(&event.exchange))
            .format(if event.bare { Format::V1 } else { Format::V2 });
        let sink = if event.without_queue { sink.without_queue() } else { sink };
        let notifier = Notifier::from_sink(&*event.publisher, sink).timeout(self.stage.budget().arrive);
        let notifier = notifier.allow_context([ALLOWED]);
        notifier.notify(event.priority, &context(number), &event.event_type, &payload(number)).await
    }

    /// Waits until no event is due, or nothing has happened for three times [`Budget::arrive`].
    async fn settle(&self) {
        let mut asked = false;
        let done = |history: &History| {
            // Only a handler's return can complete anything, so the timeline is not rebuilt for other events.
            let answered = matches!(history.events.last(), Some((_, Happened::Answered { .. })));
            (!std::mem::replace(&mut asked, true) || answered) && Timeline::new(self.program, history).due().is_empty()
        };
        // Events are requeued or fail, and a listener with one handler works them off one after the other.
        self.log.settled(self.stage.budget().arrive * 3, done).await;
    }
}

/// One target for each topic, with the names on the bus.
fn targets(stage: &Stage, listener: &Listener) -> impl Iterator<Item = Target> {
    let exchange = stage.name(&listener.exchange);
    listener.topics.iter().map(move |topic| Target::topic(stage.name(topic)).exchange(exchange.clone()))
}
