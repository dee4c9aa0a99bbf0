//! Generates programs of notifications. Steps that are not possible are removed, so that
//! every program, also a shrunk one, can be played.

use oslo_messaging::Priority;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, subsequence};

use super::Event;
use super::program::{Act, Listener, Program, Reads, Step};
use crate::Disturbance;
use crate::programs::Perils;
use crate::programs::acts::{self, Turns};

/// Few names of each kind, so that listeners and events often meet.
const EXCHANGES: [&str; 2] = ["x", "y"];
const TOPICS: [&str; 2] = ["t", "u"];
const POOLS: [&str; 2] = ["p", "q"];
const TYPES: [&str; 3] = ["order.made", "order.sold", "orders"];
const PATTERNS: [&str; 2] = ["order.*", "order.made"];
const PUBLISHERS: [&str; 2] = ["shop", "bank"];

/// Programs of at most four listeners and four acts, in which those of `perils` happen.
pub(crate) fn programs(perils: Perils) -> impl Strategy<Value = Program> {
    let listeners = vec((listener(), prop::bool::weighted(0.7)), 1..=4);
    (listeners, limit(perils.limits)).prop_flat_map(move |(listeners, limit)| {
        let step = step(listeners.iter().map(|(listener, _)| listener.clone()).collect(), limit.is_some());
        let steps =
            vec(if perils.cuts { prop_oneof![12 => step, 1 => acts::cut()].boxed() } else { step.boxed() }, 1..=5);
        let acts = vec((steps, any::<bool>()), 1..=3);
        (Just(listeners), acts).prop_map(move |(listeners, acts)| Program { limit, ..playable(listeners, acts) })
    })
}

/// Mostly no limit; one of the two kinds otherwise, if limits are `possible`.
fn limit(possible: bool) -> impl Strategy<Value = Option<Disturbance>> {
    let limits = u32::from(possible);
    prop_oneof![
        4 => Just(None),
        limits => Just(Some(Disturbance::Limit)),
        limits => Just(Some(Disturbance::LimitFailures)),
    ]
}

/// Mostly the first exchange, so that most events reach a listener.
fn exchange() -> impl Strategy<Value = &'static str> {
    prop_oneof![4 => Just(EXCHANGES[0]), 1 => Just(EXCHANGES[1])]
}

/// Few priorities, so that listeners often share one.
fn priorities() -> impl Strategy<Value = Vec<Priority>> {
    let few = subsequence(vec![Priority::Info, Priority::Error], 1..=2);
    prop_oneof![5 => few, 1 => subsequence(Priority::ALL.to_vec(), 1..=7)]
}

/// A listener with at least one topic and priority. Most are in a pool or
/// share the default queue; one in nine is a tap.
fn listener() -> impl Strategy<Value = Listener> {
    let from = (exchange(), subsequence(TOPICS.to_vec(), 1..=2), priorities());
    let reads = prop_oneof![
        4 => Just(Reads::Shared),
        4 => (0..POOLS.len()).prop_map(|pool| Reads::Pool(POOLS[pool].to_owned())),
        1 => Just(Reads::Private),
    ];
    let wants = (option::weighted(0.2, 0..PATTERNS.len()), option::weighted(0.15, 0..PUBLISHERS.len()));
    let concurrency = prop_oneof![3 => Just(50_usize), 1 => Just(1), 1 => Just(2)];
    let tries = prop_oneof![3 => Just(5_u32), 1 => 1..5_u32];
    let manner = (option::weighted(0.35, 2..6_usize), concurrency, tries, prop::bool::weighted(0.1));
    (from, reads, wants, manner).prop_map(
        |((exchange, topics, priorities), reads, (pattern, publisher), (batch, concurrency, tries, drops))| {
            let listener = Listener::new(exchange, topics[0], priorities[0]);
            Listener {
                topics: topics.into_iter().map(str::to_owned).collect(),
                priorities,
                reads,
                types: pattern.map_or(listener.types, |pattern| PATTERNS[pattern].to_owned()),
                publisher: publisher.map(|publisher| PUBLISHERS[publisher].to_owned()),
                batch,
                concurrency,
                tries,
                drops,
                ..listener
            }
        },
    )
}

