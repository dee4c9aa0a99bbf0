//! What the machine must do, and what it must never do.

use proptest::prelude::*;

use super::*;

fn ready() -> Machine {
    let mut machine = Machine::new(1);
    machine.on(Event::Connected(1));
    machine.on(Event::Declared(1));
    machine
}

fn gone(generation: Generation) -> Event {
    Event::Gone(generation, "gone".into())
}

fn failed(generation: Generation, mend: bool) -> Event {
    Event::Failed { generation, reason: "refused".into(), mend }
}

#[test]
fn a_loss_leads_over_a_pause_a_connection_and_declarations_back_to_work() {
    let mut machine = ready();
    machine.on(gone(1));
    assert_eq!(machine.phase(), &Phase::Lost { reason: "gone".into(), pause: Pause::Soon(0) });
    let back = [Event::Due, Event::Connected(2), Event::Declared(2)];
    let phases = [Phase::Connecting(2), Phase::Declaring(2), Phase::Ready(2)];
    for (event, phase) in back.into_iter().zip(phases) {
        machine.on(event);
        assert_eq!(machine.phase(), &phase);
    }
}

#[test]
fn another_host_is_tried_at_once_and_a_link_that_is_lost_again_and_again_waits_longer() {
    let pauses = |hosts| {
        let mut machine = Machine::new(hosts);
        machine.on(Event::Connected(1));
        [1, 2, 3].map(|generation| {
            machine.on(gone(generation));
            let Phase::Lost { pause, .. } = *machine.phase() else { panic!("{:?}", machine.phase()) };
            machine.on(Event::Due);
            machine.on(Event::Connected(generation + 1));
            pause
        })
    };
    assert_eq!(pauses(1), [Pause::Soon(0), Pause::Soon(1), Pause::Soon(2)]);
    assert_eq!(pauses(2), [Pause::Failover, Pause::Soon(1), Pause::Soon(2)]);
    assert_eq!(pauses(3), [Pause::Failover, Pause::Failover, Pause::Soon(2)]);
    let mut machine = Machine::new(2);
    machine.on(Event::Connected(1));
    machine.on(gone(1));
    machine.on(Event::Due);
    machine.on(failed(2, false));
    assert!(matches!(machine.phase(), Phase::Lost { pause: Pause::Soon(1), .. }), "the other host was tried");
}

#[test]
fn pauses_grow_until_a_link_has_lived_long_enough() {
    let mut machine = ready();
    for (generation, tries) in (1..5).zip(0..) {
        machine.on(gone(generation));
        assert!(matches!(machine.phase(), Phase::Lost { pause, .. } if *pause == Pause::Soon(tries)));
        machine.on(Event::Due);
        machine.on(Event::Connected(generation + 1));
    }
    machine.on(Event::Aged(5));
    machine.on(gone(5));
    assert!(matches!(machine.phase(), Phase::Lost { pause: Pause::Soon(0), .. }));
}

#[test]
fn what_somebody_has_to_mend_is_tried_again_after_a_long_pause() {
    let mut machine = ready();
    machine.on(gone(1));
    for tries in 0..3 {
        machine.on(Event::Due);
        machine.on(failed(u64::from(tries) + 2, true));
        assert!(matches!(machine.phase(), Phase::Lost { pause, .. } if *pause == Pause::Long(tries)));
    }
}

#[test]
fn an_alarm_that_came_during_the_declarations_is_not_forgotten() {
    let mut machine = Machine::new(1);
    machine.on(Event::Connected(1));
    machine.on(Event::Blocked(1, "memory".into()));
    machine.on(Event::Declared(1));
    assert_eq!(machine.phase(), &Phase::Blocked(1, "memory".into()));
    machine.on(Event::Unblocked(1));
    assert_eq!(machine.phase(), &Phase::Ready(1));
}

fn generation_of(phase: &Phase) -> Option<Generation> {
    match phase {
        Phase::Connecting(generation)
        | Phase::Declaring(generation)
        | Phase::Ready(generation)
        | Phase::Blocked(generation, _) => Some(*generation),
        Phase::Lost { .. } | Phase::Closed => None,
    }
}

/// Any event of any generation, as the late and the lost would tell it.
fn event() -> impl Strategy<Value = Event> {
    let generation = 1..6_u64;
    prop_oneof![
        4 => generation.clone().prop_map(Event::Connected),
        1 => (generation.clone(), any::<bool>()).prop_map(|(generation, mend)| failed(generation, mend)),
        4 => generation.clone().prop_map(Event::Declared),
        1 => generation.clone().prop_map(|generation| Event::Blocked(generation, "alarm".into())),
        1 => generation.clone().prop_map(Event::Unblocked),
        1 => generation.clone().prop_map(Event::Aged),
        3 => generation.prop_map(gone),
        4 => Just(Event::Due),
    ]
}

fn generation_of_event(event: &Event) -> Option<Generation> {
    match event {
        Event::Connected(generation)
        | Event::Failed { generation, .. }
        | Event::Declared(generation)
        | Event::Blocked(generation, _)
        | Event::Unblocked(generation)
        | Event::Aged(generation)
        | Event::Gone(generation, _) => Some(*generation),
        Event::Due | Event::Closed => None,
    }
}

proptest! {
    /// Whatever comes in whatever order: an event of another generation changes nothing, a generation never comes
    /// back, only what was declared is ready, and what is closed stays closed.
    #[test]
    fn nothing_of_an_old_link_touches_a_new_one(events in prop::collection::vec(event(), 0..200), close in 0..200_usize) {
        let mut machine = Machine::new(1);
        let (mut latest, mut connected, mut declared) = (1, 0, 0);
        for (index, event) in events.into_iter().enumerate() {
            let before = machine.phase().clone();
            let event = if index == close { Event::Closed } else { event };
            machine.on(event.clone());
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
                Phase::Declaring(generation) => connected = generation,
                Phase::Ready(generation) | Phase::Blocked(generation, _) => {
                    if declared != generation {
                        prop_assert_eq!(&event, &Event::Declared(generation));
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
        let mut machine = Machine::new(1);
        for event in events {
                machine.on(event);
            }
        for _ in 0..4 {
            match machine.phase().clone() {
                Phase::Connecting(generation) => machine.on(Event::Connected(generation)),
                Phase::Declaring(generation) => machine.on(Event::Declared(generation)),
                Phase::Blocked(generation, _) => machine.on(Event::Unblocked(generation)),
                Phase::Lost { .. } => machine.on(Event::Due),
                Phase::Ready(_) => {}
                Phase::Closed => prop_assert!(false, "nobody closed it"),
            }
        }
        prop_assert!(matches!(machine.phase(), Phase::Ready(_)));
    }
}
