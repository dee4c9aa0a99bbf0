//! What must hold of every run, whatever was done to it. Pure.

pub(crate) mod tests;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::history::History;
use super::nemesis::RECOVERY;
use super::party::HEARTBEAT;
use testkit::workload::record::{Ended, Fault, Hurt, Kind, Queues, Ran, Start};

/// How far past its deadline something may end: ten times what is promised, for a machine under load.
const SLACK: Duration = Duration::from_secs(1);
/// The window of the listener, and with it how many events may be handled twice for one loss.
const WINDOW: usize = 100;
/// How long after a fault what was handed over again may start.
const AFTERMATH: Duration = Duration::from_secs(10);

/// Everything that is wrong with `history`, each with the guarantee it breaks.
pub(crate) fn violations(history: &History) -> Vec<String> {
    let mut found = Vec::new();
    for ended in &history.ended {
        let rules = [confirmed, answered, told_the_truth, undeliverable, in_time];
        found.extend(rules.iter().filter_map(|rule| rule(history, ended)).map(|rule| format!("{rule}: {ended:?}")));
    }
    found.extend(everything_ended(history));
    found.extend(at_most_once(history));
    found.extend(bounded(history));
    found.extend(in_order(history));
    found.extend(recovered(history));
    found.extend(history.troubles.iter().map(|trouble| format!("trouble: {trouble}")));
    found
}

/// The starts of a number that had started before, of a fanout on the same server: requests, and events.
pub(crate) fn repeats(history: &History) -> (usize, usize) {
    let fanouts = fanouts(history);
    let again = |starts: &[Start]| {
        let mut seen = HashSet::new();
        starts.iter().filter(|start| !seen.insert(key(&fanouts, start))).count()
    };
    (again(&history.ran), again(&history.heard))
}

/// G1, and G3 for events: what the broker confirmed comes out.
fn confirmed(history: &History, ended: &Ended) -> Option<&'static str> {
    let starts = history.starts(ended.number);
    if ended.told.is_some() || history.left.contains(&ended.number) {
        return None;
    }
    match ended.kind {
        Kind::Undeliverable => None,
        Kind::Call | Kind::Hasty | Kind::Once | Kind::Probe => {
            starts.is_empty().then_some("an answer, and nothing ran")
        }
        Kind::Cast => starts.is_empty().then_some("G1: confirmed and lost"),
        Kind::Notification => starts.is_empty().then_some("G3: confirmed and not handled"),
        Kind::Fanout => {
            let everywhere = (0..2).all(|server| starts.iter().any(|start| start.server == server));
            (!everywhere && !may_miss(history, ended)).then_some("G1: confirmed and lost on a server")
        }
    }
}

/// Whether a fanout may miss a server: unless it is durable, its exchange goes with the node, and who publishes before the
/// servers are bound again publishes to nobody, which succeeds.
fn may_miss(history: &History, fanout: &Ended) -> bool {
    let durable = history.begun.as_ref().is_some_and(|begun| begun.queues == Queues::Quorum);
    !durable && history.faults_within(fanout.begun, fanout.done).any(|fault| fault.hurt == Hurt::Kill)
}

/// G5: what ran answers, if there was time to find out that a connection was lost, unless it was refused when it came again.
fn answered(history: &History, ended: &Ended) -> Option<&'static str> {
    let told = ended.told.as_ref()?;
    let is_call = matches!(ended.kind, Kind::Call | Kind::Hasty | Kind::Once | Kind::Probe);
    if !is_call || history.starts(ended.number).is_empty() {
        return None;
    }
    let deadline = ended.begun + ended.allowed;
    let fault = history.fault_within(ended.begun, deadline);
    let whole = fault.map_or(ended.begun, |fault| fault.closed);
    let refused = ended.kind == Kind::Once && fault.is_some() && told.kind == "Remote" && told.executed == Ran::Maybe;
    let had_time = whole + 2 * HEARTBEAT <= deadline;
    (had_time && !refused).then_some("G5: it ran, and its answer did not come")
}

/// What certainly did not happen did not.
fn told_the_truth(history: &History, ended: &Ended) -> Option<&'static str> {
    let told = ended.told.as_ref()?;
    let happened = !history.starts(ended.number).is_empty() || history.left.contains(&ended.number);
    (told.executed == Ran::No && happened).then_some("G2: told that it was not executed, and it was")
}

/// G6: who sent to nobody is told so, and nobody else is.
fn undeliverable(_: &History, ended: &Ended) -> Option<&'static str> {
    let told_so = ended.told.as_ref().map(|told| told.kind == "Undeliverable");
    match (told_so, ended.kind == Kind::Undeliverable) {
        (None, true) => Some("G6: sent to nobody, and not told"),
        (Some(true), false) => Some("G6: told what is somebody else's"),
        _ => None,
    }
}

/// G7: it ends by its deadline.
fn in_time(_: &History, ended: &Ended) -> Option<&'static str> {
    (ended.took() > ended.allowed + SLACK).then_some("G7: past its deadline")
}

