//! Each rule is broken once, and finds it.

use std::time::Duration;

use super::super::history::History;
use super::{WINDOW, repeats, violations};
use testkit::workload::record::{Begun, Ended, Fault, Hurt, Kind, Over, Queues, Ran, Record, Start, Told, Whose};

const KINDS: [Kind; 7] =
    [Kind::Call, Kind::Once, Kind::Cast, Kind::Fanout, Kind::Notification, Kind::Undeliverable, Kind::Hasty];

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Number `number` is begun at as many seconds, and takes one.
fn ended(number: u32, kind: Kind) -> Ended {
    let begun = secs(number.into());
    let told = (kind == Kind::Undeliverable).then(|| told("Undeliverable", Ran::No));
    Ended { number, kind, place: None, begun, done: begun + secs(1), allowed: secs(20), told }
}

fn told(kind: &str, executed: Ran) -> Told {
    Told { kind: kind.to_owned(), executed, text: String::new() }
}

fn start(number: u32, server: u8) -> Start {
    Start { number, server, redelivered: false, at: secs(number.into()) }
}

fn again(number: u32, at: u64) -> Start {
    Start { redelivered: true, at: secs(at), ..start(number, 1) }
}

fn fault(hurt: Hurt, begun: u64, closed: u64) -> Record {
    let (begun, closed) = (secs(begun), secs(closed));
    Record::Fault(Fault { hurt, begun, over: begun, closed, recovered: true })
}

/// A history in which nothing is wrong, with one of each kind, numbered from 0.
fn sound() -> Vec<Record> {
    let mut records = vec![Record::Begun(Begun { seed: 1, seconds: 60, queues: Queues::Durable })];
    for (number, kind) in (0..).zip(KINDS) {
        match kind {
            Kind::Notification => records.push(Record::Heard(start(number, 0))),
            Kind::Undeliverable => {}
            Kind::Fanout => records.extend([0, 1].map(|server| Record::Ran(start(number, server)))),
            _ => records.push(Record::Ran(start(number, 0))),
        }
        records.push(Record::Ended(ended(number, kind)));
    }
    records.push(Record::Over(Over { at: secs(60), attempted: 7 }));
    records
}

fn history(records: &[Record]) -> History {
    let mut history = History::default();
    for record in records {
        history.add(record.clone());
    }
    history
}

/// What is wrong with the sound history and `more`, without the records that are not `kept`.
fn found(kept: impl Fn(&Record) -> bool, more: impl IntoIterator<Item = Record>) -> Vec<String> {
    let mut records = sound();
    records.retain(kept);
    records.extend(more);
    violations(&history(&records))
}

fn breaks(kept: impl Fn(&Record) -> bool, more: impl IntoIterator<Item = Record>, rule: &str) {
    let found = found(kept, more);
    assert!(found.len() == 1 && found[0].starts_with(rule), "{rule}: {found:?}");
}

fn holds(kept: impl Fn(&Record) -> bool, more: impl IntoIterator<Item = Record>) {
    assert_eq!(found(kept, more), Vec::<String>::new());
}

/// Everything but the starts of `number`.
fn unstarted(number: u32) -> impl Fn(&Record) -> bool {
    move |record| !matches!(record, Record::Ran(start) | Record::Heard(start) if start.number == number)
}

/// Everything but what `number` was told.
fn untold(number: u32) -> impl Fn(&Record) -> bool {
    move |record| !matches!(record, Record::Ended(ended) if ended.number == number)
}

fn all(_: &Record) -> bool {
    true
}

/// Number `number` failed.
fn failed(number: u32, kind: Kind, error: &str, executed: Ran) -> Record {
    Record::Ended(Ended { told: Some(told(error, executed)), ..ended(number, kind) })
}

pub(crate) fn what_is_sound_breaks_nothing() {
    holds(all, []);
    assert_eq!(repeats(&history(&sound())), (0, 0));
}

pub(crate) fn what_was_confirmed_and_is_nowhere_is_lost() {
    for (number, rule) in [(0, "an answer"), (1, "an answer"), (2, "G1"), (3, "G1"), (4, "G3")] {
        breaks(unstarted(number), [], rule);
        holds(unstarted(number), [Record::Left(number)]);
    }
    let half = |record: &Record| *record != Record::Ran(start(3, 1));
    breaks(half, [], "G1: confirmed and lost on a server");
    // The exchange went with the node, unless it is durable.
    holds(half, [fault(Hurt::Kill, 2, 5)]);
    holds(half, [fault(Hurt::Kill, 2, 3), fault(Hurt::Freeze, 4, 5)]);
    breaks(half, [fault(Hurt::Freeze, 2, 5)], "G1");
}

