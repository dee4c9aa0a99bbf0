//! Generates programs of delivery. Steps that are not possible are removed, so that
//! every program, also a shrunk one, can be played.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::ledger::Phase;
use super::program::{Program, Reader, Reads, Settlement, Step};
use super::publish::{Life, Publish, To};

/// Few names of each kind, so that readers and publishes often meet.
const EXCHANGES: [&str; 2] = ["x", "y"];
const TOPICS: [&str; 2] = ["t", "u"];
/// Server names; a server is scoped by its topic.
const NAMES: [&str; 2] = ["a", "b"];
/// Topics of notifications, which no server reads.
const EVENTS: [&str; 2] = ["n", "o"];
const PRIORITIES: [&str; 2] = ["info", "error"];
/// Names of durable queues, like those of dead letters.
const QUEUES: [&str; 2] = ["q.dead", "r.dead"];
/// Two pools, so that readers both share a copy of a notification and get copies of their own.
const POOLS: [&str; 2] = ["p", "s"];
/// The lengths of padded queue names, in bytes: the longest allowed, and longer ones with the same beginning.
const LENGTHS: [usize; 3] = [255, 256, 300];
/// Header values in bytes: longer than a short string, and longer than any other header of the tests.
const HEADERS: [usize; 2] = [256, 5_000];
/// A body in bytes that takes several AMQP frames.
const BODY: usize = 600_000;

/// Programs of at most five readers and some thirty steps, in which connections are lost if there are `cuts`.
/// A reader is open from the start with a probability of 0.6; with `cuts`, one step in 41 is a cut.
pub(crate) fn programs(cuts: bool) -> impl Strategy<Value = Program> {
    let readers = vec((reader(), prop::bool::weighted(0.6)), 1..=5);
    readers.prop_flat_map(move |readers| {
        let step = step(readers.iter().map(|(reader, _)| reader.clone()).collect());
        let steps =
            vec(if cuts { prop_oneof![40 => step, 1 => Just(Step::Cut)].boxed() } else { step.boxed() }, 1..=30);
        (Just(readers), steps).prop_map(|(readers, steps)| playable(readers, steps))
    })
}

/// Any of `names`, with the same probability.
fn one_of(names: &'static [&'static str]) -> impl Strategy<Value = String> {
    (0..names.len()).prop_map(|name| names[name].to_owned())
}

/// A reader of any source, on one of two transports.
/// Two in five settle before handover, and two in five have a window of one to three messages.
fn reader() -> impl Strategy<Value = Reader> {
    let server = (one_of(&EXCHANGES), one_of(&TOPICS), one_of(&NAMES));
    let events = vec((0..EVENTS.len(), 0..PRIORITIES.len()), 1..=2);
    let notifications = (one_of(&EXCHANGES), events, 0..4_usize).prop_map(|(exchange, mut events, whose)| {
        events.sort_unstable();
        events.dedup();
        let events: Vec<_> =
            events.into_iter().map(|(topic, priority)| (EVENTS[topic], PRIORITIES[priority])).collect();
        let reader = Reader::notifications(&exchange, &events);
        match whose {
            0 => reader.private(),
            1 => reader.pool(POOLS[0]),
            2 => reader.pool(POOLS[1]),
            _ => reader,
        }
    });
    let reader = prop_oneof![
        4 => server.prop_map(|(exchange, topic, name)| Reader::server(&exchange, &topic, &name)),
        2 => Just(Reader::inbox()),
        4 => notifications,
        1 => (one_of(&QUEUES), option::weighted(0.3, 0..LENGTHS.len())).prop_map(|(name, length)| {
            length.into_iter().fold(Reader::queue(&name), |reader, length| reader.long_name(LENGTHS[length]))
        }),
    ];
    let window = prop_oneof![3 => Just(100_u16), 2 => 1..4_u16];
    (reader, 0..2_usize, prop::bool::weighted(0.4), window).prop_map(|(reader, transport, before_handover, window)| {
        Reader { transport, before_handover, window, ..reader }
    })
}

/// A step of any kind, possible or not.
/// Publishes, polls and settlements are the most frequent.
fn step(readers: Vec<Reader>) -> impl Strategy<Value = Step> {
    let at = 0..readers.len();
    let settlement = prop_oneof![
        4 => Just(Settlement::Acknowledge), 3 => Just(Settlement::Requeue), 1 => Just(Settlement::Reject), 2 => Just(Settlement::Drop)
    ];
    let count = prop_oneof![2 => Just(1_usize), 1 => 2..7_usize];
    prop_oneof![
        8 => (count, publish(readers)).prop_map(|(count, publish)| Step::Publish { count, publish }),
        6 => (at.clone(), 1..6_usize).prop_map(|(reader, max)| Step::Poll { reader, max }),
        2 => (at.clone(), 1..6_usize).prop_map(|(reader, max)| Step::Glance { reader, max }),
        6 => (at.clone(), 0..4_usize, settlement)
            .prop_map(|(reader, which, settlement)| Step::Settle { reader, which, settlement }),
        2 => at.clone().prop_map(|reader| Step::Open { reader }),
        1 => at.clone().prop_map(|reader| Step::Stop { reader }),
        1 => at.clone().prop_map(|reader| Step::Close { reader }),
        1 => at.prop_map(|reader| Step::Forget { reader }),
        1 => Just(Step::Wait),
        1 => (0..2_usize).prop_map(|transport| Step::HangUp { transport }),
    ]
}

