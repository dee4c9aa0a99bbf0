//! The deliveries of one copy of an event: their order, their tries and their end.

use super::limit;
use crate::programs::notify::history::Answer;
use crate::programs::notify::model::wants;
use crate::programs::notify::timeline::{Copy, Ran, Sent, Timeline};
use crate::programs::notify::{divergence, rules};
use crate::programs::{Rule, Violation};

/// Checks every copy of every event, then that every owed copy has ended.
pub(super) fn check(timeline: &Timeline<'_>, violations: &mut Vec<Violation>) {
    let copies = timeline.copies();
    for sent in &timeline.sent {
        for copy in &copies {
            let chain = timeline.chain(copy, sent.number);
            let mut broken = |rule: &'static Rule, how: &str| {
                let had: Vec<String> = chain.iter().take(12).map(ran).collect();
                let how = format_args!("{} {how}: {}", sent.name(), had.join(", then "));
                violations.push(Violation::new(rule, how));
            };
            first(timeline, sent, copy, chain.first(), &mut broken);
            if chain.last().is_some_and(|last| timeline.lost_since(sent, last.at)) {
                over_a_loss(timeline, chain, &mut broken);
                continue;
            }
            // One violation may repeat without end, so the first one of a chain is enough.
            for pair in chain.windows(2) {
                let mut held = true;
                next(timeline, &pair[0], &pair[1], &mut |rule, how| {
                    held = false;
                    broken(rule, how);
                });
                if !held {
                    break;
                }
            }
        }
    }
    for (copy, number) in timeline.owed() {
        let chain = timeline.chain(&copy, number);
        let ended = limit::ended(timeline, &copy, number);
        if !ended && !timeline.is_done(&copy, number, |ran| is_done(timeline, &copy, ran)) {
            let had: Vec<String> = chain.iter().take(12).map(ran).collect();
            let name = timeline.sent(Some(number)).map(Sent::name).unwrap_or_default();
            let how = format_args!("{name} was not handled from {copy:?}, which had it: [{}]", had.join(", then "));
            violations.push(Violation::new(&rules::NOT_LOST, how));
        }
    }
}

/// A first delivery must be try 1, without a mark unless a reader that may have had the event is gone.
fn first(
    timeline: &Timeline<'_>,
    sent: &Sent<'_>,
    copy: &Copy,
    ran: Option<&Ran<'_>>,
    broken: &mut impl FnMut(&'static Rule, &str),
) {
    let Some(ran) = ran else { return };
    if ran.heard.attempt != 1 {
        broken(&rules::TRIES, "did not begin with its first try");
    }
    let readers = timeline.readers(copy, sent.event);
    let gone = |reader: &usize| timeline.lives[*reader].iter().any(|life| life.stopping < ran.at);
    let taken_along = |reader: &usize| {
        let listener = &timeline.program.listeners[*reader];
        divergence::TAKES_OTHERS_ALONG.holds_for(listener) && !wants(listener, sent.event)
    };
    let had = |reader: &usize| gone(reader) || taken_along(reader);
    if ran.heard.redelivered && !readers.iter().any(had) && !timeline.lost_since(sent, ran.at) {
        broken(&rules::MARK, "came redelivered");
    }
}

/// Checks a delivery or a try against the one before it.
fn next(timeline: &Timeline<'_>, before: &Ran<'_>, after: &Ran<'_>, broken: &mut impl FnMut(&'static Rule, &str)) {
    let same = (before.listener, before.life) == (after.listener, after.life);
    let answer = before.answer.filter(|(at, _)| *at < after.at).map(|(_, answer)| answer);
    let is_new = after.heard.attempt == 1;
    if is_new != after.heard.redelivered && !(before.heard.redelivered && same && !is_new) {
        broken(&rules::MARK, if is_new { "came back without saying so" } else { "was tried again as redelivered" });
    }
    let life = timeline.life(before);
    let stopped = !same && life.is_some_and(|life| life.stopping < after.at);
    if stopped && life.is_some_and(|life| life.killed) {
        if !is_new {
            broken(&rules::TRIES, "did not begin with its first try after its listener was dropped");
        }
        return;
    }
    match answer {
        None => broken(&rules::ONE_HAS_IT, "was with two readers at a time"),
        Some(Answer::Handled) => broken(&rules::ONCE, "was handled and came back"),
        Some(Answer::Requeued) if is_new => {}
        Some(Answer::Requeued) => broken(&rules::GIVES_BACK, "was requeued and tried again"),
        Some(Answer::Failed) if timeline.is_final(before) => broken(&rules::TRIES, "was given up and came back"),
        Some(Answer::Failed) if same && after.heard.attempt == before.heard.attempt + 1 => {}
        Some(Answer::Failed) if stopped && is_new => {}
        Some(Answer::Failed) => broken(&rules::TRIES, "was not tried again as the next try"),
    }
}

/// Checks the deliveries of an event that may be in the queue twice, or may come again, because connections were lost:
/// a listener does not start an event that it works on, nor one that it has handled.
fn over_a_loss(timeline: &Timeline<'_>, chain: &[Ran<'_>], broken: &mut impl FnMut(&'static Rule, &str)) {
    for (place, after) in chain.iter().enumerate() {
        let mut before = chain[..place].iter().rev();
        let before = before.find(|before| (before.listener, before.life) == (after.listener, after.life));
        let Some(before) = before else {
            if after.heard.attempt != 1 {
                broken(&rules::TRIES, "did not begin with its first try at another listener");
            }
            continue;
        };
        match before.answer.filter(|(at, _)| *at < after.at).map(|(_, answer)| answer) {
            None => return broken(&rules::ONE_HAS_IT, "was twice with one listener at a time"),
            Some(Answer::Handled) => return broken(&rules::ONCE, "was handled and came back to the same listener"),
            Some(Answer::Requeued) if after.heard.attempt == 1 => {}
            Some(Answer::Requeued) => broken(&rules::GIVES_BACK, "was requeued and tried again"),
            Some(Answer::Failed) if timeline.is_final(before) && after.heard.attempt == 1 => {}
            Some(Answer::Failed) if after.heard.attempt == before.heard.attempt + 1 => {}
            Some(Answer::Failed) => broken(&rules::TRIES, "was not tried again as the next try"),
        }
    }
}

/// Whether no delivery must follow `last`.
fn is_done(timeline: &Timeline<'_>, copy: &Copy, last: &Ran<'_>) -> bool {
    if !timeline.is_final(last) {
        return last.answer.is_some_and(|(_, answer)| answer == Answer::Handled);
    }
    let dropped = timeline.listener(last).drops || matches!(copy, Copy::Private { .. });
    // A listener that was dropped while it gave the event up may not have published the dead letter.
    let cut_short = timeline.life(last).is_some_and(|life| life.killed);
    dropped || !cut_short || timeline.letters.iter().any(|letter| letter.heard.number == last.heard.number)
}

/// A delivery for the text of a violation.
fn ran(ran: &Ran<'_>) -> String {
    let (listener, heard) = (ran.listener, ran.heard);
    let again = if heard.redelivered { ", redelivered" } else { "" };
    let answer = ran.said.map_or("cut short".to_owned(), |answer| format!("{answer:?}"));
    format!("listener {listener} in try {}{again}: {answer}", heard.attempt)
}