/// G7: everything ends; and nothing starts that nobody asked for.
fn everything_ended(history: &History) -> Vec<String> {
    let Some(attempted) = history.attempted else { return vec!["the run did not come to its end".to_owned()] };
    let numbers: HashSet<u32> = history.ended.iter().map(|ended| ended.number).collect();
    let never =
        (0..attempted).filter(|number| !numbers.contains(number)).map(|number| format!("G7: {number} never ended"));
    let unasked = history.started().filter(|(number, _)| *number >= attempted);
    never.chain(unasked.map(|(number, _)| format!("{number} started, and nobody asked for it"))).collect()
}

/// G2: nothing runs twice on a server that refuses it; elsewhere it says that it comes again, and only after a loss.
fn at_most_once(history: &History) -> Vec<String> {
    let kinds: HashMap<u32, Kind> = history.ended.iter().map(|ended| (ended.number, ended.kind)).collect();
    let (mut found, fanouts) = (Vec::new(), fanouts(history));
    let mut seen = HashMap::<(u32, u8), Vec<&Start>>::new();
    for start in &history.ran {
        seen.entry(key(&fanouts, start)).or_default().push(start);
    }
    for (&(number, _), starts) in seen.iter().filter(|(_, starts)| starts.len() > 1) {
        let unmarked = starts.iter().filter(|start| !start.redelivered).count();
        let times = || starts.iter().map(|start| start.at);
        let (from, to) = (times().min().unwrap_or_default(), times().max().unwrap_or_default());
        let anything_lost = history.fault_within(from.saturating_sub(AFTERMATH), to).is_some();
        match kinds.get(&number) {
            Some(Kind::Once) => found.push(format!("G2: run twice where that is refused: {starts:?}")),
            _ if unmarked > 1 => found.push(format!("G2: run twice without a word: {starts:?}")),
            _ if !anything_lost => found.push(format!("G2: run twice, and nothing was lost: {starts:?}")),
            _ => {}
        }
    }
    found
}

/// G4: events that are handled twice are few for each loss, and marked.
fn bounded(history: &History) -> Vec<String> {
    let (mut found, mut seen, mut twice) = (Vec::new(), HashMap::<u32, bool>::new(), HashMap::<Duration, usize>::new());
    for start in &history.heard {
        // Whether one of its starts so far said nothing of coming again.
        let unmarked = seen.get(&start.number).copied();
        seen.insert(start.number, unmarked.unwrap_or(false) || !start.redelivered);
        let Some(unmarked) = unmarked else { continue };
        if unmarked && !start.redelivered {
            found.push(format!("G4: handled twice without a word: {start:?}"));
        }
        let fault = history.fault_within(start.at.saturating_sub(AFTERMATH), start.at);
        match fault {
            Some(fault) => *twice.entry(fault.begun).or_default() += 1,
            None => found.push(format!("G4: handled twice, and nothing was lost: {start:?}")),
        }
    }
    let many = twice.into_iter().filter(|(_, count)| *count > WINDOW);
    found.extend(many.map(|(at, count)| format!("G4: {count} events were handled twice after the fault at {at:?}")));
    found
}

/// G9: what one sender sends to one server starts in its order while nothing is lost.
fn in_order(history: &History) -> Vec<String> {
    let placed = history.ended.iter().filter_map(|ended| Some((ended.number, (ended.place?, ended))));
    let placed: HashMap<u32, ((u32, u32), &Ended)> = placed.collect();
    let (mut found, mut last) = (Vec::new(), HashMap::<u32, (u32, usize)>::new());
    for start in history.ran.iter().filter(|start| !start.redelivered) {
        let Some(&((sender, sequence), ended)) = placed.get(&start.number) else { continue };
        if history.fault_within(ended.begun, start.at.max(ended.done)).is_some() {
            continue;
        }
        // What was sent after a fault is compared with nothing that was sent before it.
        let era = history.faults.partition_point(|fault| fault.begun <= ended.begun);
        if let Some((before, _)) =
            last.insert(sender, (sequence, era)).filter(|(before, of)| *of == era && *before > sequence)
        {
            found.push(format!("G9: sender {sender}: {sequence} after {before}"));
        }
    }
    found
}

/// G8: everything works again soon after.
fn recovered(history: &History) -> Vec<String> {
    let late = |fault: &&Fault| !fault.recovered || fault.recovery() > RECOVERY;
    let told = |fault: &Fault| {
        let (took, at) = (fault.recovery(), fault.begun);
        let again = if fault.recovered { "works again" } else { "does not work again" };
        format!("G8: after {} at {at:?} it {again} after {took:?}, and {RECOVERY:?} are allowed", fault.hurt)
    };
    history.faults.iter().filter(late).map(told).collect()
}

fn fanouts(history: &History) -> HashSet<u32> {
    history.ended.iter().filter(|ended| ended.kind == Kind::Fanout).map(|ended| ended.number).collect()
}

/// What may start once: a number, and of a fanout one on each server.
fn key(fanouts: &HashSet<u32>, start: &Start) -> (u32, u8) {
    (start.number, if fanouts.contains(&start.number) { start.server } else { 0 })
}
