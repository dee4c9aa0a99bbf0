use super::*;
use crate::programs::delivery::Publish;
use crate::programs::delivery::event::{Got, Polled};
use crate::programs::delivery::program::Settlement;

/// Writes events of a driver with every capability into a ledger, and counts messages and tokens.
struct Script {
    ledger: Ledger,
    published: usize,
    tokens: usize,
}

/// `RedeliveredFlag`, `Retention` and `Confirms` are not among them: the ledger does not ask for them.
const ALL: [Capability; 7] = [
    Capability::ServerAddress,
    Capability::Fanout,
    Capability::Mandatory,
    Capability::Expiration,
    Capability::Requeue,
    Capability::EnsureQueue,
    Capability::Pools,
];

impl Script {
    /// Reader 0 reads a queue, reader 1 an inbox, reader 2 a server that is settled before handover, reader 3 the queue
    /// of the first with a window of 1, reader 4 a queue whose name is too long; the first three are open.
    fn new(capabilities: &[Capability]) -> Self {
        let program = Program::new()
            .reader(Reader::queue("q"))
            .reader(Reader::inbox())
            .reader(Reader::server("x", "t", "a").before_handover())
            .reader(Reader::queue("q").window(1))
            .reader(Reader::queue("q").long_name(300));
        let ledger = Ledger::new(&program, capabilities.iter().copied().collect());
        let mut script = Self { ledger, published: 0, tokens: 0 };
        (0..3).for_each(|reader| script.open(reader));
        script
    }

    /// The driver reports success.
    fn open(&mut self, reader: usize) {
        self.ledger.note(&Event::Opened { reader, outcome: Outcome::Done });
    }

    /// Numbers count up from 0; the number is returned.
    fn publish(&mut self, publish: Publish, outcome: Outcome) -> usize {
        let number = self.published;
        self.published += 1;
        self.ledger.note(&Event::Published { number, publish, outcome });
        number
    }

    /// Puts a message into the queue `q`, which reader 0 reads.
    fn enqueue(&mut self) -> usize {
        self.publish(Publish::queue("q"), Outcome::Done)
    }

    /// A poll for one message returns it unchanged. Returns its token.
    fn got(&mut self, reader: usize, number: usize, redelivered: bool) -> usize {
        let token = self.tokens;
        self.tokens += 1;
        let got = Got { number: Some(number), redelivered, intact: true, token };
        self.ledger.note(&Event::Polled { reader, max: 1, polled: Polled::Messages(vec![got]) });
        token
    }

    /// Reports what the driver answered, which need not be right.
    fn settle(&mut self, token: usize, settlement: Settlement, outcome: Outcome) {
        self.ledger.note(&Event::Settled { token, settlement, outcome });
    }

    /// Every connection is restored.
    fn cut(&mut self) {
        self.ledger.note(&Event::Cut { outcome: Ok(()) });
    }

    /// The driver reports success.
    fn close(&mut self, reader: usize) {
        self.ledger.note(&Event::Closed { reader, outcome: Outcome::Done });
    }
}

/// The rules in the order in which the ledger found them, with those of its end last.
fn broken_by(capabilities: &[Capability], write: impl Fn(&mut Script)) -> Vec<&'static Rule> {
    let mut script = Script::new(capabilities);
    write(&mut script);
    script.ledger.close().into_iter().map(|violation| violation.rule).collect()
}

/// Fails also if other rules are broken, so each test isolates one rule.
fn broken(rule: &'static Rule, write: fn(&mut Script)) {
    assert_eq!(broken_by(&ALL, write), [rule], "{}", rule.id);
}