pub(crate) fn what_ran_answers_if_there_was_time() {
    let timed_out = || failed(0, Kind::Call, "Timeout", Ran::Maybe);
    breaks(untold(0), [timed_out()], "G5");
    breaks(untold(0), [timed_out(), fault(Hurt::Freeze, 0, 14)], "G5");
    holds(untold(0), [timed_out(), fault(Hurt::Freeze, 0, 15)]);
    let refused = || failed(1, Kind::Once, "Remote", Ran::Maybe);
    breaks(untold(1), [refused()], "G5");
    holds(untold(1), [refused(), fault(Hurt::CloseAll, 1, 2)]);
}

pub(crate) fn what_is_said_not_to_have_happened_did_not() {
    let not_sent = || failed(2, Kind::Cast, "Disconnected", Ran::No);
    breaks(untold(2), [not_sent()], "G2: told");
    holds(|record| untold(2)(record) && unstarted(2)(record), [not_sent()]);
}

pub(crate) fn only_who_sent_to_nobody_is_told_so() {
    breaks(untold(5), [Record::Ended(Ended { told: None, ..ended(5, Kind::Undeliverable) })], "G6: sent to nobody");
    let neither = |record: &Record| untold(2)(record) && unstarted(2)(record);
    breaks(neither, [failed(2, Kind::Cast, "Undeliverable", Ran::No)], "G6: told");
}

pub(crate) fn everything_ends_and_in_time() {
    let late = |by: u64| Record::Ended(Ended { done: secs(2 + 20 + by), ..ended(2, Kind::Cast) });
    holds(untold(2), [late(1)]);
    breaks(untold(2), [late(2)], "G7: past its deadline");
    breaks(untold(2), [], "G7: 2 never ended");
    breaks(all, [Record::Ran(start(7, 0))], "7 started");
    breaks(|record| !matches!(record, Record::Over(_)), [], "the run did not come to its end");
}

pub(crate) fn a_second_run_is_marked_and_comes_of_a_loss_or_not_at_all() {
    let cut = || fault(Hurt::Cut(Whose::First), 3, 4);
    breaks(all, [Record::Ran(again(2, 5))], "G2: run twice, and nothing was lost");
    breaks(all, [cut(), Record::Ran(start(2, 1))], "G2: run twice without a word");
    breaks(all, [cut(), Record::Ran(again(1, 5))], "G2: run twice where that is refused");
    holds(all, [cut(), Record::Ran(again(2, 5))]);
    holds(all, [cut(), Record::Ran(again(3, 5)), Record::Ran(again(2, 5))]);
    let mut records = sound();
    records.push(Record::Ran(again(2, 5)));
    assert_eq!(repeats(&history(&records)), (1, 0));
}

pub(crate) fn events_handled_twice_are_marked_and_few() {
    let cut = || fault(Hurt::Reset(Whose::First), 4, 5);
    breaks(all, [cut(), Record::Heard(start(4, 0))], "G4: handled twice without a word");
    breaks(all, [Record::Heard(again(4, 5))], "G4: handled twice, and nothing was lost");
    holds(all, cut_and_heard_again(WINDOW));
    breaks(all, cut_and_heard_again(WINDOW + 1), "G4: 101 events");
}

fn cut_and_heard_again(times: usize) -> Vec<Record> {
    let again = std::iter::repeat_n(Record::Heard(again(4, 5)), times);
    std::iter::once(fault(Hurt::Reset(Whose::First), 4, 5)).chain(again).collect()
}

pub(crate) fn what_one_sender_sends_to_one_server_starts_in_its_order() {
    let cast = |number: u32, sequence: u32| {
        [
            Record::Ended(Ended { place: Some((9, sequence)), ..ended(number, Kind::Cast) }),
            Record::Ran(start(number, 0)),
        ]
    };
    let over = Record::Over(Over { at: secs(60), attempted: 9 });
    let sent = |one: u32, other: u32| cast(7, one).into_iter().chain(cast(8, other)).chain([over.clone()]);
    holds(all, sent(0, 1));
    breaks(all, sent(1, 0), "G9");
    holds(all, std::iter::once(fault(Hurt::Freeze, 7, 8)).chain(sent(1, 0)));
}

pub(crate) fn what_does_not_work_again_soon_is_told() {
    holds(all, [fault(Hurt::Alarm, 10, 40)]);
    breaks(all, [fault(Hurt::Alarm, 10, 41)], "G8: after memory alarm at 10s it works again after 31s");
    let never = Fault { hurt: Hurt::Kill, begun: secs(10), over: secs(11), closed: secs(12), recovered: false };
    breaks(all, [Record::Fault(never)], "G8: after kill -9 at 10s it does not work again");
}
