//! The rules of a short run with one fault, in which nothing else is wrong.

use std::collections::HashMap;

use super::super::history::History;
use super::super::record::{Ended, Execution, Kind, Phase, Start};
use super::{Excused, WINDOW, fanouts, of_operation, seconds};

/// Everything that is wrong with `history`, each with the guarantee it breaks.
pub fn violations(history: &History) -> Vec<String> {
    let mut found = Vec::new();
    for ended in &history.ended {
        found.extend(of_operation(history, ended, excused(history, ended)));
        found.extend(works_again(ended).map(|rule| format!("{rule}: {ended:?}")));
    }
    found.extend(at_most_once(history));
    found.extend(bounded(history));
    found.extend(in_order(history));
    found.extend(history.troubles.iter().map(|trouble| format!("trouble: {trouble}")));
    found
}

/// A server that received a request when its connection was lost does not run it when it comes again.
fn excused(history: &History, ended: &Ended) -> Excused {
    let refused = ended.failure.as_ref().is_some_and(|failure| failure.is("Remote", Execution::Maybe));
    Excused {
        lost: history.may_be_refused() && matches!(ended.kind, Kind::Cast | Kind::Fanout),
        unanswered: history.may_be_refused() && refused,
    }
}

/// G8: everything works again after the fault.
fn works_again(ended: &Ended) -> Option<&'static str> {
    (ended.phase == Phase::Afterwards && ended.failure.is_some()).then_some("G8: it does not work again")
}

/// G2: nothing runs twice on a server that refuses it; elsewhere it is marked as redelivered, and only after a loss.
fn at_most_once(history: &History) -> Vec<String> {
    let allowed = |start: &Start| !history.refusing && start.redelivered && history.a_server_was_hurt();
    let twice = seconds(&fanouts(history), &history.methods).into_iter();
    twice.filter(|start| !allowed(start)).map(|start| format!("G2: run twice: {start:?}")).collect()
}

/// G4: events that are handled twice are few, and marked.
fn bounded(history: &History) -> Vec<String> {
    let twice = seconds(&fanouts(history), &history.events);
    let unmarked = twice.iter().filter(|start| !start.redelivered);
    let mut found: Vec<String> = unmarked.map(|start| format!("G4: handled twice, unmarked: {start:?}")).collect();
    if twice.len() > WINDOW {
        found.push(format!("G4: {} events were handled twice, and the window is {WINDOW}", twice.len()));
    }
    found
}