/// Mostly events; starts, stops and kills of any listener, possible or not.
fn step(listeners: Vec<Listener>, limited: bool) -> impl Strategy<Value = Step> {
    let count = listeners.len();
    prop_oneof![
        12 => (0..3_usize, event(listeners, limited)).prop_map(|(notifier, event)| Step::Send { sender: notifier, message: event }),
        2 => (0..count).prop_map(|listener| Step::Start { actor: listener }),
        2 => (0..count).prop_map(|listener| Step::Stop { actor: listener }),
        1 => (0..count).prop_map(|listener| Step::Kill { actor: listener }),
    ]
}

/// Events that mostly match one of `listeners`, some with one attribute changed. Where deliveries are
/// `limited`, some are requeued beyond the limit.
fn event(listeners: Vec<Listener>, limited: bool) -> impl Strategy<Value = Event> {
    let meant = (0..listeners.len(), any::<Index>(), any::<Index>());
    let odd = (option::weighted(0.15, exchange()), option::weighted(0.1, 0..Priority::ALL.len()));
    let what = (prop_oneof![4 => Just(0_usize), 1 => 1..TYPES.len()], prop::bool::weighted(0.2));
    let fate = prop_oneof![6 => Just((0, 0)), 2 => (1..3_u32).prop_map(|n| (n, 0)), 2 => (1..3_u32).prop_map(|n| (0, n)),
        1 => Just((0, 9)), 1 => Just((1, 1)), 3 * u32::from(limited) => (2..7_u32).prop_map(|n| (n, 0))];
    let manner = (prop::bool::weighted(0.2), prop::bool::weighted(0.2), prop::bool::weighted(0.15), any::<bool>());
    let times = prop_oneof![5 => Just(1_usize), 1 => 2..5_usize, 1 => 5..12_usize];
    (meant, odd, what, fate, manner, times).prop_map(
        move |(
            (listener, topic, priority),
            odd,
            what,
            (requeued, failing),
            (bare, without_queue, slow, at_once),
            times,
        )| {
            let listener = &listeners[listener];
            let exchange = odd.0.unwrap_or(&listener.exchange);
            let priority =
                odd.1.map_or(listener.priorities[priority.index(listener.priorities.len())], |odd| Priority::ALL[odd]);
            let event_type = TYPES[what.0].to_owned();
            let publisher = PUBLISHERS[usize::from(what.1)].to_owned();
            // Slow and repeated handlers take real time, one after the other.
            let times = if slow || requeued + failing > 0 { times.min(4) } else { times };
            let event = Event::new(exchange, &listener.topics[topic.index(listener.topics.len())], priority);
            Event { event_type, publisher, bare, without_queue, requeued, failing, slow, times, at_once, ..event }
        },
    )
}

/// Builds a program in which listeners start and end in turn, at most once in an act.
fn playable(listeners: Vec<(Listener, bool)>, acts: Vec<(Vec<Step>, bool)>) -> Program {
    let (listeners, first): (Vec<_>, Vec<_>) = listeners.into_iter().unzip();
    let mut turns = Turns::new((0..listeners.len()).filter(|listener| first[*listener]).collect());
    let opening: Vec<Step> = turns.up.iter().map(|listener| Step::Start { actor: *listener }).collect();
    let mut program = Program { listeners, ..Program::default() };
    if !opening.is_empty() {
        program.acts.push(Act { steps: opening, settle: false });
    }
    for (steps, settle) in acts {
        turns.next_act();
        program.acts.push(Act { steps: steps.into_iter().filter(|step| turns.take(step)).collect(), settle });
    }
    program
}
