//! Events whose queues limit deliveries.

use crate::programs::Violation;
use crate::programs::notify::history::{Answer, Dead};
use crate::programs::notify::model::queue;
use crate::programs::notify::rules;
use crate::programs::notify::timeline::{Copy, NEVER, Ran, Sent, Timeline};
use crate::{DELIVERY_LIMIT, Disturbance};

/// Checks how often a limited queue delivers an event, and its dead letters at the limit.
pub(super) fn check(timeline: &Timeline<'_>, violations: &mut Vec<Violation>) {
    for sent in &timeline.sent {
        for copy in timeline.shared() {
            let mut broken = |how: String| {
                violations.push(Violation::new(&rules::AT_LIMIT, format_args!("{} {how}", sent.name())));
            };
            let handed_over = timeline.chain(&copy, sent.number).iter().filter(|ran| ran.heard.attempt == 1).count();
            let lost = timeline.lost_since(sent, NEVER);
            let bounded = timeline.program.limit == Some(Disturbance::Limit) && !lost;
            if bounded && handed_over as u64 > DELIVERY_LIMIT {
                broken(format!("was handed over {handed_over} times from {copy:?}"));
            }
            let letters = letters(timeline, &copy, sent);
            let once = !lost && killed(timeline, &copy, sent) == 0;
            if letters.len() > 1 && once {
                broken(format!("is at its limit {} times in {copy:?}", letters.len()));
            }
            for letter in letters {
                let reached = returns(timeline, &copy, sent) >= DELIVERY_LIMIT;
                if !reached || u64::from(letter.tries) != DELIVERY_LIMIT {
                    broken(format!("is said to be at its limit in {copy:?} after {} deliveries", letter.tries));
                }
            }
        }
    }
}

/// Whether this copy may have ended at its delivery limit: as a dead letter, dropped by a listener without dead
/// letters, or dropped by the queue because a reader was lost.
pub(super) fn ended(timeline: &Timeline<'_>, copy: &Copy, number: usize) -> bool {
    let Some(sent) = timeline.sent(Some(number)).filter(|_| matches!(copy, Copy::Shared(_))) else { return false };
    let readers = timeline.readers(copy, sent.event);
    let dropped = readers.iter().any(|reader| timeline.program.listeners[*reader].drops)
        && returns(timeline, copy, sent) >= DELIVERY_LIMIT;
    !letters(timeline, copy, sent).is_empty() || dropped || dropped_by_queue(timeline, copy, sent)
}

/// Whether the queue itself may have dropped this copy: a reader was lost during its last delivery.
pub(super) fn dropped_by_queue(timeline: &Timeline<'_>, copy: &Copy, sent: &Sent<'_>) -> bool {
    let lost = killed(timeline, copy, sent) + timeline.cuts.since(sent.begun);
    lost > 0 && returns(timeline, copy, sent) > DELIVERY_LIMIT
}

/// The most deliveries of this copy that may have failed.
fn returns(timeline: &Timeline<'_>, copy: &Copy, sent: &Sent<'_>) -> u64 {
    let requeued = |ran: &&Ran<'_>| ran.answer.is_some_and(|(_, answer)| answer == Answer::Requeued);
    let given_back = match timeline.program.limit {
        Some(Disturbance::Limit) => timeline.chain(copy, sent.number).iter().filter(requeued).count(),
        Some(_) => 0,
        None => return 0,
    };
    let readers = timeline.readers(copy, sent.event);
    let lives = readers.iter().flat_map(|reader| &timeline.lives[*reader]);
    let ended = lives.filter(|life| life.stopping != NEVER && sent.begun < life.ended).count();
    (given_back + ended + timeline.cuts.since(sent.begun)) as u64
}

/// How many readers were killed that may have had this copy.
fn killed(timeline: &Timeline<'_>, copy: &Copy, sent: &Sent<'_>) -> usize {
    let readers = timeline.readers(copy, sent.event);
    let lives = readers.iter().flat_map(|reader| &timeline.lives[*reader]);
    lives.filter(|life| life.killed && sent.begun < life.ended).count()
}

/// The dead letters of this copy whose reason is the delivery limit.
fn letters<'a>(timeline: &Timeline<'a>, copy: &Copy, sent: &Sent<'_>) -> Vec<&'a Dead> {
    let Copy::Shared(reads) = copy else { return Vec::new() };
    let queue = queue(reads, sent.event);
    let of = timeline
        .letters
        .iter()
        .filter(|letter| letter.heard.number == Some(sent.number) && Some(&letter.queue) == queue.as_ref());
    of.filter_map(|letter| letter.dead.as_ref()).filter(|dead| dead.at_limit).collect()
}