/// A tour of everything that is allowed, with a close in the middle.
#[test]
fn settling_requeueing_and_reading_in_order_breaks_nothing() {
    let rules = broken_by(&ALL, |script| {
        let (first, second) = (script.enqueue(), script.enqueue());
        let held = script.got(0, first, false);
        script.settle(held, Settlement::Requeue, Outcome::Done);
        let held = script.got(0, first, true);
        script.settle(held, Settlement::Acknowledge, Outcome::Done);
        let held = script.got(0, second, false);
        script.close(0);
        script.settle(held, Settlement::Acknowledge, Outcome::Closed);
        script.open(3);
        let held = script.got(3, second, true);
        script.settle(held, Settlement::Reject, Outcome::Done);
        let fanout = script.publish(Publish::fanout("t"), Outcome::Done);
        script.got(2, fanout, false);
        script.publish(Publish::topic("y", "t").mandatory(), Outcome::Undeliverable);
        script.close(1);
        script.publish(Publish::inbox(1).mandatory(), Outcome::Undeliverable);
    });
    assert_eq!(rules, [] as [&Rule; 0]);
}

/// The last part uses a driver without any capability, which must refuse a fanout.
#[test]
fn every_rule_of_publishing_can_be_broken() {
    broken(&rules::PUBLISHED, |script| {
        script.publish(Publish::queue("q").too_late(), Outcome::Undeliverable);
    });
    broken(&rules::PUBLISHED, |script| {
        script.publish(Publish::topic("x", "v"), Outcome::TimedOut);
    });
    broken(&rules::RETURNED, |script| {
        script.publish(Publish::topic("x", "v").mandatory(), Outcome::Done);
    });
    broken(&rules::RETURNED, |script| {
        script.publish(Publish::inbox(1).mandatory(), Outcome::Undeliverable);
    });
    broken(&rules::OPENED, |script| {
        script.ledger.note(&Event::Opened { reader: 3, outcome: Outcome::Other("why".to_owned()) });
    });
    let rules = broken_by(&[], |script| {
        script.publish(Publish::fanout("t"), Outcome::Done);
    });
    assert_eq!(rules, [&rules::REFUSED]);
}

/// Each history has one fault: a wrong queue, content, mark, order, count, window, end or age.
#[test]
fn every_rule_of_reading_can_be_broken() {
    broken(&rules::ADDRESSED, |script| {
        let number = script.publish(Publish::topic("x", "v"), Outcome::Done);
        script.got(0, number, false);
    });
    broken(&rules::UNCHANGED, |script| {
        let got = Got { number: Some(script.enqueue()), redelivered: false, intact: false, token: 0 };
        script.ledger.note(&Event::Polled { reader: 0, max: 1, polled: Polled::Messages(vec![got]) });
    });
    broken(&rules::FRESH, |script| {
        let number = script.enqueue();
        script.got(0, number, true);
    });
    broken(&rules::LOST, |script| {
        script.enqueue();
    });
    broken(&rules::ORDER, |script| {
        let (first, second) = (script.enqueue(), script.enqueue());
        script.got(0, second, false);
        script.got(0, first, false);
    });
    broken(&rules::AT_MOST, |script| {
        script.ledger.note(&Event::Polled { reader: 0, max: 1, polled: Polled::Messages(Vec::new()) });
    });
    broken(&rules::WINDOW, |script| {
        script.open(3);
        let (first, second) = (script.enqueue(), script.enqueue());
        script.got(3, first, false);
        script.got(3, second, false);
    });
    broken(&rules::ENDED, |script| script.ledger.note(&Event::Polled { reader: 0, max: 1, polled: Polled::End }));
    broken(&rules::ENDED_WITH, |script| {
        script.ledger.note(&Event::HungUp { reader: 0, polled: Polled::Nothing });
    });
    broken(&rules::EXPIRED, |script| {
        script.close(0);
        let number = script.publish(Publish::queue("q").short_lived(), Outcome::Done);
        script.ledger.note(&Event::Waited);
        script.open(0);
        script.got(0, number, false);
    });
}

