use super::*;
use crate::programs::delivery::Publish;
use crate::programs::delivery::event::{Got, Polled};
use crate::programs::delivery::program::Settlement;

/// A ledger that is told by hand of a driver that can do everything, and which messages are in hand.
struct Told {
    ledger: Ledger,
    published: usize,
    tokens: usize,
}

const ALL: [Capability; 7] = [
    Capability::ServerAddress,
    Capability::Fanout,
    Capability::Mandatory,
    Capability::Expiration,
    Capability::Requeue,
    Capability::EnsureQueue,
    Capability::Pools,
];

impl Told {
    /// Reader 0 reads a queue, reader 1 an inbox, reader 2 a server that is settled before handover, reader 3 the queue
    /// of the first with a window of 1, reader 4 one whose name is longer than may be; all but these two are open.
    fn new(capabilities: &[Capability]) -> Self {
        let program = Program::new()
            .reader(Reader::queue("q"))
            .reader(Reader::inbox())
            .reader(Reader::server("x", "t", "a").before_handover())
            .reader(Reader::queue("q").window(1))
            .reader(Reader::queue("q").long_name(300));
        let ledger = Ledger::new(&program, capabilities.iter().copied().collect());
        let mut told = Self { ledger, published: 0, tokens: 0 };
        (0..3).for_each(|reader| told.open(reader));
        told
    }

    fn open(&mut self, reader: usize) {
        self.ledger.note(&Event::Opened { reader, outcome: Outcome::Done });
    }

    fn publish(&mut self, publish: Publish, outcome: Outcome) -> usize {
        let number = self.published;
        self.published += 1;
        self.ledger.note(&Event::Published { number, publish, outcome });
        number
    }

    fn enqueue(&mut self) -> usize {
        self.publish(Publish::queue("q"), Outcome::Done)
    }

    fn got(&mut self, reader: usize, number: usize, redelivered: bool) -> usize {
        let token = self.tokens;
        self.tokens += 1;
        let got = Got { number: Some(number), redelivered, intact: true, token };
        self.ledger.note(&Event::Polled { reader, max: 1, polled: Polled::Messages(vec![got]) });
        token
    }

    fn settle(&mut self, token: usize, settlement: Settlement, outcome: Outcome) {
        self.ledger.note(&Event::Settled { token, settlement, outcome });
    }

    fn cut(&mut self) {
        self.ledger.note(&Event::Cut { outcome: Ok(()) });
    }

    fn close(&mut self, reader: usize) {
        self.ledger.note(&Event::Closed { reader, outcome: Outcome::Done });
    }
}

fn broken_by(capabilities: &[Capability], tell: impl Fn(&mut Told)) -> Vec<&'static Rule> {
    let mut told = Told::new(capabilities);
    tell(&mut told);
    told.ledger.close().into_iter().map(|violation| violation.rule).collect()
}

fn broken(rule: &'static Rule, tell: fn(&mut Told)) {
    assert_eq!(broken_by(&ALL, tell), [rule], "{}", rule.id);
}

#[test]
fn what_is_settled_given_back_and_read_in_order_breaks_nothing() {
    let rules = broken_by(&ALL, |told| {
        let (first, second) = (told.enqueue(), told.enqueue());
        let held = told.got(0, first, false);
        told.settle(held, Settlement::Requeue, Outcome::Done);
        let held = told.got(0, first, true);
        told.settle(held, Settlement::Acknowledge, Outcome::Done);
        let held = told.got(0, second, false);
        told.close(0);
        told.settle(held, Settlement::Acknowledge, Outcome::Closed);
        told.open(3);
        let held = told.got(3, second, true);
        told.settle(held, Settlement::Reject, Outcome::Done);
        let fanout = told.publish(Publish::fanout("t"), Outcome::Done);
        told.got(2, fanout, false);
        told.publish(Publish::topic("y", "t").mandatory(), Outcome::Undeliverable);
        told.close(1);
        told.publish(Publish::inbox(1).mandatory(), Outcome::Undeliverable);
    });
    assert_eq!(rules, [] as [&Rule; 0]);
}

#[test]
fn every_rule_of_publishing_is_broken_by_what_breaks_it() {
    broken(&rules::PUBLISHED, |told| {
        told.publish(Publish::queue("q").too_late(), Outcome::Undeliverable);
    });
    broken(&rules::PUBLISHED, |told| {
        told.publish(Publish::topic("x", "v"), Outcome::TimedOut);
    });
    broken(&rules::RETURNED, |told| {
        told.publish(Publish::topic("x", "v").mandatory(), Outcome::Done);
    });
    broken(&rules::RETURNED, |told| {
        told.publish(Publish::inbox(1).mandatory(), Outcome::Undeliverable);
    });
    broken(&rules::OPENED, |told| {
        told.ledger.note(&Event::Opened { reader: 3, outcome: Outcome::Other("why".to_owned()) });
    });
    let rules = broken_by(&[], |told| {
        told.publish(Publish::fanout("t"), Outcome::Done);
    });
    assert_eq!(rules, [&rules::REFUSED]);
}

