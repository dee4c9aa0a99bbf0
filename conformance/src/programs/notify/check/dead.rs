//! What queues hold at the end: a dead letter for each event that failed for good, and what nothing reads.

use std::collections::BTreeMap;

use crate::programs::Violation;
use crate::programs::notify::Listener;
use crate::programs::notify::history::{Dead, Letter};
use crate::programs::notify::model::{queue, reads, wants};
use crate::programs::notify::program::Reads;
use crate::programs::notify::rules;
use crate::programs::notify::timeline::{Copy, NEVER, Sent, Timeline};

/// Checks the dead letters and their texts, then the other messages in queues.
pub(super) fn check(timeline: &Timeline<'_>, violations: &mut Vec<Violation>) {
    dead(timeline, violations);
    for letter in &timeline.letters {
        if let Some(Dead { wrong: Some(wrong), .. }) = &letter.dead {
            let how = format_args!("that of {:?} in {}: {wrong}", letter.heard.number, letter.queue);
            violations.push(Violation::new(&rules::DEAD_SAYS, how));
        }
    }
    lying(timeline, violations);
}

/// Each failed last try makes one dead letter, and nothing else does.
fn dead(timeline: &Timeline<'_>, violations: &mut Vec<Violation>) {
    let mut letters: BTreeMap<(&str, Option<usize>), Vec<&Letter>> = BTreeMap::new();
    let of_failures = |letter: &&&Letter| letter.dead.as_ref().is_some_and(|dead| !dead.at_limit);
    for letter in timeline.letters.iter().filter(of_failures) {
        letters.entry((&letter.queue, letter.heard.number)).or_default().push(letter);
    }
    let mut ends: BTreeMap<(String, Option<usize>), (Vec<u32>, usize)> = BTreeMap::new();
    for ran in timeline.runs.iter().filter(|ran| timeline.is_final(ran) && !timeline.listener(ran).drops) {
        let Some(sent) = timeline.sent(ran.heard.number) else { continue };
        let Some(queue) = queue(&timeline.listener(ran).reads, sent.event) else { continue };
        let (tries, sure) = ends.entry((queue, ran.heard.number)).or_default();
        tries.push(timeline.listener(ran).tries);
        *sure += usize::from(timeline.life(ran).is_some_and(|life| !life.killed));
    }
    for ((queue, number), (tries, sure)) in &ends {
        let there = letters.remove(&(queue.as_str(), *number)).unwrap_or_default();
        // A listener publishes a dead letter again if its confirm was lost.
        let lost = timeline.sent(*number).is_some_and(|sent| timeline.lost_since(sent, NEVER));
        if there.len() < *sure || (there.len() > tries.len() && !lost) {
            let how = format_args!(
                "{number:?} in {queue} failed in {} last tries and has {} dead letters",
                tries.len(),
                there.len()
            );
            violations.push(Violation::new(&rules::DEAD, how));
        }
        for Dead { tries: said, .. } in there.iter().filter_map(|letter| letter.dead.as_ref()) {
            if !tries.contains(said) {
                let how = format_args!("that of {number:?} in {queue} says {said} tries, and there were {tries:?}");
                violations.push(Violation::new(&rules::DEAD_SAYS, how));
            }
        }
    }
    for (queue, number) in letters.keys() {
        let how = format_args!("{number:?} in {queue} did not fail in a last try");
        violations.push(Violation::new(&rules::DEAD, how));
    }
}

/// A queue with readers is empty, unless one of them takes an event without handling
/// it; a queue without readers has what arrived.
fn lying(timeline: &Timeline<'_>, violations: &mut Vec<Violation>) {
    let shared_queue = Copy::Shared(Reads::Shared);
    let unread = |sent: &&Sent<'_>| timeline.readers(&shared_queue, sent.event).is_empty();
    let mut kept: Vec<(String, usize)> = Vec::new();
    for sent in timeline.sent.iter().filter(unread) {
        let Some(queue) = queue(&Reads::Shared, sent.event) else { continue };
        let lies = |letter: &&&Letter| {
            letter.dead.is_none() && letter.heard.number == Some(sent.number) && letter.queue == queue
        };
        let times = timeline.letters.iter().filter(lies).count();
        let confirmed = sent.outcome.is_some_and(Result::is_ok);
        let twice = times > 1 && !timeline.lost_since(sent, sent.ended);
        if twice || (times == 0 && confirmed && timeline.surely_bound(&shared_queue, sent)) {
            let how = format_args!("{} is {times} times in {queue}", sent.name());
            violations.push(Violation::new(&rules::KEPT, how));
        }
        if timeline.perhaps_bound(&shared_queue, sent) {
            kept.push((queue, sent.number));
        }
    }
    for letter in timeline.letters.iter().filter(|letter| letter.dead.is_none()) {
        let of = |(queue, number): &(String, usize)| *queue == letter.queue && Some(*number) == letter.heard.number;
        let disputed = timeline.sent(letter.heard.number).is_some_and(|sent| disputed(timeline, &letter.queue, sent));
        if !disputed && !kept.iter().any(of) {
            let how = format_args!("{:?} is left in {}", letter.heard.number, letter.queue);
            violations.push(Violation::new(&rules::NOTHING_LEFT, how));
        }
    }
}

/// Whether a reader of the queue takes the event without handling it, so that it may end there.
fn disputed(timeline: &Timeline<'_>, name: &str, sent: &Sent<'_>) -> bool {
    let reads = |listener: &Listener| reads(listener, &listener.reads, sent.event);
    let mut readers = timeline.program.listeners.iter().filter(|listener| reads(listener));
    readers.any(|listener| queue(&listener.reads, sent.event).as_deref() == Some(name) && !wants(listener, sent.event))
}
