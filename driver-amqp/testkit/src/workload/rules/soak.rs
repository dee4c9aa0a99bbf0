//! The rules of a long run with one fault after the other, each recorded with its times.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::super::history::History;
use super::super::record::{Ended, Execution, Fault, FaultKind, Kind, Queues, Start};
use super::{Excused, WINDOW, fanouts, key, of_operation};

/// The heartbeat of every connection: after twice this much silence it is given up.
pub const HEARTBEAT: Duration = Duration::from_secs(3);
/// How long everything may take to work again: twice the heartbeat and the longest pause between two attempts to connect,
/// with room for a machine under load.
pub const RECOVERY: Duration = Duration::from_secs(30);
/// How long after a fault what is delivered a second time may start.
const AFTERMATH: Duration = Duration::from_secs(10);

/// Everything that is wrong with `history`, each with the guarantee it breaks.
pub fn violations(history: &History) -> Vec<String> {
    let each = history.ended.iter().flat_map(|ended| of_operation(history, ended, excused(history, ended)));
    let mut found: Vec<String> = each.collect();
    found.extend(everything_ended(history));
    found.extend(at_most_once(history));
    found.extend(bounded(history));
    found.extend(in_order(history));
    found.extend(recovered(history));
    found.extend(history.troubles.iter().map(|trouble| format!("trouble: {trouble}")));
    found
}

fn excused(history: &History, ended: &Ended) -> Excused {
    Excused { lost: may_miss_a_server(history, ended), unanswered: may_stay_unanswered(history, ended) }
}

/// Whether a fanout may miss a server: unless it is durable, its exchange goes with the node, and what is published before
/// the servers have bound their queues again reaches no queue, which succeeds.
fn may_miss_a_server(history: &History, ended: &Ended) -> bool {
    let durable = history.begun.as_ref().is_some_and(|begun| begun.queues == Queues::Quorum);
    let killed = || history.faults_within(ended.begun, ended.done).any(|fault| fault.kind == FaultKind::Kill);
    ended.kind == Kind::Fanout && !durable && killed()
}

/// Whether a call may fail although its method ran: there was no time to notice that a connection was lost, or the request
/// was refused when it came again.
fn may_stay_unanswered(history: &History, ended: &Ended) -> bool {
    let deadline = ended.begun + ended.allowed;
    let fault = history.fault_within(ended.begun, deadline);
    let whole = fault.map_or(ended.begun, |fault| fault.closed);
    let failed_as_refused = ended.failure.as_ref().is_some_and(|failure| failure.is("Remote", Execution::Maybe));
    let refused = ended.kind == Kind::Once && fault.is_some() && failed_as_refused;
    whole + 2 * HEARTBEAT > deadline || refused
}

/// G7: everything ends; and nothing starts that was not asked for.
fn everything_ended(history: &History) -> Vec<String> {
    let Some(attempted) = history.attempted else { return vec!["the run did not come to its end".to_owned()] };
    let numbers: HashSet<u32> = history.ended.iter().map(|ended| ended.number).collect();
    let never =
        (0..attempted).filter(|number| !numbers.contains(number)).map(|number| format!("G7: {number} never ended"));
    let unasked = history.started().filter(|(number, _)| *number >= attempted);
    never.chain(unasked.map(|(number, _)| format!("{number} started, and no client asked for it"))).collect()
}

/// G2: nothing runs twice on a server that refuses it; elsewhere it is marked as redelivered, and only after a loss.
fn at_most_once(history: &History) -> Vec<String> {
    let kinds: HashMap<u32, Kind> = history.ended.iter().map(|ended| (ended.number, ended.kind)).collect();
    let (mut found, fanouts) = (Vec::new(), fanouts(history));
    let mut seen = HashMap::<(u32, u8), Vec<&Start>>::new();
    for start in &history.methods {
        seen.entry(key(&fanouts, start)).or_default().push(start);
    }
    for (&(number, _), starts) in seen.iter().filter(|(_, starts)| starts.len() > 1) {
        let unmarked = starts.iter().filter(|start| !start.redelivered).count();
        let times = || starts.iter().map(|start| start.at);
        let (from, to) = (times().min().unwrap_or_default(), times().max().unwrap_or_default());
        let anything_lost = history.fault_within(from.saturating_sub(AFTERMATH), to).is_some();
        match kinds.get(&number) {
            Some(Kind::Once) => found.push(format!("G2: run twice where that is refused: {starts:?}")),
            _ if unmarked > 1 => found.push(format!("G2: run twice, unmarked: {starts:?}")),
            _ if !anything_lost => found.push(format!("G2: run twice, and nothing was lost: {starts:?}")),
            _ => {}
        }
    }
    found
}