#[test]
fn every_rule_of_reading_is_broken_by_what_breaks_it() {
    broken(&rules::ADDRESSED, |told| {
        let number = told.publish(Publish::topic("x", "v"), Outcome::Done);
        told.got(0, number, false);
    });
    broken(&rules::UNCHANGED, |told| {
        let got = Got { number: Some(told.enqueue()), redelivered: false, intact: false, token: 0 };
        told.ledger.note(&Event::Polled { reader: 0, max: 1, polled: Polled::Messages(vec![got]) });
    });
    broken(&rules::FRESH, |told| {
        let number = told.enqueue();
        told.got(0, number, true);
    });
    broken(&rules::LOST, |told| {
        told.enqueue();
    });
    broken(&rules::ORDER, |told| {
        let (first, second) = (told.enqueue(), told.enqueue());
        told.got(0, second, false);
        told.got(0, first, false);
    });
    broken(&rules::AT_MOST, |told| {
        told.ledger.note(&Event::Polled { reader: 0, max: 1, polled: Polled::Messages(Vec::new()) });
    });
    broken(&rules::WINDOW, |told| {
        told.open(3);
        let (first, second) = (told.enqueue(), told.enqueue());
        told.got(3, first, false);
        told.got(3, second, false);
    });
    broken(&rules::ENDED, |told| told.ledger.note(&Event::Polled { reader: 0, max: 1, polled: Polled::End }));
    broken(&rules::ENDED_WITH, |told| {
        told.ledger.note(&Event::HungUp { reader: 0, polled: Polled::Nothing });
    });
    broken(&rules::EXPIRED, |told| {
        told.close(0);
        let number = told.publish(Publish::queue("q").short_lived(), Outcome::Done);
        told.ledger.note(&Event::Waited);
        told.open(0);
        told.got(0, number, false);
    });
}

#[test]
fn a_long_name_is_refused_or_that_of_another_queue() {
    let too_large = |told: &mut Told, length| told.publish(Publish::queue("q").long_name(length), Outcome::TooLarge);
    let refused = broken_by(&ALL, |told| {
        too_large(told, 256);
        told.ledger.note(&Event::Opened { reader: 4, outcome: Outcome::TooLarge });
    });
    assert_eq!(refused, [] as [&Rule; 0]);
    let taken = broken_by(&ALL, |told| {
        let number = told.publish(Publish::queue("q").long_name(300), Outcome::Done);
        told.open(4);
        told.got(4, number, false);
    });
    assert_eq!(taken, [] as [&Rule; 0]);
    broken(&rules::LONG_NAMES, |told| {
        told.publish(Publish::queue("q").long_name(255), Outcome::TooLarge);
    });
    broken(&rules::LONG_NAMES, |told| {
        told.publish(Publish::queue("q").long_name(300), Outcome::TimedOut);
    });
    let cut = broken_by(&ALL, |told| {
        let number = told.publish(Publish::queue("q").long_name(256), Outcome::Done);
        told.open(4);
        told.got(4, number, false);
    });
    assert_eq!(cut, [&rules::LONG_NAMES, &rules::LOST]);
}

#[test]
fn what_a_reader_held_when_its_transport_was_closed_comes_again_and_cannot_be_settled() {
    let hang_up = |told: &mut Told| {
        told.ledger.note(&Event::HungUp { reader: 0, polled: Polled::Failed(Outcome::Closed) });
        told.open(3);
    };
    let rules = broken_by(&ALL, |told| {
        let number = told.enqueue();
        let held = told.got(0, number, false);
        hang_up(told);
        told.settle(held, Settlement::Acknowledge, Outcome::Disconnected);
        let held = told.got(3, number, true);
        told.settle(held, Settlement::Acknowledge, Outcome::Done);
    });
    assert_eq!(rules, [] as [&Rule; 0]);
    let rules = broken_by(&ALL, |told| {
        let number = told.enqueue();
        let held = told.got(0, number, false);
        hang_up(told);
        told.settle(held, Settlement::Acknowledge, Outcome::Done);
        told.got(3, number, false);
    });
    assert_eq!(rules, [&rules::SETTLED, &rules::MARKED]);
}

#[test]
fn a_cut_gives_back_what_was_in_hand_and_perhaps_what_was_settled_lately() {
    let rules = broken_by(&ALL, |told| {
        let [lately, held] = [told.enqueue(), told.enqueue()];
        let settled = told.got(0, lately, false);
        told.settle(settled, Settlement::Acknowledge, Outcome::Done);
        let in_hand = told.got(0, held, false);
        told.cut();
        told.settle(in_hand, Settlement::Acknowledge, Outcome::Disconnected);
        for number in [held, lately] {
            let again = told.got(0, number, true);
            told.settle(again, Settlement::Acknowledge, Outcome::Done);
        }
    });
    assert_eq!(rules, [] as [&Rule; 0]);
}

