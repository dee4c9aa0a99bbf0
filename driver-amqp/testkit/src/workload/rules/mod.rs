//! What must hold of every run, whatever was cut. Pure.

pub mod tests;

use std::time::Duration;

use oslo_messaging::{ErrorKind, Executed};

use super::history::{Ended, History, Kind, Phase, Started};

/// How far past its deadline something may end: ten times what is promised, for a machine under load. How late things
/// are in sum is held against the promise itself (`lateness`).
const SLACK: Duration = Duration::from_secs(1);
/// The window of the listener, and with it how many events may be handled twice for one loss.
const WINDOW: usize = 100;

/// How often something ran or was handled a second time, each time marked as redelivered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Repeats {
    pub methods: usize,
    pub events: usize,
}

/// Everything that is wrong with `history`, each with the guarantee it breaks.
pub fn violations(history: &History) -> Vec<String> {
    let mut found = Vec::new();
    for ended in &history.ended {
        let rules = [confirmed, answered, told_the_truth, undeliverable, in_time, works_again];
        found.extend(rules.iter().filter_map(|rule| rule(history, ended)).map(|rule| format!("{rule}: {ended:?}")));
    }
    found.extend(at_most_once(history));
    found.extend(bounded(history));
    found.extend(in_order(history));
    found
}

/// What `history` has a second time.
pub fn repeats(history: &History) -> Repeats {
    Repeats { methods: seconds(history, &history.methods).len(), events: seconds(history, &history.events).len() }
}

/// G1, and G3 for events: what the broker confirmed comes out.
fn confirmed(history: &History, ended: &Ended) -> Option<&'static str> {
    if ended.told.is_err() || ended.kind == Kind::Undeliverable || history.missing(ended).is_none() {
        return None;
    }
    match ended.kind {
        Kind::Call => Some("an answer, and nothing ran"),
        Kind::Notification => Some("G3: confirmed and not handled"),
        // A server that was handed a request when its connection went, and does not know, does not run it.
        _ if history.may_be_refused() => None,
        _ => Some("G1: confirmed and lost"),
    }
}

/// G5: what ran answers, unless it was refused when it came again.
fn answered(history: &History, ended: &Ended) -> Option<&'static str> {
    let Err(told) = &ended.told else { return None };
    if ended.kind != Kind::Call || history.all_starts(ended) == 0 {
        return None;
    }
    let refused = history.may_be_refused() && told.kind == ErrorKind::Remote && told.executed == Executed::Maybe;
    (!refused).then_some("G5: it ran, and its answer did not come")
}

/// What certainly did not happen did not.
fn told_the_truth(history: &History, ended: &Ended) -> Option<&'static str> {
    let Err(told) = &ended.told else { return None };
    let happened = history.all_starts(ended) > 0 || history.left.contains(&ended.number);
    (told.executed == Executed::No && happened).then_some("G2: told that it was not executed, and it was")
}

/// G6: who sent to nobody is told so, and nobody else is.
fn undeliverable(_: &History, ended: &Ended) -> Option<&'static str> {
    match (&ended.told, ended.kind == Kind::Undeliverable) {
        (Ok(()), true) => Some("G6: sent to nobody, and not told"),
        (Err(told), false) if told.kind == ErrorKind::Undeliverable => Some("G6: told what is somebody else's"),
        _ => None,
    }
}

/// G7: it ends by its deadline.
fn in_time(_: &History, ended: &Ended) -> Option<&'static str> {
    (ended.took > ended.allowed + SLACK).then_some("G7: past its deadline")
}

/// G8: once it was cut, everything works again.
fn works_again(_: &History, ended: &Ended) -> Option<&'static str> {
    (ended.phase == Phase::Afterwards && ended.told.is_err()).then_some("G8: it does not work again")
}

/// G2: nothing runs twice on a server that refuses it; elsewhere it says that it comes again, and only after a loss.
fn at_most_once(history: &History) -> Vec<String> {
    let allowed = |start: &Started| !history.refusing && start.redelivered && history.a_server_was_hurt();
    let twice = seconds(history, &history.methods).into_iter();
    twice.filter(|start| !allowed(start)).map(|start| format!("G2: run twice: {start:?}")).collect()
}

/// G4: events that are handled twice are few, and marked.
fn bounded(history: &History) -> Vec<String> {
    let twice = seconds(history, &history.events);
    let unmarked = twice.iter().filter(|start| !start.redelivered);
    let mut found: Vec<String> = unmarked.map(|start| format!("G4: handled twice without a word: {start:?}")).collect();
    if twice.len() > WINDOW {
        found.push(format!("G4: {} events were handled twice, and the window is {WINDOW}", twice.len()));
    }
    found
}

/// G9: what one task sends to one server starts in its order; what comes a second time has lost it.
fn in_order(history: &History) -> Vec<String> {
    let sequence = |start: &&Started| {
        let ended = history.ended.iter().find(|ended| ended.number == start.number)?;
        ended.sequence
    };
    let fresh = history.methods.iter().filter(|start| !start.redelivered);
    let order: Vec<u32> = fresh.filter_map(|start| sequence(&start)).collect();
    if order.is_sorted() { vec![] } else { vec![format!("G9: out of order: {order:?}")] }
}

/// The starts of a number that had started before: of a fanout on the same server, of anything else on any.
fn seconds<'a>(history: &History, starts: &'a [Started]) -> Vec<&'a Started> {
    let to_all = |number| history.ended.iter().any(|ended| ended.number == number && ended.kind == Kind::Fanout);
    let again = |(place, start): (usize, &'a Started)| {
        let same = |earlier: &Started| {
            earlier.number == start.number && (earlier.server == start.server || !to_all(start.number))
        };
        starts[..place].iter().any(same).then_some(start)
    };
    starts.iter().enumerate().filter_map(again).collect()
}
