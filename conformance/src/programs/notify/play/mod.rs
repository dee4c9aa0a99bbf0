//! Plays a program: runs the acts, sees to it that everything can end, and gives the history.

mod end;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};
use libtest_mimic::Failed;
use oslo_messaging::wire::Format;
use oslo_messaging::{Bus, FailurePolicy, GiveUp, MessagingSink, NotificationListener, Notifier, Result, Target};
use tokio::sync::Mutex;

use super::Tell;
use super::actor::{ForeignActors, Listen, Notify, ProcessActor};
use super::ear::{ALLOWED, Ear, OnFailure, Returns, context, endpoint, payload};
use super::history::{Happened, History, Log};
use super::program::{Act, Listener, Program, Reads, Step};
use super::timeline::Timeline;
use crate::{Budget, Stage};

/// How long an event waits for its second try: all waits of five tries together are shorter than a budget of silence.
const FIRST_WAIT: Duration = Duration::from_millis(2);

/// Everybody in a program, each on a bus of its own, and the history they write.
#[derive(Debug)]
struct Play<'a> {
    stage: &'a Stage,
    program: &'a Program,
    log: Log,
    returns: Returns,
    failures: Returns,
    foreign: ForeignActors,
    listeners: Vec<(Bus, Mutex<Option<NotificationListener>>)>,
    notifiers: Vec<Bus>,
}

/// Plays `program`. After its last act every listener is started once more, so that whatever waits in a queue is
/// handled, and stopped when everything is; then every queue is looked into.
///
/// # Errors
/// A connection could not be made, or a queue not be looked into.
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

/// How long a batch waits for others.
pub(super) fn window(budget: Budget) -> Duration {
    budget.quiet / 3
}

