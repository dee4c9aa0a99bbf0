//! What must hold of every run, whatever faults it had. Pure.
//!
//! `docs/testing.md` defines the guarantees G1 to G9.

#[cfg(test)]
mod fixture;
pub mod soak;
pub mod sweep;

use std::collections::HashSet;
use std::time::Duration;

use super::history::History;
use super::record::{Ended, Execution, Kind, Start};

/// How far past its deadline an operation may end: ten times what is promised, for a machine under load. How late operations
/// are in sum is compared with the promise itself (`lateness`).
const SLACK: Duration = Duration::from_secs(1);
/// The window of the listener, and with it how many events may be handled twice for one loss.
const WINDOW: usize = 100;

/// What a fault excuses in one operation.
#[derive(Debug, Clone, Copy, Default)]
struct Excused {
    /// That it was confirmed and did not arrive.
    lost: bool,
    /// That a method ran for it and its answer did not come.
    unanswered: bool,
}

/// How often something started a second time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Repeats {
    pub methods: usize,
    pub events: usize,
}

/// How often methods and handlers of `history` started a second time.
pub fn repeats(history: &History) -> Repeats {
    let fanouts = fanouts(history);
    Repeats { methods: seconds(&fanouts, &history.methods).len(), events: seconds(&fanouts, &history.events).len() }
}

/// What is wrong with one operation, each with the guarantee it breaks.
fn of_operation(history: &History, ended: &Ended, excused: Excused) -> impl Iterator<Item = String> {
    let rules = [
        confirmed(history, ended).filter(|_| !excused.lost),
        answered(history, ended).filter(|_| !excused.unanswered),
        truthful(history, ended),
        undeliverable(ended),
        in_time(ended),
    ];
    rules.into_iter().flatten().map(move |rule| format!("{rule}: {ended:?}"))
}

/// G1, and G3 for events: what the broker confirmed arrives.
fn confirmed(history: &History, ended: &Ended) -> Option<&'static str> {
    if ended.failure.is_some() || ended.kind == Kind::Undeliverable || !history.is_missing(ended) {
        return None;
    }
    Some(match ended.kind {
        Kind::Notification => "G3: confirmed and not handled",
        Kind::Fanout => "G1: confirmed and lost on a server",
        kind if kind.is_call() => "an answer, and nothing ran",
        _ => "G1: confirmed and lost",
    })
}

/// G5: what ran answers.
fn answered(history: &History, ended: &Ended) -> Option<&'static str> {
    let failed = ended.kind.is_call() && ended.failure.is_some();
    (failed && !history.starts(ended.number).is_empty()).then_some("G5: it ran, and its answer did not come")
}

/// G2: what is reported as not executed did not happen.
fn truthful(history: &History, ended: &Ended) -> Option<&'static str> {
    let denied = ended.failure.as_ref()?.executed == Execution::No;
    (denied && history.happened(ended.number)).then_some("G2: reported as not executed, and it was")
}

/// G6: a message that reaches no queue is reported as undeliverable, and no other is.
fn undeliverable(ended: &Ended) -> Option<&'static str> {
    let reported = ended.failure.as_ref().map(|failure| failure.kind == "Undeliverable");
    match (reported, ended.kind == Kind::Undeliverable) {
        (None, true) => Some("G6: reached no queue, and was reported as confirmed"),
        (Some(true), false) => Some("G6: reported as undeliverable, and it was not"),
        _ => None,
    }
}

/// G7: it ends by its deadline.
fn in_time(ended: &Ended) -> Option<&'static str> {
    (ended.took() > ended.allowed + SLACK).then_some("G7: past its deadline")
}

/// The starts of a number that had started before: of a fanout on the same server, of anything else on any.
fn seconds<'a>(fanouts: &HashSet<u32>, starts: &'a [Start]) -> Vec<&'a Start> {
    let mut seen = HashSet::new();
    starts.iter().filter(|start| !seen.insert(key(fanouts, start))).collect()
}

fn fanouts(history: &History) -> HashSet<u32> {
    history.ended.iter().filter(|ended| ended.kind == Kind::Fanout).map(|ended| ended.number).collect()
}

/// What may start once: a number, and of a fanout one on each server.
fn key(fanouts: &HashSet<u32>, start: &Start) -> (u32, u8) {
    (start.number, if fanouts.contains(&start.number) { start.server } else { 0 })
}