/// Both a broker with a limit and one without must pass; one that cuts the name must not.
#[test]
fn a_long_name_is_refused_or_names_another_queue() {
    let too_large =
        |script: &mut Script, length| script.publish(Publish::queue("q").long_name(length), Outcome::TooLarge);
    let refused = broken_by(&ALL, |script| {
        too_large(script, 256);
        script.ledger.note(&Event::Opened { reader: 4, outcome: Outcome::TooLarge });
    });
    assert_eq!(refused, [] as [&Rule; 0]);
    let taken = broken_by(&ALL, |script| {
        let number = script.publish(Publish::queue("q").long_name(300), Outcome::Done);
        script.open(4);
        script.got(4, number, false);
    });
    assert_eq!(taken, [] as [&Rule; 0]);
    broken(&rules::LONG_NAMES, |script| {
        script.publish(Publish::queue("q").long_name(255), Outcome::TooLarge);
    });
    broken(&rules::LONG_NAMES, |script| {
        script.publish(Publish::queue("q").long_name(300), Outcome::TimedOut);
    });
    let cut = broken_by(&ALL, |script| {
        let number = script.publish(Publish::queue("q").long_name(256), Outcome::Done);
        script.open(4);
        script.got(4, number, false);
    });
    assert_eq!(cut, [&rules::LONG_NAMES, &rules::LOST]);
}

/// The second history settles with success and hands over again without a mark, so it breaks two rules.
#[test]
fn messages_of_a_closed_transport_are_redelivered_and_cannot_be_settled() {
    let hang_up = |script: &mut Script| {
        script.ledger.note(&Event::HungUp { reader: 0, polled: Polled::Failed(Outcome::Closed) });
        script.open(3);
    };
    let rules = broken_by(&ALL, |script| {
        let number = script.enqueue();
        let held = script.got(0, number, false);
        hang_up(script);
        script.settle(held, Settlement::Acknowledge, Outcome::Disconnected);
        let held = script.got(3, number, true);
        script.settle(held, Settlement::Acknowledge, Outcome::Done);
    });
    assert_eq!(rules, [] as [&Rule; 0]);
    let rules = broken_by(&ALL, |script| {
        let number = script.enqueue();
        let held = script.got(0, number, false);
        hang_up(script);
        script.settle(held, Settlement::Acknowledge, Outcome::Done);
        script.got(3, number, false);
    });
    assert_eq!(rules, [&rules::SETTLED, &rules::MARKED]);
}

/// No bus confirms an acknowledgement, so the one just before the cut may be lost.
#[test]
fn a_cut_requeues_unsettled_messages_and_perhaps_recently_settled_ones() {
    let rules = broken_by(&ALL, |script| {
        let [lately, held] = [script.enqueue(), script.enqueue()];
        let settled = script.got(0, lately, false);
        script.settle(settled, Settlement::Acknowledge, Outcome::Done);
        let in_hand = script.got(0, held, false);
        script.cut();
        script.settle(in_hand, Settlement::Acknowledge, Outcome::Disconnected);
        for number in [held, lately] {
            let again = script.got(0, number, true);
            script.settle(again, Settlement::Acknowledge, Outcome::Done);
        }
    });
    assert_eq!(rules, [] as [&Rule; 0]);
}

/// In the last part time passes before the cut, so the acknowledgement has reached the bus.
#[test]
fn every_rule_of_a_cut_can_be_broken() {
    broken(&rules::BACK, |script| script.ledger.note(&Event::Cut { outcome: Err("it is lost".to_owned()) }));
    broken(&rules::LOST, |script| {
        let number = script.enqueue();
        script.got(0, number, false);
        script.cut();
    });
    broken(&rules::MARKED, |script| {
        let number = script.enqueue();
        script.got(0, number, false);
        script.cut();
        script.got(0, number, false);
    });
    broken(&rules::SETTLED, |script| {
        let number = script.enqueue();
        let held = script.got(0, number, false);
        script.cut();
        script.settle(held, Settlement::Acknowledge, Outcome::Done);
        script.got(0, number, true);
    });
    broken(&rules::GONE, |script| {
        let number = script.enqueue();
        let held = script.got(0, number, false);
        script.settle(held, Settlement::Acknowledge, Outcome::Done);
        script.ledger.note(&Event::Waited);
        script.cut();
        script.got(0, number, true);
    });
}