impl Play<'_> {
    async fn act(&self, act: &Act) {
        let mut parts: Vec<BoxFuture<'_, ()>> = Vec::new();
        let mut lines: BTreeMap<usize, Vec<&Tell>> = BTreeMap::new();
        for step in &act.steps {
            match step {
                Step::Tell { notifier, tell } => lines.entry(*notifier).or_default().push(tell),
                Step::Cut { after } => parts.push(Box::pin(self.cut(*after))),
                Step::Start { .. } | Step::Stop { .. } | Step::Kill { .. } => {
                    parts.push(Box::pin(self.perform(step.clone())));
                }
            }
        }
        parts.extend(lines.into_iter().map(|(notifier, tells)| Box::pin(self.say(notifier, tells)) as _));
        join_all(parts).await;
        if act.settle {
            self.settle().await;
        }
    }

    /// Tells what one notifier has to tell in an act.
    async fn say(&self, notifier: usize, tells: Vec<&Tell>) {
        for tell in tells {
            let once = || self.perform(Step::Tell { notifier, tell: tell.clone().times(1) });
            if tell.at_once {
                join_all((0..tell.times).map(|_| once())).await;
            } else {
                for _ in 0..tell.times {
                    once().await;
                }
            }
        }
    }

    /// Loses every connection when so much more has happened, or nothing happens any more.
    async fn cut(&self, after: usize) {
        let number = self.log.begin(&Step::Cut { after });
        let enough = self.log.history().events.len() + after;
        self.log.wait(self.stage.budget().quiet / 2, |history| history.events.len() >= enough).await;
        self.log.note(Happened::Cutting(number));
        let outcome = self.stage.cut().await;
        self.log.note(Happened::Ended { step: number, outcome });
    }

    async fn perform(&self, step: Step) {
        let number = self.log.begin(&step);
        let outcome = match self.foreign.of(&step) {
            Some(actor) => self.perform_foreign(actor, &step, number).await,
            None => self.perform_ours(&step, number).await.map_err(|error| error.to_string()),
        };
        self.log.note(Happened::Ended { step: number, outcome });
    }

    async fn perform_ours(&self, step: &Step, number: usize) -> Result<()> {
        match step {
            Step::Start { listener } => self.start(*listener).await,
            Step::Stop { listener } => match self.listeners[*listener].1.lock().await.take() {
                Some(running) => running.wait(self.stage.soon()).await,
                None => Ok(()),
            },
            Step::Kill { listener } => {
                drop(self.listeners[*listener].1.lock().await.take());
                Ok(())
            }
            Step::Tell { notifier, tell } => self.tell(*notifier, tell, number).await,
            Step::Cut { .. } => unreachable!("it is no one's alone"),
        }
    }

    async fn perform_foreign(&self, actor: &ProcessActor, step: &Step, number: usize) -> Result<(), String> {
        match step {
            Step::Start { listener } => {
                let command = Listen::new(self.stage, &self.program.listeners[*listener]);
                actor.listen(command, self.ear(*listener)).await
            }
            Step::Stop { .. } => actor.stop().await,
            Step::Kill { .. } => {
                actor.kill().await;
                Ok(())
            }
            Step::Tell { tell, .. } => actor.notify(Notify::new(self.stage, tell, number)).await,
            Step::Cut { .. } => unreachable!("no actor cuts"),
        }
    }

    fn ear(&self, place: usize) -> Ear {
        let listener = &self.program.listeners[place];
        Ear {
            listener: place,
            reads: listener.reads.clone(),
            log: self.log.clone(),
            returns: self.returns.clone(),
            failures: self.failures.clone(),
            on_failure: match (listener.foreign, listener.drops) {
                (false, _) => OnFailure::Retry,
                (true, false) => OnFailure::GiveBack,
                (true, true) => OnFailure::Drop,
            },
            nap: self.stage.budget().quiet / 3,
        }
    }

    async fn start(&self, place: usize) -> Result<()> {
        let (listener, (bus, running)) = (&self.program.listeners[place], &self.listeners[place]);
        let ear = self.ear(place);
        let give_up = if listener.drops { GiveUp::Drop } else { GiveUp::DeadLetter };
        let policy = FailurePolicy::default().with_tries(listener.tries).with_first_wait(FIRST_WAIT);
        let mut builder = NotificationListener::builder(bus).endpoint(endpoint(listener, ear)?);
        for target in targets(self.stage, listener) {
            builder = builder.target(target);
        }
        builder = match &listener.reads {
            Reads::Everybodys => builder,
            Reads::Pool(pool) => builder.pool(self.stage.name(pool)),
            Reads::Own => builder.tap(),
        };
        if let Some(size) = listener.batch.and_then(NonZeroUsize::new) {
            builder = builder.batch(size, window(self.stage.budget()));
        }
        let builder = builder.concurrency(listener.concurrency).on_failure(policy.with_give_up(give_up));
        let started = builder.start(self.stage.soon()).await?;
        *running.lock().await = Some(started);
        Ok(())
    }

    async fn tell(&self, notifier: usize, tell: &Tell, number: usize) -> Result<()> {
        let sink = MessagingSink::new(&self.notifiers[notifier])
            .topics([self.stage.name(&tell.topic)])
            .exchange(self.stage.name(&tell.exchange))
            .format(if tell.bare { Format::V1 } else { Format::V2 });
        let sink = if tell.without_queue { sink.without_queue() } else { sink };
        let notifier = Notifier::over(&*tell.publisher, sink).timeout(self.stage.budget().arrive);
        let notifier = notifier.allow_context([ALLOWED]);
        notifier.notify(tell.priority, &context(number), &tell.event_type, &payload(number)).await
    }

    async fn settle(&self) {
        let mut asked = false;
        let done = |history: &History| {
            // Nothing else makes an end of anything.
            let answered = matches!(history.events.last(), Some((_, Happened::Answered { .. })));
            (!std::mem::replace(&mut asked, true) || answered) && Timeline::new(self.program, history).due().is_empty()
        };
        // Some are given back, some fail, and a listener of one handler lets the others wait for each of them.
        self.log.settled(self.stage.budget().arrive * 3, done).await;
    }
}

fn targets(stage: &Stage, listener: &Listener) -> impl Iterator<Item = Target> {
    let exchange = stage.name(&listener.exchange);
    listener.topics.iter().map(move |topic| Target::topic(stage.name(topic)).exchange(exchange.clone()))
}
