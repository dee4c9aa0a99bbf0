//! What the machine must do, and what it must never do.
//!
//! The machine has no clock, so each test is a list of events.
//! The properties cover the orders in which a late event of an abandoned link can arrive.

use proptest::prelude::*;

use super::*;

/// A machine with one host whose first link is usable.
fn ready() -> StateMachine {
    let mut machine = StateMachine::new(1);
    machine.apply(Event::Connected(1));
    machine.apply(Event::Resubscribed(1));
    machine
}

/// A loss of the link of this generation, with the reason that the tests compare.
fn gone(generation: Generation) -> Event {
    Event::Lost(generation, "gone".into())
}

/// A failed attempt to connect. `needs_operator` stands for an error that is not transient.
fn failed(generation: Generation, needs_operator: bool) -> Event {
    Event::Failed { generation, reason: "refused".into(), needs_operator }
}

/// Publishers see the new link only in the last of these phases.
#[test]
fn a_loss_leads_over_a_pause_a_connection_and_declarations_back_to_work() {
    let mut machine = ready();
    machine.apply(gone(1));
    assert_eq!(machine.phase(), &Phase::Lost { reason: "gone".into(), backoff: Backoff::Exponential(0) });
    let back = [Event::RetryDue, Event::Connected(2), Event::Resubscribed(2)];
    let phases = [Phase::Connecting(2), Phase::Resubscribing(2), Phase::Ready(2)];
    for (event, phase) in back.into_iter().zip(phases) {
        machine.apply(event);
        assert_eq!(machine.phase(), &phase);
    }
}

/// Quick attempts are limited by the number of other hosts:
/// with a single host each loss waits, and a failed connect ends them, because the other host was tried.
#[test]
fn another_host_is_tried_at_once_and_a_link_that_is_lost_again_and_again_waits_longer() {
    let pauses = |hosts| {
        let mut machine = StateMachine::new(hosts);
        machine.apply(Event::Connected(1));
        [1, 2, 3].map(|generation| {
            machine.apply(gone(generation));
            let Phase::Lost { backoff, .. } = *machine.phase() else { panic!("{:?}", machine.phase()) };
            machine.apply(Event::RetryDue);
            machine.apply(Event::Connected(generation + 1));
            backoff
        })
    };
    assert_eq!(pauses(1), [Backoff::Exponential(0), Backoff::Exponential(1), Backoff::Exponential(2)]);
    assert_eq!(pauses(2), [Backoff::Failover, Backoff::Exponential(1), Backoff::Exponential(2)]);
    assert_eq!(pauses(3), [Backoff::Failover, Backoff::Failover, Backoff::Exponential(2)]);
    let mut machine = StateMachine::new(2);
    machine.apply(Event::Connected(1));
    machine.apply(gone(1));
    machine.apply(Event::RetryDue);
    machine.apply(failed(2, false));
    assert!(
        matches!(machine.phase(), Phase::Lost { backoff: Backoff::Exponential(1), .. }),
        "the other host was tried"
    );
}

/// A connect that succeeds does not reset the backoff; only `Stable` does.
#[test]
fn pauses_grow_until_a_link_has_lived_long_enough() {
    let mut machine = ready();
    for (generation, tries) in (1..5).zip(0..) {
        machine.apply(gone(generation));
        assert!(matches!(machine.phase(), Phase::Lost { backoff, .. } if *backoff == Backoff::Exponential(tries)));
        machine.apply(Event::RetryDue);
        machine.apply(Event::Connected(generation + 1));
    }
    machine.apply(Event::Stable(5));
    machine.apply(gone(5));
    assert!(matches!(machine.phase(), Phase::Lost { backoff: Backoff::Exponential(0), .. }));
}

/// A loss before it does not count towards these waits.
#[test]
fn what_an_operator_has_to_correct_is_retried_after_a_long_wait() {
    let mut machine = ready();
    machine.apply(gone(1));
    for tries in 0..3 {
        machine.apply(Event::RetryDue);
        machine.apply(failed(u64::from(tries) + 2, true));
        assert!(matches!(machine.phase(), Phase::Lost { backoff, .. } if *backoff == Backoff::Slow(tries)));
    }
}