/// G9: what one task sends to one server starts in its order; what comes a second time has lost it.
fn in_order(history: &History) -> Vec<String> {
    let placed = history.ended.iter().filter_map(|ended| Some((ended.number, ended.place?.1)));
    let placed: HashMap<u32, u32> = placed.collect();
    let fresh = history.methods.iter().filter(|start| !start.redelivered);
    let order: Vec<u32> = fresh.filter_map(|start| placed.get(&start.number).copied()).collect();
    if order.is_sorted() { vec![] } else { vec![format!("G9: out of order: {order:?}")] }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Run, again, breaks, ended, failed, holds, start};
    use super::super::{Repeats, repeats};
    use super::*;
    use crate::workload::record::Record;

    #[test]
    fn what_is_sound_breaks_nothing() {
        let sound = Run::sound().history();
        holds(&violations(&sound));
        assert_eq!(repeats(&sound), Repeats::default());
        assert!(sound.is_complete());
    }

    #[test]
    fn a_confirmed_message_that_is_nowhere_is_lost() {
        for (number, rule) in [(0, "an answer, and nothing ran"), (2, "G1"), (3, "G1"), (4, "G3")] {
            let lost = Run::sound().unstarted(number);
            assert!(!lost.history().is_complete());
            breaks(&violations(&lost.history()), rule);
            holds(&violations(&lost.with([Record::Left(number)]).history()));
        }
        let mut half = Run::sound().without(|record| *record == Record::MethodStarted(start(3, 1)));
        breaks(&violations(&half.history()), "G1");
        // Such a server reports a request that came again as perhaps executed, and does not run it.
        half.refusing = true;
        breaks(&violations(&half.history()), "G1");
        half.servers_hurt[1] = true;
        holds(&violations(&half.history()));
    }

    #[test]
    fn a_method_that_ran_answers() {
        for (error, refused) in [("Timeout", false), ("Remote", true)] {
            let mut run = Run::sound().unended(0).with([failed(0, Kind::Call, error, Execution::Maybe)]);
            breaks(&violations(&run.history()), "G5");
            (run.refusing, run.servers_hurt) = (true, [true, false]);
            if refused { holds(&violations(&run.history())) } else { breaks(&violations(&run.history()), "G5") }
        }
    }

    #[test]
    fn what_is_reported_as_not_executed_did_not_happen() {
        let run = Run::sound().unended(2).with([failed(2, Kind::Cast, "Disconnected", Execution::No)]);
        breaks(&violations(&run.history()), "G2: reported");
        let run = run.unstarted(2);
        holds(&violations(&run.history()));
        breaks(&violations(&run.with([Record::Left(2)]).history()), "G2: reported");
    }

    #[test]
    fn only_what_reaches_no_queue_is_reported_as_undeliverable() {
        let confirmed = Record::Ended(Ended { failure: None, ..ended(5, Kind::Undeliverable) });
        breaks(&violations(&Run::sound().unended(5).with([confirmed]).history()), "G6: reached no queue");
        let denied = failed(9, Kind::Cast, "Undeliverable", Execution::No);
        breaks(&violations(&Run::sound().with([denied]).history()), "G6: reported");
    }

    #[test]
    fn nothing_ends_after_its_deadline() {
        let late = |millis| {
            let sound = ended(0, Kind::Call);
            let done = sound.begun + sound.allowed + std::time::Duration::from_millis(millis);
            violations(&Run::sound().unended(0).with([Record::Ended(Ended { done, ..sound })]).history())
        };
        holds(&late(900));
        breaks(&late(1_100), "G7");
    }

    #[test]
    fn what_fails_afterwards_does_not_work_again() {
        let Record::Ended(failed) = failed(9, Kind::Notification, "Disconnected", Execution::No) else { return };
        let afterwards = Record::Ended(Ended { phase: Phase::Afterwards, ..failed });
        breaks(&violations(&Run::sound().with([afterwards]).history()), "G8");
    }

    #[test]
    fn a_second_run_is_marked_and_comes_of_a_loss_or_not_at_all() {
        let mut run = Run::sound().with([Record::MethodStarted(again(2, 5))]);
        breaks(&violations(&run.history()), "G2: run twice");
        run.servers_hurt = [true, false];
        holds(&violations(&run.history()));
        assert_eq!(repeats(&run.history()), Repeats { methods: 1, events: 0 });
        run.refusing = true;
        breaks(&violations(&run.history()), "G2: run twice");
        let mut unmarked = Run::sound().with([Record::MethodStarted(start(0, 1))]);
        unmarked.servers_hurt = [true, true];
        breaks(&violations(&unmarked.history()), "G2: run twice");
    }

    #[test]
    fn events_handled_twice_are_marked_and_few() {
        breaks(&violations(&Run::sound().with([Record::EventStarted(start(4, 0))]).history()), "G4");
        let run = Run::sound().with([Record::EventStarted(again(4, 5))]);
        holds(&violations(&run.history()));
        assert_eq!(repeats(&run.history()), Repeats { methods: 0, events: 1 });
        breaks(&violations(&run.with(vec![Record::EventStarted(again(4, 5)); WINDOW]).history()), "G4");
    }

    #[test]
    fn what_one_task_sends_to_one_server_starts_in_its_order() {
        let run = |starts: [Start; 2]| {
            let sent =
                |(sequence, number)| Record::Ended(Ended { place: Some((0, sequence)), ..ended(number, Kind::Cast) });
            let ended = [(0, 10), (1, 11)].map(sent);
            violations(&Run::sound().with(ended).with(starts.map(Record::MethodStarted)).history())
        };
        holds(&run([start(10, 0), start(11, 0)]));
        breaks(&run([start(11, 0), start(10, 0)]), "G9");
        holds(&run([again(11, 11), start(10, 0)]));
    }

    #[test]
    fn a_wrong_answer_is_a_violation() {
        breaks(
            &violations(&Run::sound().with([Record::Trouble("call 1 was answered with 2".into())]).history()),
            "trouble",
        );
    }
}
