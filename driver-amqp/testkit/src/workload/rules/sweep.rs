//! Each rule is broken once, and finds it.

use std::time::Duration;

use oslo_messaging::{ErrorKind, Executed};
use tokio::time::Instant;

use super::super::history::{Ended, History, Kind, Phase, Started, Told};
use super::{Repeats, WINDOW, repeats, violations};

fn ended(number: u32, kind: Kind) -> Ended {
    let (took, allowed) = (Duration::from_millis(10), Duration::from_secs(6));
    Ended { number, kind, phase: Phase::During, sequence: None, told: Ok(()), begun: Instant::now(), took, allowed }
}

fn failed(number: u32, kind: Kind, error: ErrorKind, executed: Executed) -> Ended {
    Ended { told: Err(Told { kind: error, executed, text: String::new() }), ..ended(number, kind) }
}

fn on(server: usize, number: u32) -> Started {
    Started { number, server, redelivered: false }
}

fn again(server: usize, number: u32) -> Started {
    Started { redelivered: true, ..on(server, number) }
}

/// A history in which nothing is wrong, with one of each.
fn sound() -> History {
    let undeliverable = failed(5, Kind::Undeliverable, ErrorKind::Undeliverable, Executed::No);
    let kinds = [Kind::Call, Kind::Cast, Kind::Fanout, Kind::Notification];
    let mut all: Vec<Ended> = (1..).zip(kinds).map(|(number, kind)| ended(number, kind)).collect();
    all.push(undeliverable);
    History {
        ended: all,
        methods: vec![on(0, 1), on(1, 2), on(0, 3), on(1, 3)],
        events: vec![on(0, 4)],
        ..History::default()
    }
}

/// `history` breaks one rule, and its name is said.
fn breaks(history: &History, rule: &str) {
    let found = violations(history);
    assert!(found.len() == 1 && found[0].starts_with(rule), "{rule}: {found:?}");
}

fn holds(history: &History) {
    assert_eq!(violations(history), Vec::<String>::new());
}

pub fn what_is_sound_breaks_nothing() {
    holds(&sound());
    assert_eq!(repeats(&sound()), Repeats::default());
    assert!(sound().is_complete());
}

pub fn a_confirmed_message_that_is_nowhere_is_lost() {
    for (number, rule) in [(1, "an answer, and nothing ran"), (2, "G1"), (3, "G1"), (4, "G3")] {
        let mut history = sound();
        history.methods.retain(|start| start.number != number);
        history.events.retain(|start| start.number != number);
        assert!(!history.is_complete());
        breaks(&history, rule);
        history.left.push(number);
        holds(&history);
    }
    let mut half = sound();
    half.methods.retain(|start| *start != on(1, 3));
    breaks(&half, "G1");
    // Such a server says of a request that came again that it may have run, and does not run it.
    half.refusing = true;
    breaks(&half, "G1");
    half.servers_hurt[1] = true;
    holds(&half);
}

pub fn a_method_that_ran_answers() {
    let mut history = sound();
    history.ended[0] = failed(1, Kind::Call, ErrorKind::Timeout, Executed::Maybe);
    breaks(&history, "G5");
    history.ended[0] = failed(1, Kind::Call, ErrorKind::Remote, Executed::Maybe);
    breaks(&history, "G5");
    (history.refusing, history.servers_hurt) = (true, [true, false]);
    holds(&history);
}

pub fn what_is_said_not_to_have_happened_did_not() {
    let mut history = sound();
    history.ended[1] = failed(2, Kind::Cast, ErrorKind::Disconnected, Executed::No);
    breaks(&history, "G2: told");
    history.methods.retain(|start| start.number != 2);
    holds(&history);
    history.left.push(2);
    breaks(&history, "G2: told");
}

pub fn only_who_sent_to_nobody_is_told_so() {
    let mut history = sound();
    history.ended[4] = ended(5, Kind::Undeliverable);
    breaks(&history, "G6: sent to nobody");
    let mut history = sound();
    history.ended.push(failed(6, Kind::Cast, ErrorKind::Undeliverable, Executed::No));
    breaks(&history, "G6: told");
}

pub fn nothing_ends_after_its_deadline() {
    let mut history = sound();
    history.ended[0].took = Duration::from_millis(6_900);
    holds(&history);
    history.ended[0].took = Duration::from_millis(7_100);
    breaks(&history, "G7");
}

pub fn what_fails_afterwards_does_not_work_again() {
    let mut history = sound();
    let undelivered = failed(6, Kind::Notification, ErrorKind::Disconnected, Executed::No);
    history.ended.push(Ended { phase: Phase::Afterwards, ..undelivered });
    breaks(&history, "G8");
}

pub fn a_second_run_is_marked_and_comes_of_a_loss_or_not_at_all() {
    let mut history = sound();
    history.methods.push(again(0, 2));
    breaks(&history, "G2: run twice");
    history.servers_hurt = [true, false];
    holds(&history);
    assert_eq!(repeats(&history), Repeats { methods: 1, events: 0 });
    history.refusing = true;
    breaks(&history, "G2: run twice");
    let mut unmarked = sound();
    unmarked.servers_hurt = [true, true];
    unmarked.methods.push(on(1, 1));
    breaks(&unmarked, "G2: run twice");
}

pub fn events_handled_twice_are_marked_and_few() {
    let mut history = sound();
    history.events.push(on(0, 4));
    breaks(&history, "G4");
    history.events[1] = again(0, 4);
    holds(&history);
    assert_eq!(repeats(&history), Repeats { methods: 0, events: 1 });
    history.events.extend([again(0, 4)].repeat(WINDOW));
    breaks(&history, "G4");
}

pub fn what_one_task_sends_to_one_server_starts_in_its_order() {
    let mut history = sound();
    for (sequence, number) in [(0, 10), (1, 11)] {
        history.ended.push(Ended { sequence: Some(sequence), ..ended(number, Kind::Cast) });
    }
    history.methods.extend([on(0, 10), on(0, 11)]);
    holds(&history);
    history.methods.reverse();
    breaks(&history, "G9");
    history.methods.iter_mut().for_each(|start| start.redelivered = start.number == 11);
    holds(&history);
}