/// The broker reports an alarm once. If the report were lost,
/// publishers would resume on a connection that the broker does not read.
#[test]
fn an_alarm_that_came_during_the_declarations_is_not_forgotten() {
    let mut machine = StateMachine::new(1);
    machine.apply(Event::Connected(1));
    machine.apply(Event::Blocked(1, "memory".into()));
    machine.apply(Event::Resubscribed(1));
    assert_eq!(machine.phase(), &Phase::Blocked(1, "memory".into()));
    machine.apply(Event::Unblocked(1));
    assert_eq!(machine.phase(), &Phase::Ready(1));
}

/// `None` in a phase without a link.
fn generation_of(phase: &Phase) -> Option<Generation> {
    match phase {
        Phase::Connecting(generation)
        | Phase::Resubscribing(generation)
        | Phase::Ready(generation)
        | Phase::Blocked(generation, _) => Some(*generation),
        Phase::Lost { .. } | Phase::Closed => None,
    }
}

/// Any event of the generations 1 to 5, also of one that is past or has not begun.
fn event() -> impl Strategy<Value = Event> {
    let generation = 1..6_u64;
    prop_oneof![
        4 => generation.clone().prop_map(Event::Connected),
        1 => (generation.clone(), any::<bool>()).prop_map(|(generation, needs_operator)| failed(generation, needs_operator)),
        4 => generation.clone().prop_map(Event::Resubscribed),
        1 => generation.clone().prop_map(|generation| Event::Blocked(generation, "alarm".into())),
        1 => generation.clone().prop_map(Event::Unblocked),
        1 => generation.clone().prop_map(Event::Stable),
        3 => generation.prop_map(gone),
        4 => Just(Event::RetryDue),
    ]
}

/// `None` for an event that belongs to no link.
fn generation_of_event(event: &Event) -> Option<Generation> {
    match event {
        Event::Connected(generation)
        | Event::Failed { generation, .. }
        | Event::Resubscribed(generation)
        | Event::Blocked(generation, _)
        | Event::Unblocked(generation)
        | Event::Stable(generation)
        | Event::Lost(generation, _) => Some(*generation),
        Event::RetryDue | Event::Closed => None,
    }
}

proptest! {
    /// Whatever comes in whatever order: an event of another generation changes nothing,
    /// a generation never comes back, only what was declared is ready, and what is closed stays closed.
    #[test]
    fn nothing_of_an_old_link_touches_a_new_one(events in prop::collection::vec(event(), 0..200), close in 0..200_usize) {
        let mut machine = StateMachine::new(1);
        let (mut latest, mut connected, mut declared) = (1, 0, 0);
        for (index, event) in events.into_iter().enumerate() {
            let before = machine.phase().clone();
            let event = if index == close { Event::Closed } else { event };
            machine.apply(event.clone());
            let after = machine.phase().clone();
            if generation_of_event(&event).is_some_and(|generation| Some(generation) != generation_of(&before)) {
                prop_assert_eq!(&before, &after);
            }
            if before == Phase::Closed {
                prop_assert_eq!(&after, &Phase::Closed);
            }
            if let Some(generation) = generation_of(&after) {
                prop_assert!(generation >= latest);
                latest = generation;
            }
            match after {
                Phase::Resubscribing(generation) => connected = generation,
                Phase::Ready(generation) | Phase::Blocked(generation, _) => {
                    if declared != generation {
                        prop_assert_eq!(&event, &Event::Resubscribed(generation));
                        declared = generation;
                    }
                    prop_assert_eq!(connected, generation);
                }
                _ => {}
            }
        }
    }

    /// From wherever it is, a supervisor that does what the phase says comes back to work.
    #[test]
    fn whatever_happened_it_recovers(events in prop::collection::vec(event(), 0..100)) {
        let mut machine = StateMachine::new(1);
        for event in events {
                machine.apply(event);
            }
        for _ in 0..4 {
            match machine.phase().clone() {
                Phase::Connecting(generation) => machine.apply(Event::Connected(generation)),
                Phase::Resubscribing(generation) => machine.apply(Event::Resubscribed(generation)),
                Phase::Blocked(generation, _) => machine.apply(Event::Unblocked(generation)),
                Phase::Lost { .. } => machine.apply(Event::RetryDue),
                Phase::Ready(_) => {}
                Phase::Closed => prop_assert!(false, "no event closed it"),
            }
        }
        prop_assert!(matches!(machine.phase(), Phase::Ready(_)));
    }
}
