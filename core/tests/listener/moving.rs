//! Events that are given up and cannot be moved, or not yet.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use oslo_messaging::driver::{Address, Message};
use oslo_messaging::notify::{DeadLetters, DeadReason, NotificationListenerBuilder, NotificationResult};
use oslo_messaging::{Bus, NotificationListener, Priority, Target};
use oslo_messaging_fake::{Fault, FaultRule};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::fixture::{Failed, Seen, World, answering, keeping, soon, twice};
use crate::strict::{Rules, Strict};

const QUEUE: &str = "notifications.info";
const DEAD: &str = "notifications.info.dead";

/// A world whose listeners are on a bus of these rules.
fn world(rules: Rules) -> (World, Bus, Arc<Rules>) {
    let (world, rules) = (World::new(), Arc::new(rules));
    let bus = Bus::new(Strict::to(&world.broker, &rules));
    (world, bus, rules)
}

fn listener(bus: &Bus) -> NotificationListenerBuilder {
    NotificationListener::builder(bus).target(Target::topic("notifications")).on_failure(twice().with_attempts(1))
}

fn unhealthy(bus: &Bus) -> Vec<String> {
    bus.health().borrow().unhealthy.iter().map(|part| part.part.clone()).collect()
}

/// Waits until `condition` holds, on the virtual clock.
async fn until(what: &str, condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_secs(3_600), "{what}");
        sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn events_that_cannot_be_moved_stop_no_others_and_are_run_once() {
    let rules = Rules { denies_dead: AtomicBool::new(true), ..Rules::default() };
    let (world, bus, rules) = world(rules);
    let seen = Seen::new();
    let endpoint = answering(&seen, async |event| if event.payload["n"].is_u64() { Err(Failed) } else { Ok(()) });
    let listener = listener(&bus).endpoint(endpoint).start(soon()).await.unwrap();
    for n in 0..150 {
        world.publish(Priority::Info, n).await;
    }
    for n in 0..50 {
        world.publish(Priority::Info, format!("good {n}")).await;
    }
    let begun = Instant::now();
    seen.wait(200).await;
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    sleep(Duration::from_secs(600)).await;
    for n in 50..60 {
        world.publish(Priority::Info, format!("good {n}")).await;
    }
    let begun = Instant::now();
    seen.wait(210).await;
    assert!(begun.elapsed() < Duration::from_secs(150), "{:?}", begun.elapsed());
    assert_eq!(unhealthy(&bus), ["dead letters of notifications.info"]);
    rules.denies_dead.store(false, Ordering::Relaxed);
    until("all are moved", || world.ready(DEAD) == 150).await;
    assert_eq!(seen.now().len(), 210, "no event was run twice");
    assert!(unhealthy(&bus).is_empty(), "{:?}", unhealthy(&bus));
    listener.shutdown(soon()).await.unwrap();
    assert_eq!(world.ready(QUEUE), 0);
    let mut dead = DeadLetters::open(&world.bus, QUEUE, soon()).await.unwrap();
    let mut ns = BTreeSet::new();
    while let Some(letter) = dead.next(Duration::from_secs(1)).await.unwrap() {
        assert_eq!((letter.info().reason, letter.info().attempts), (DeadReason::Failed, 1));
        let payload: Value = serde_json::from_str(letter.event().unwrap().payload.as_str()).unwrap();
        ns.insert(payload["n"].as_u64().unwrap());
    }
    assert_eq!(ns, (0..150).collect());
}

