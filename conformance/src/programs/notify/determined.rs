//! What a program determines on every bus: the deliveries of each event and what remains in the queues.

use std::collections::BTreeMap;

use futures_util::future::BoxFuture;

use super::history::{Answer, Dead, History};
use super::model::{queue, wants};
use super::play::play;
use super::program::{Act, Listener, Program, Reads, Step};
use super::timeline::{Copy, Ran, Sent, Timeline};
use crate::programs::determined::{Determined, Outcomes};
use crate::{Failed, Stage};

impl Determined for Program {
    /// Listeners start and stop in acts of their own, so do events that declare no queue, and
    /// every act settles. No listener is dropped, no connection is lost, nothing limits
    /// deliveries, and no event shares the fate of its batch.
    fn determined(mut self) -> Self {
        self.limit = None;
        self.listeners.iter_mut().for_each(|listener| listener.batch = None);
        let mut acts = Vec::new();
        for act in self.acts {
            let steps = act.steps.into_iter().filter(|step| !matches!(step, Step::Cut { .. }));
            let (events, moves): (Vec<_>, Vec<_>) = steps.partition(|step| matches!(step, Step::Send { .. }));
            let moves = moves.into_iter().map(stopped).collect();
            // Events of one act are sent concurrently. Whether an event finds a queue that it does not declare must not
            // depend on their order.
            let (bare, declaring): (Vec<_>, Vec<_>) = events.into_iter().partition(finds_its_queue);
            acts.extend([moves, declaring, bare].map(|steps| Act { steps, settle: true }));
        }
        acts.retain(|act| !act.steps.is_empty());
        Self { acts, ..self }
    }

    fn outcomes<'a>(&'a self, stage: &'a Stage) -> BoxFuture<'a, Result<Outcomes, Failed>> {
        Box::pin(async move { Ok(outcomes(self, &play(stage, self).await?)) })
    }
}

/// Such an event is lost unless its queue exists before.
fn finds_its_queue(step: &Step) -> bool {
    matches!(step, Step::Send { message: event, .. } if event.without_queue)
}

/// A kill may interrupt handlers, a stop does not.
fn stopped(step: Step) -> Step {
    if let Step::Kill { actor } = step { Step::Stop { actor } } else { step }
}

/// One entry for each event, each delivery chain, each queue and each life, named without step numbers.
fn outcomes(program: &Program, history: &History) -> Outcomes {
    let timeline = Timeline::new(program, history);
    let (mut outcomes, mut sent_before) = (Outcomes::new(), BTreeMap::new());
    let mut copies = timeline.copies();
    copies.insert(Copy::Shared(Reads::Shared));
    for sent in &timeline.sent {
        // Step numbers depend on the schedule; the order of one notifier does not.
        let nth = sent_before.entry(sent.notifier).or_insert(0);
        *nth += 1;
        let name = format!("event {nth} of notifier {}", sent.notifier);
        let ended = sent.outcome.map_or("never", |outcome| if outcome.is_ok() { "done" } else { "failed" });
        outcomes.insert(format!("{name}, sent"), ended.to_owned());
        for copy in copies.iter().filter(|copy| !is_free(&timeline, copy, sent)) {
            let chain = timeline.chain(copy, sent.number);
            if !chain.is_empty() {
                outcomes.insert(format!("{name}, from {copy:?}"), chain.iter().map(ran).collect::<Vec<_>>().join(", "));
            }
            if let Some(lies) = lies(&timeline, copy, sent) {
                outcomes.insert(format!("{name}, left in {copy:?}"), lies);
            }
        }
    }
    for (listener, lives) in timeline.lives.iter().enumerate() {
        for (life, at) in lives.iter().enumerate() {
            let how = at.errors.each_ref().map(|error| if error.is_none() { "done" } else { "failed" });
            outcomes.insert(format!("life {life} of listener {listener}"), how.join(" "));
        }
    }
    outcomes
}

/// Whether the result depends on which reader takes the event, because their filters, tries or policies differ.
fn is_free(timeline: &Timeline<'_>, copy: &Copy, sent: &Sent<'_>) -> bool {
    let does = |listener: &Listener| (wants(listener, sent.event), listener.tries, listener.drops);
    let readers = timeline.readers(copy, sent.event);
    let mut all = readers.iter().map(|reader| does(&timeline.program.listeners[*reader]));
    let first = all.next();
    all.any(|other| Some(other) != first)
}

/// A try with its redelivered flag and its result.
fn ran(ran: &Ran<'_>) -> String {
    let again = if ran.heard.redelivered { " again" } else { "" };
    let changed = if ran.heard.wrong.is_some() { " changed" } else { "" };
    let answer = match ran.answer {
        None => "cut short",
        Some((_, Answer::Handled)) => "handled",
        Some((_, Answer::Requeued)) => "requeued",
        Some((_, Answer::Failed)) => "failed",
    };
    format!("try {}{again}{changed} {answer}", ran.heard.attempt)
}

/// What is in the queue of the copy at the end, as a dead letter or not.
fn lies(timeline: &Timeline<'_>, copy: &Copy, sent: &Sent<'_>) -> Option<String> {
    let Copy::Shared(reads) = copy else { return None };
    let queue = queue(reads, sent.event)?;
    let letters =
        timeline.letters.iter().filter(|letter| letter.queue == queue && letter.heard.number == Some(sent.number));
    let text = |dead: &Option<Dead>| match dead {
        None => "as it is".to_owned(),
        Some(dead) => format!("dead after {} tries", dead.tries),
    };
    let mut texts: Vec<String> = letters.map(|letter| text(&letter.dead)).collect();
    texts.sort();
    (!texts.is_empty()).then(|| texts.join(", "))
}
