//! What handlers get: matching events, unchanged, in order, in batches that are not too large, and not too late.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::programs::Violation;
use crate::programs::notify::history::{Answer, Heard};
use crate::programs::notify::model::wants;
use crate::programs::notify::timeline::{Ran, Sent, Timeline};
use crate::programs::notify::{divergence, rules};

/// What everything but the wait for a batch may take on a paused clock:
/// acknowledgements are collected for a few milliseconds.
const SLACK: Duration = Duration::from_millis(50);

/// Checks each call of a handler alone, then the order between them.
pub(super) fn check(timeline: &Timeline<'_>, window: Option<Duration>, violations: &mut Vec<Violation>) {
    unchanged(timeline, violations);
    for ran in &timeline.runs {
        let (listener, event) = (timeline.listener(ran), timeline.sent(ran.heard.number));
        let fits = event.is_some_and(|sent| {
            wants(listener, sent.event) && timeline.perhaps_bound(&timeline.copy(ran), sent) && sent.begun < ran.at
        });
        if !fits {
            let what = event.map_or_else(|| "something unknown".to_owned(), Sent::name);
            let how = format_args!("listener {} had {what}", ran.listener);
            violations.push(Violation::new(&rules::FITS, how));
        }
        if ran.together > listener.batch.unwrap_or(1) {
            let how = format_args!("listener {} had {} events at once", ran.listener, ran.together);
            violations.push(Violation::new(&rules::BATCH, how));
        }
        let late = window.zip(event).and_then(|(window, sent)| late(timeline, ran, sent, window));
        if let Some(late) = late {
            let how = format_args!("event {:?} waited {late:?} at listener {}", ran.heard.number, ran.listener);
            violations.push(Violation::new(&rules::WINDOW, how));
        }
    }
    order(timeline, violations);
}

/// How long the event waited for its handler, if that was too long.
fn late(timeline: &Timeline<'_>, ran: &Ran<'_>, sent: &Sent<'_>, window: Duration) -> Option<Duration> {
    let is_calm = |other: &Ran<'_>| {
        let slow = timeline.sent(other.heard.number).is_none_or(|sent| sent.event.slow);
        !slow && other.answer.is_some_and(|(_, answer)| answer == Answer::Handled)
    };
    let beside = |other: &&Ran<'_>| (other.listener, other.life) == (ran.listener, ran.life);
    let waited = ran.when.saturating_duration_since(sent.when.max(timeline.life(ran)?.when));
    let in_batches = timeline.listener(ran).batch.map_or(Duration::ZERO, |_| window);
    let is_late = !ran.heard.redelivered && waited > in_batches + SLACK && !timeline.cuts.between(0, ran.at);
    (is_late && timeline.runs.iter().filter(beside).all(is_calm)).then_some(waited)
}

/// All copies of an event must have its content and one message id.
fn unchanged(timeline: &Timeline<'_>, violations: &mut Vec<Violation>) {
    let mut ids: BTreeMap<&str, Option<usize>> = BTreeMap::new();
    let heard = timeline.runs.iter().map(|ran| ran.heard).chain(timeline.letters.iter().map(|letter| &letter.heard));
    let mut numbers: BTreeMap<Option<usize>, &str> = BTreeMap::new();
    for Heard { number, message_id, wrong, .. } in heard {
        let first = (ids.entry(message_id).or_insert(*number), numbers.entry(*number).or_insert(message_id));
        let one = first == (&mut number.clone(), &mut message_id.as_str());
        if let Some(wrong) = wrong.clone().or_else(|| (!one).then(|| format!("the message id {message_id}"))) {
            violations.push(Violation::new(&rules::UNCHANGED, format_args!("{number:?} came with {wrong}")));
        }
    }
}

/// Compares only first deliveries at one listener: redelivered and retried events may come later.
fn order(timeline: &Timeline<'_>, violations: &mut Vec<Violation>) {
    let is_new = |ran: &&Ran<'_>| ran.heard.attempt == 1 && !ran.heard.redelivered;
    let in_turn = |ran: &&Ran<'_>| {
        let listener = timeline.listener(ran);
        listener.starts_in_turn() && !divergence::STARTS_IN_ANY_ORDER.holds_for(listener)
    };
    let new: Vec<(&Ran<'_>, &Sent<'_>)> = timeline
        .runs
        .iter()
        .filter(is_new)
        .filter(in_turn)
        .filter_map(|ran| Some((ran, timeline.sent(ran.heard.number)?)))
        .collect();
    for (place, (earlier, sent)) in new.iter().enumerate() {
        let later = new[place + 1..].iter().find(|(later, before)| {
            (later.listener, later.life) == (earlier.listener, earlier.life)
                && before.notifier == sent.notifier
                && before.event.goes_where(sent.event)
                && before.ended < sent.begun
                // An event whose confirm was lost is sent again, after the later one.
                && !timeline.lost_since(before, before.ended)
        });
        if let Some((_, before)) = later {
            let how = format_args!("listener {} had {} before {}", earlier.listener, sent.name(), before.name());
            violations.push(Violation::new(&rules::ORDER, how));
        }
    }
}