#[tokio::test(start_paused = true)]
async fn a_listener_of_one_event_at_a_time_passes_what_cannot_be_moved() {
    let (world, bus, rules) = world(Rules { denies_dead: AtomicBool::new(true), ..Rules::default() });
    let seen = Seen::new();
    let endpoint = answering(&seen, async |event| if event.payload["n"] == 0 { Err(Failed) } else { Ok(()) });
    let listener = listener(&bus).concurrency(1).endpoint(endpoint).start(soon()).await.unwrap();
    for n in 0..5 {
        world.publish(Priority::Info, n).await;
    }
    seen.wait(5).await;
    sleep(Duration::from_secs(300)).await;
    rules.denies_dead.store(false, Ordering::Relaxed);
    until("it is moved", || world.ready(DEAD) == 1).await;
    assert_eq!(seen.now().len(), 5);
    listener.shutdown(soon()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_event_that_was_given_up_is_not_run_again_after_a_lost_connection() {
    let (world, bus, rules) = world(Rules { denies_dead: AtomicBool::new(true), ..Rules::default() });
    let seen = Seen::new();
    let endpoint = answering(&seen, async |_| Err::<(), _>(Failed));
    let listener = listener(&bus).endpoint(endpoint).start(soon()).await.unwrap();
    world.publish(Priority::Info, 1).await;
    // Without an id it is known by its content.
    let body = json!({"event_type": "order.created", "priority": "INFO", "publisher_id": "p", "payload": {"n": 2}});
    world.publish_body("notifications", Priority::Info, body.to_string()).await;
    seen.wait(2).await;
    for _ in 0..5 {
        world.broker.faults().interrupt();
        sleep(Duration::from_secs(20)).await;
    }
    assert_eq!(seen.now().len(), 2);
    rules.denies_dead.store(false, Ordering::Relaxed);
    until("both are moved", || world.ready(DEAD) == 2).await;
    listener.shutdown(soon()).await.unwrap();
    assert_eq!((seen.now().len(), world.ready(QUEUE), world.ready(DEAD)), (2, 0, 2));
}

#[tokio::test(start_paused = true)]
async fn a_listener_starts_without_its_dead_letter_queue_and_says_so_until_it_is_there() {
    let (world, bus, rules) = world(Rules { denies_dead: AtomicBool::new(true), ..Rules::default() });
    let seen = Seen::new();
    let listener = listener(&bus).endpoint(keeping(&seen)).start(soon()).await.unwrap();
    let health = bus.health();
    let parts = health.borrow().unhealthy.clone();
    assert_eq!(parts.len(), 1, "{parts:?}");
    assert!(
        parts[0].part == "dead letters of notifications.info" && parts[0].reason.contains("ACCESS_REFUSED"),
        "{parts:?}"
    );
    world.publish(Priority::Info, 1).await;
    seen.wait(1).await;
    rules.denies_dead.store(false, Ordering::Relaxed);
    until("it is declared", || world.broker.queue(DEAD).is_some()).await;
    until("it is healthy", || health.borrow().unhealthy.is_empty()).await;
    listener.shutdown(soon()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_queue_is_there_when_its_listener_has_started() {
    let world = World::new();
    let listener = world.listener().endpoint(keeping(&Seen::new())).start(soon()).await.unwrap();
    assert!(world.broker.queue(DEAD).is_some());
    listener.shutdown(soon()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_can_move_events_nowhere_says_that_it_stands_still() {
    let everything = || AtomicBool::new(true);
    let (world, bus, rules) =
        world(Rules { denies_dead: everything(), denies_direct: everything(), ..Rules::default() });
    let seen = Seen::new();
    let endpoint = answering(&seen, async |_| Err::<(), _>(Failed));
    let listener = listener(&bus).endpoint(endpoint).start(soon()).await.unwrap();
    for n in 0..150 {
        world.publish(Priority::Info, n).await;
    }
    until("it stands still", || unhealthy(&bus).contains(&"listener of notifications.info".to_owned())).await;
    rules.denies_direct.store(false, Ordering::Relaxed);
    rules.denies_dead.store(false, Ordering::Relaxed);
    until("all are moved", || world.ready(DEAD) == 150).await;
    assert!(unhealthy(&bus).is_empty(), "{:?}", unhealthy(&bus));
    assert_eq!(seen.now().len(), 150);
    listener.shutdown(soon()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_is_held_goes_back_to_its_queue_when_the_listener_stops() {
    let (world, bus, _rules) = world(Rules { denies_dead: AtomicBool::new(true), ..Rules::default() });
    let seen = Seen::new();
    let endpoint = answering(&seen, async |_| Err::<(), _>(Failed));
    let listener = listener(&bus).endpoint(endpoint).start(soon()).await.unwrap();
    world.publish(Priority::Info, 1).await;
    seen.wait(1).await;
    listener.shutdown(soon()).await.unwrap();
    assert_eq!(world.ready(QUEUE), 1);
}

#[tokio::test(start_paused = true)]
async fn an_event_whose_headers_are_too_large_is_moved_without_foreign_ones() {
    let (world, bus, _rules) = world(Rules { header_bytes: Some(8_000), ..Rules::default() });
    let seen = Seen::new();
    let endpoint = answering(&seen, async |_| Err::<(), _>(Failed));
    let listener = listener(&bus).endpoint(endpoint).start(soon()).await.unwrap();
    world.publish_with(Priority::Info, 7, [("foreign".to_owned(), "f".repeat(10_000))]).await;
    seen.wait(1).await;
    until("it is moved", || world.ready(DEAD) == 1).await;
    listener.shutdown(soon()).await.unwrap();
    let mut dead = DeadLetters::open(&world.bus, QUEUE, soon()).await.unwrap();
    let letter = dead.next(Duration::from_secs(1)).await.unwrap().unwrap();
    let headers = &letter.message().headers;
    assert!(!headers.contains_key("foreign"), "{:?}", headers.keys());
    assert_eq!(headers.get("compression").map(String::as_str), Some("application/x-gzip"));
    assert_eq!((letter.info().queue.as_str(), letter.info().traceback.as_str()), (QUEUE, "shop.rs:7\n"));
    assert_eq!(letter.event().unwrap().payload.as_str(), r#"{"n":7}"#);
}

#[tokio::test(start_paused = true)]
async fn an_event_without_an_id_that_is_given_back_waits_longer_each_time() {
    let world = World::new();
    let seen = Seen::new();
    let endpoint = answering(&seen, async |_| Ok(NotificationResult::Requeue));
    let listener = world.listener().endpoint(endpoint).start(soon()).await.unwrap();
    let body = json!({"event_type": "order.created", "priority": "INFO", "publisher_id": "p", "payload": {"n": 2}});
    world.publish_body("notifications", Priority::Info, body.to_string()).await;
    let looks = seen.wait(8).await;
    let waits: Vec<_> = looks.windows(2).map(|pair| (pair[1].at - pair[0].at).as_millis()).collect();
    assert_eq!(waits, [100, 200, 400, 800, 1_600, 3_200, 5_000]);
    listener.shutdown(soon()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_moved_the_second_time_is_handled_once() {
    let world = World::new();
    let seen = Seen::new();
    let endpoint = answering(&seen, async |_| Err::<(), _>(Failed));
    let listener = listener(&world.bus).endpoint(endpoint).start(soon()).await.unwrap();
    let moved = |to: &Address, _: &Message| matches!(to, Address::Queue { .. });
    world.broker.faults().add(FaultRule::new(Fault::Return).when(moved));
    let events: Vec<_> = (0..3).collect();
    for n in &events {
        world.publish(Priority::Info, *n).await;
    }
    until("all are moved", || world.ready(DEAD) == events.len()).await;
    assert_eq!(seen.now().len(), events.len());
    listener.shutdown(soon()).await.unwrap();
    assert_eq!(world.ready(QUEUE), 0);
}