/// Publishes that mostly reach one of `readers`.
/// A publish with a passed deadline has no other option, because it must fail whatever they say.
/// A fanout is never mandatory.
fn publish(readers: Vec<Reader>) -> impl Strategy<Value = Publish> {
    let life = prop_oneof![6 => Just(Life::Endless), 1 => Just(Life::Long), 1 => Just(Life::Short)];
    let manner = (0..2_usize, prop::bool::weighted(0.3), prop::bool::weighted(0.3), life, prop::bool::weighted(0.03));
    let long = (option::weighted(0.03, 0..HEADERS.len()), option::weighted(0.004, Just(BODY)));
    (0..readers.len(), any::<prop::sample::Index>(), to(), prop::bool::weighted(0.15), manner, long).prop_map(
        move |(reader, index, stray, strays, (transport, mandatory, ensure_queue, life, too_late), (header, body))| {
            let to = if strays { stray } else { aimed(reader, &readers[reader].reads, index) };
            let ensure_queue = ensure_queue && matches!(to, To::Notification { .. });
            if too_late {
                return Publish { transport, ..Publish::to(to) }.too_late();
            }
            let mandatory = mandatory && !matches!(to, To::Fanout { .. });
            let header = header.map(|header| HEADERS[header]);
            Publish { transport, mandatory, ensure_queue, life, header, body, ..Publish::to(to) }
        },
    )
}

/// An address that reaches `reads`.
/// Three in five publishes to a server use its topic; its name and the fanout take one in five each.
fn aimed(reader: usize, reads: &Reads, index: prop::sample::Index) -> To {
    match reads {
        Reads::Server { exchange, topic, name } => match index.index(5) {
            0 => To::Server { exchange: exchange.clone(), topic: topic.clone(), name: name.clone() },
            1 => To::Fanout { topic: topic.clone() },
            _ => To::Topic { exchange: exchange.clone(), topic: topic.clone() },
        },
        Reads::Inbox => To::Inbox { reader },
        // The queue itself, or one with the same beginning of its name.
        Reads::Queue { name, bytes } => {
            To::Queue { name: name.clone(), bytes: bytes.map(|_| LENGTHS[index.index(LENGTHS.len())]) }
        }
        Reads::Notifications { exchange, events, .. } => {
            let (topic, priority) = events[index.index(events.len())].clone();
            To::Notification { exchange: exchange.clone(), topic, priority }
        }
    }
}

/// An address that may have no reader.
fn to() -> impl Strategy<Value = To> {
    let topic = (one_of(&EXCHANGES), one_of(&TOPICS)).prop_map(|(exchange, topic)| To::Topic { exchange, topic });
    let server = (one_of(&EXCHANGES), one_of(&TOPICS), one_of(&NAMES)).prop_map(|(exchange, topic, name)| To::Server {
        exchange,
        topic,
        name,
    });
    let notification = (one_of(&EXCHANGES), one_of(&EVENTS), one_of(&PRIORITIES))
        .prop_map(|(exchange, topic, priority)| To::Notification { exchange, topic, priority });
    let fanout = one_of(&TOPICS).prop_map(|topic| To::Fanout { topic });
    prop_oneof![topic, server, notification, fanout, one_of(&QUEUES).prop_map(|name| To::Queue { name, bytes: None })]
}

/// Builds a program in which only open readers are polled, stopped and closed, and only closed ones opened.
/// A step that is not possible is left out; the steps after it are judged as if it had not been there.
fn playable(readers: Vec<(Reader, bool)>, steps: Vec<Step>) -> Program {
    let mut phases: Vec<Phase> =
        readers.iter().map(|(_, first)| if *first { Phase::Open } else { Phase::Shut }).collect();
    let mut program = Program { readers: readers.into_iter().map(|(reader, _)| reader).collect(), steps: Vec::new() };
    let first = (0..phases.len()).filter(|reader| phases[*reader] == Phase::Open);
    program.steps.extend(first.map(|reader| Step::Open { reader }));
    for step in steps {
        if step.may(&program.readers, &mut phases) {
            program.steps.push(step);
        }
    }
    program
}
