//! What a program determines on every bus: which publishes succeed, and how often each queue delivers each message.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::BoxFuture;

use super::event::{Event, Outcome, Polled};
use super::ledger::Phase;
use super::play::{Observed, play_step_by_step};
use super::program::{Program, Step};
use super::publish::Life;
use super::routing::{QueueName, plans};
use crate::programs::determined::{Determined, Outcomes};
use crate::{Failed, Stage};

impl Determined for Program {
    /// Removes polls, settling and waits, because everything is delivered and settled after each step. Readers are
    /// closed instead of dropped, and before their transport. Nothing expires, and no connection is lost.
    fn determined(mut self) -> Self {
        self.steps = self.closing_first();
        self.steps.retain(|step| {
            !matches!(step, Step::Poll { .. } | Step::Glance { .. } | Step::Settle { .. } | Step::Cut | Step::Wait)
        });
        for step in &mut self.steps {
            match step {
                Step::Forget { reader } => *step = Step::Close { reader: *reader },
                Step::Publish { publish, .. } if publish.life == Life::Short => publish.life = Life::Long,
                _ => {}
            }
        }
        self
    }

    fn outcomes<'a>(&'a self, stage: &'a Stage) -> BoxFuture<'a, Result<Outcomes, Failed>> {
        Box::pin(async move { Ok(outcomes(self, &play_step_by_step(stage, self).await?)) })
    }
}

impl Program {
    /// The steps, in which closing a transport is replaced by closing its open readers.
    /// A close of a transport would fail pending polls at times that depend on the bus.
    fn closing_first(&self) -> Vec<Step> {
        let (mut phases, mut steps) = (vec![Phase::Shut; self.readers.len()], Vec::new());
        for step in &self.steps {
            let before = phases.clone();
            step.may(&self.readers, &mut phases);
            if matches!(step, Step::HangUp { .. }) {
                let ended = |reader: &usize| before[*reader] != phases[*reader];
                steps.extend((0..phases.len()).filter(ended).map(|reader| Step::Close { reader }));
            } else {
                steps.push(step.clone());
            }
        }
        steps
    }
}

/// One entry for each operation and each message, named by number and time.
/// For a queue with both kinds of readers only the delivery is noted, not how often it happened.
fn outcomes(program: &Program, observed: &[Observed]) -> Outcomes {
    let (mixed, mut outcomes) = (mixed(program), Outcomes::new());
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    let mut note = |what: String, how: &str| {
        let time = times.entry(what.clone()).or_default();
        *time += 1;
        outcomes.insert(format!("{what}, time {time}"), how.to_owned());
    };
    let mut handed: BTreeMap<String, String> = BTreeMap::new();
    for Observed { event, queues } in observed {
        match event {
            Event::Opened { reader, outcome } => note(format!("opening reader {reader}"), kind(outcome)),
            Event::Stopped { reader, outcome } => note(format!("stopping reader {reader}"), kind(outcome)),
            Event::Closed { reader, outcome } => note(format!("closing reader {reader}"), kind(outcome)),
            Event::Published { number, publish, outcome } => {
                note(format!("message {number}, {publish}"), kind(outcome));
            }
            Event::Polled { reader, polled: Polled::End, .. } => note(format!("polling reader {reader}"), "ended"),
            Event::Polled { reader, polled: Polled::Failed(outcome), .. } => {
                note(format!("polling reader {reader}"), kind(outcome));
            }
            Event::Polled { reader, polled: Polled::Messages(messages), .. } => {
                for (got, queue) in messages.iter().zip(queues) {
                    let number = got.number.map_or("unknown".to_owned(), |number| number.to_string());
                    let Some(queue) = queue else {
                        handed.insert(format!("message {number} at reader {reader}"), "is none of its own".to_owned());
                        continue;
                    };
                    let how = handed.entry(format!("message {number} in queue '{queue}'")).or_default();
                    if mixed.contains(queue) {
                        "handed over".clone_into(how);
                        continue;
                    }
                    how.push_str(if how.is_empty() { "handed over " } else { ", then " });
                    how.push_str(if got.redelivered { "again" } else { "as new" });
                    how.push_str(if got.intact { "" } else { " and changed" });
                }
            }
            Event::Polled { polled: Polled::Nothing, .. }
            | Event::HungUp { .. }
            | Event::Settled { .. }
            | Event::Forgotten { .. }
            | Event::Cut { .. }
            | Event::Waited => {}
        }
    }
    outcomes.extend(handed);
    outcomes
}

/// The queues with both kinds of readers, those that settle messages and those that need not. Which one gets a message
/// decides whether it comes back. Private queues have one reader, so they are left out.
fn mixed(program: &Program) -> BTreeSet<QueueName> {
    let mut kinds: BTreeMap<QueueName, BTreeSet<bool>> = BTreeMap::new();
    for reader in &program.readers {
        for plan in plans(&reader.reads, "").into_iter().filter(|plan| !plan.private) {
            kinds.entry(plan.queue).or_default().insert(reader.before_handover);
        }
    }
    kinds.into_iter().filter(|(_, kinds)| kinds.len() > 1).map(|(queue, _)| queue).collect()
}

/// The outcome for the comparison, without the words of an error.
/// Drivers phrase their errors in different ways.
fn kind(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Done => "done",
        Outcome::Undeliverable => "undeliverable",
        Outcome::TimedOut => "timed out",
        Outcome::Closed => "closed",
        Outcome::Unsupported => "unsupported",
        Outcome::TooLarge => "too large",
        Outcome::Disconnected | Outcome::Other(_) => "failed otherwise",
    }
}