#[test]
fn every_rule_of_a_cut_is_broken_by_what_breaks_it() {
    broken(&rules::BACK, |told| told.ledger.note(&Event::Cut { outcome: Err("it is lost".to_owned()) }));
    broken(&rules::LOST, |told| {
        let number = told.enqueue();
        told.got(0, number, false);
        told.cut();
    });
    broken(&rules::MARKED, |told| {
        let number = told.enqueue();
        told.got(0, number, false);
        told.cut();
        told.got(0, number, false);
    });
    broken(&rules::SETTLED, |told| {
        let number = told.enqueue();
        let held = told.got(0, number, false);
        told.cut();
        told.settle(held, Settlement::Acknowledge, Outcome::Done);
        told.got(0, number, true);
    });
    broken(&rules::GONE, |told| {
        let number = told.enqueue();
        let held = told.got(0, number, false);
        told.settle(held, Settlement::Acknowledge, Outcome::Done);
        told.ledger.note(&Event::Waited);
        told.cut();
        told.got(0, number, true);
    });
}

#[test]
fn only_who_was_stopped_before_a_cut_is_closed_without_a_connection() {
    let closed = |told: &mut Told| told.ledger.note(&Event::Closed { reader: 1, outcome: Outcome::Disconnected });
    let stop = |told: &mut Told| told.ledger.note(&Event::Stopped { reader: 1, outcome: Outcome::Done });
    let rules = broken_by(&ALL, |told| {
        stop(told);
        told.cut();
        closed(told);
        // The queue is there, or it is not.
        told.publish(Publish::inbox(1).mandatory(), Outcome::Done);
        told.publish(Publish::inbox(1).mandatory(), Outcome::Undeliverable);
    });
    assert_eq!(rules, [] as [&Rule; 0]);
    broken(&rules::CLOSED, |told| {
        told.cut();
        told.ledger.note(&Event::Closed { reader: 1, outcome: Outcome::Disconnected });
    });
}

#[test]
fn only_a_poll_that_was_given_up_may_have_settled_what_a_cut_brings_back() {
    let twice = |told: &mut Told, given_up: bool| {
        let number = told.publish(Publish::topic("x", "t"), Outcome::Done);
        if given_up {
            told.ledger.note(&Event::Polled { reader: 2, max: 1, polled: Polled::Nothing });
        }
        told.cut();
        told.got(2, number, false);
        told.got(2, number, true);
    };
    assert_eq!(broken_by(&ALL, |told| twice(told, true)), [] as [&Rule; 0]);
    assert_eq!(broken_by(&ALL, |told| twice(told, false)), [&rules::GONE]);
    broken(&rules::GONE, |told| {
        // Nobody can have settled what was not there yet.
        told.ledger.note(&Event::Polled { reader: 2, max: 1, polled: Polled::Nothing });
        let number = told.publish(Publish::topic("x", "t"), Outcome::Done);
        told.cut();
        told.got(2, number, false);
        told.got(2, number, true);
    });
    broken(&rules::GONE, |told| {
        let number = told.publish(Publish::topic("x", "t"), Outcome::Done);
        told.ledger.note(&Event::Polled { reader: 2, max: 1, polled: Polled::Nothing });
        told.cut();
        told.got(2, number, false);
        told.got(2, number, true);
        told.got(2, number, true);
    });
}

#[test]
fn every_rule_of_settling_is_broken_by_what_breaks_it() {
    broken(&rules::GONE, |told| {
        let number = told.enqueue();
        let held = told.got(0, number, false);
        told.settle(held, Settlement::Acknowledge, Outcome::Done);
        told.got(0, number, true);
    });
    broken(&rules::GONE, |told| {
        let number = told.publish(Publish::topic("x", "t"), Outcome::Done);
        told.got(2, number, false);
        told.got(2, number, true);
    });
    broken(&rules::ONE_HAND, |told| {
        told.open(3);
        let number = told.enqueue();
        told.got(0, number, false);
        told.got(3, number, true);
    });
    broken(&rules::MARKED, |told| {
        let number = told.enqueue();
        let held = told.got(0, number, false);
        told.settle(held, Settlement::Drop, Outcome::Done);
        told.got(0, number, false);
    });
    broken(&rules::SETTLED, |told| {
        let number = told.enqueue();
        let held = told.got(0, number, false);
        told.settle(held, Settlement::Acknowledge, Outcome::Closed);
    });
    broken(&rules::CLOSED, |told| told.ledger.note(&Event::Closed { reader: 0, outcome: Outcome::TimedOut }));
}