/// G4: events that are handled twice are few for each loss, and marked.
fn bounded(history: &History) -> Vec<String> {
    let (mut found, mut seen, mut twice) = (Vec::new(), HashMap::<u32, bool>::new(), HashMap::<Duration, usize>::new());
    for start in &history.events {
        // Whether one of its starts so far was not marked as redelivered.
        let unmarked = seen.get(&start.number).copied();
        seen.insert(start.number, unmarked.unwrap_or(false) || !start.redelivered);
        let Some(unmarked) = unmarked else { continue };
        if unmarked && !start.redelivered {
            found.push(format!("G4: handled twice, unmarked: {start:?}"));
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
    for start in history.methods.iter().filter(|start| !start.redelivered) {
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

/// G8: everything works again soon after a fault.
fn recovered(history: &History) -> Vec<String> {
    let late = |fault: &&Fault| !fault.recovered || fault.recovery() > RECOVERY;
    let describe = |fault: &Fault| {
        let (took, at) = (fault.recovery(), fault.begun);
        let again = if fault.recovered { "works again" } else { "does not work again" };
        format!("G8: after {} at {at:?} it {again} after {took:?}, and {RECOVERY:?} are allowed", fault.kind)
    };
    history.faults.iter().filter(late).map(describe).collect()
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Run, again, breaks, ended, failed, fault, holds, secs, start};
    use super::super::{Repeats, repeats};
    use super::*;
    use crate::workload::record::{FaultTarget, Over, Record};

    fn found(run: &Run) -> Vec<String> {
        violations(&run.history())
    }

    fn cut() -> Record {
        fault(FaultKind::Cut(FaultTarget::First), 3, 4)
    }

    #[test]
    fn what_is_sound_breaks_nothing() {
        holds(&found(&Run::sound()));
        assert_eq!(repeats(&Run::sound().history()), Repeats::default());
    }

    #[test]
    fn what_was_confirmed_and_is_nowhere_is_lost() {
        for (number, rule) in [(0, "an answer"), (1, "an answer"), (2, "G1"), (3, "G1"), (4, "G3")] {
            breaks(&found(&Run::sound().unstarted(number)), rule);
            holds(&found(&Run::sound().unstarted(number).with([Record::Left(number)])));
        }
        let half = Run::sound().without(|record| *record == Record::MethodStarted(start(3, 1)));
        breaks(&found(&half), "G1: confirmed and lost on a server");
        // The exchange went with the node, unless it is durable.
        let (kill, freeze) = (|to| fault(FaultKind::Kill, 2, to), |from| fault(FaultKind::Freeze, from, 5));
        holds(&found(&half.clone().with([kill(5)])));
        holds(&found(&half.clone().with([kill(3), freeze(4)])));
        breaks(&found(&half.with([freeze(2)])), "G1");
    }

    #[test]
    fn what_ran_answers_if_there_was_time() {
        let timed_out = Run::sound().unended(0).with([failed(0, Kind::Call, "Timeout", Execution::Maybe)]);
        breaks(&found(&timed_out), "G5");
        breaks(&found(&timed_out.clone().with([fault(FaultKind::Freeze, 0, 14)])), "G5");
        holds(&found(&timed_out.with([fault(FaultKind::Freeze, 0, 15)])));
        let refused = Run::sound().unended(1).with([failed(1, Kind::Once, "Remote", Execution::Maybe)]);
        breaks(&found(&refused), "G5");
        holds(&found(&refused.with([fault(FaultKind::CloseAll, 1, 2)])));
    }

    #[test]
    fn what_is_reported_as_not_executed_did_not_happen() {
        let run = Run::sound().unended(2).with([failed(2, Kind::Cast, "Disconnected", Execution::No)]);
        breaks(&found(&run), "G2: reported");
        holds(&found(&run.unstarted(2)));
    }

    #[test]
    fn only_what_reaches_no_queue_is_reported_as_undeliverable() {
        let confirmed = Record::Ended(Ended { failure: None, ..ended(5, Kind::Undeliverable) });
        breaks(&found(&Run::sound().unended(5).with([confirmed])), "G6: reached no queue");
        let denied = failed(2, Kind::Cast, "Undeliverable", Execution::No);
        breaks(&found(&Run::sound().unended(2).unstarted(2).with([denied])), "G6: reported");
    }

    #[test]
    fn everything_ends_and_in_time() {
        let late = |by: u64| Record::Ended(Ended { done: secs(2 + 20 + by), ..ended(2, Kind::Cast) });
        holds(&found(&Run::sound().unended(2).with([late(1)])));
        breaks(&found(&Run::sound().unended(2).with([late(2)])), "G7: past its deadline");
        breaks(&found(&Run::sound().unended(2)), "G7: 2 never ended");
        breaks(&found(&Run::sound().with([Record::MethodStarted(start(7, 0))])), "7 started");
        let endless = Run::sound().without(|record| matches!(record, Record::Over(_)));
        breaks(&found(&endless), "the run did not come to its end");
    }

    #[test]
    fn a_second_run_is_marked_and_comes_of_a_loss_or_not_at_all() {
        let twice = |number| Record::MethodStarted(again(number, 5));
        breaks(&found(&Run::sound().with([twice(2)])), "G2: run twice, and nothing was lost");
        let cut = Run::sound().with([cut()]);
        breaks(&found(&cut.clone().with([Record::MethodStarted(start(2, 1))])), "G2: run twice, unmarked");
        breaks(&found(&cut.clone().with([twice(1)])), "G2: run twice where that is refused");
        holds(&found(&cut.clone().with([twice(2)])));
        holds(&found(&cut.with([twice(3), twice(2)])));
        assert_eq!(repeats(&Run::sound().with([twice(2)]).history()), Repeats { methods: 1, events: 0 });
    }

    #[test]
    fn events_handled_twice_are_marked_and_few() {
        let heard_again = || Record::EventStarted(again(4, 5));
        breaks(&found(&Run::sound().with([heard_again()])), "G4: handled twice, and nothing was lost");
        let reset = Run::sound().with([fault(FaultKind::Reset(FaultTarget::First), 4, 5)]);
        breaks(&found(&reset.clone().with([Record::EventStarted(start(4, 0))])), "G4: handled twice, unmarked");
        holds(&found(&reset.clone().with(vec![heard_again(); WINDOW])));
        breaks(&found(&reset.with(vec![heard_again(); WINDOW + 1])), "G4: 101 events");
    }

    #[test]
    fn what_one_sender_sends_to_one_server_starts_in_its_order() {
        let cast = |number: u32, sequence: u32| {
            let ended = Ended { place: Some((9, sequence)), ..ended(number, Kind::Cast) };
            [Record::Ended(ended), Record::MethodStarted(start(number, 0))]
        };
        let over = Record::Over(Over { at: secs(60), attempted: 9 });
        let sent = |one, other| Run::sound().with(cast(7, one)).with(cast(8, other)).with([over.clone()]);
        holds(&found(&sent(0, 1)));
        breaks(&found(&sent(1, 0)), "G9");
        holds(&found(
            &Run::sound().with([fault(FaultKind::Freeze, 7, 8)]).with(cast(7, 1)).with(cast(8, 0)).with([over]),
        ));
    }

    #[test]
    fn what_does_not_work_again_soon_is_reported() {
        holds(&found(&Run::sound().with([fault(FaultKind::Alarm, 10, 40)])));
        let late = Run::sound().with([fault(FaultKind::Alarm, 10, 41)]);
        breaks(&found(&late), "G8: after memory alarm at 10s it works again after 31s");
        let (kind, begun) = (FaultKind::Kill, secs(10));
        let never = Fault { kind, begun, over: secs(11), closed: secs(12), recovered: false };
        breaks(&found(&Run::sound().with([Record::Fault(never)])), "G8: after kill -9 at 10s it does not work again");
    }
}