/// Its private queue may or may not exist afterwards, so a mandatory publish may end in two ways.
#[test]
fn only_a_listener_stopped_before_a_cut_closes_without_a_connection() {
    let closed = |script: &mut Script| script.ledger.note(&Event::Closed { reader: 1, outcome: Outcome::Disconnected });
    let stop = |script: &mut Script| script.ledger.note(&Event::Stopped { reader: 1, outcome: Outcome::Done });
    let rules = broken_by(&ALL, |script| {
        stop(script);
        script.cut();
        closed(script);
        // The queue is there, or it is not.
        script.publish(Publish::inbox(1).mandatory(), Outcome::Done);
        script.publish(Publish::inbox(1).mandatory(), Outcome::Undeliverable);
    });
    assert_eq!(rules, [] as [&Rule; 0]);
    broken(&rules::CLOSED, |script| {
        script.cut();
        script.ledger.note(&Event::Closed { reader: 1, outcome: Outcome::Disconnected });
    });
}

/// One second delivery is forgiven; the third is not.
#[test]
fn only_a_cancelled_poll_may_have_settled_what_a_cut_redelivers() {
    let twice = |script: &mut Script, given_up: bool| {
        let number = script.publish(Publish::topic("x", "t"), Outcome::Done);
        if given_up {
            script.ledger.note(&Event::Polled { reader: 2, max: 1, polled: Polled::Nothing });
        }
        script.cut();
        script.got(2, number, false);
        script.got(2, number, true);
    };
    assert_eq!(broken_by(&ALL, |script| twice(script, true)), [] as [&Rule; 0]);
    assert_eq!(broken_by(&ALL, |script| twice(script, false)), [&rules::GONE]);
    broken(&rules::GONE, |script| {
        // The poll was cancelled before the message arrived, so it cannot have settled it.
        script.ledger.note(&Event::Polled { reader: 2, max: 1, polled: Polled::Nothing });
        let number = script.publish(Publish::topic("x", "t"), Outcome::Done);
        script.cut();
        script.got(2, number, false);
        script.got(2, number, true);
    });
    broken(&rules::GONE, |script| {
        let number = script.publish(Publish::topic("x", "t"), Outcome::Done);
        script.ledger.note(&Event::Polled { reader: 2, max: 1, polled: Polled::Nothing });
        script.cut();
        script.got(2, number, false);
        script.got(2, number, true);
        script.got(2, number, true);
    });
}

/// Includes a second delivery of a message that was settled before handover.
#[test]
fn every_rule_of_settling_can_be_broken() {
    broken(&rules::GONE, |script| {
        let number = script.enqueue();
        let held = script.got(0, number, false);
        script.settle(held, Settlement::Acknowledge, Outcome::Done);
        script.got(0, number, true);
    });
    broken(&rules::GONE, |script| {
        let number = script.publish(Publish::topic("x", "t"), Outcome::Done);
        script.got(2, number, false);
        script.got(2, number, true);
    });
    broken(&rules::ONE_HAND, |script| {
        script.open(3);
        let number = script.enqueue();
        script.got(0, number, false);
        script.got(3, number, true);
    });
    broken(&rules::MARKED, |script| {
        let number = script.enqueue();
        let held = script.got(0, number, false);
        script.settle(held, Settlement::Drop, Outcome::Done);
        script.got(0, number, false);
    });
    broken(&rules::SETTLED, |script| {
        let number = script.enqueue();
        let held = script.got(0, number, false);
        script.settle(held, Settlement::Acknowledge, Outcome::Closed);
    });
    broken(&rules::CLOSED, |script| script.ledger.note(&Event::Closed { reader: 0, outcome: Outcome::TimedOut }));
}
