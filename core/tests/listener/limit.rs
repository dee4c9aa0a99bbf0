//! Queues that limit how often they deliver a message.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use oslo_messaging::notify::{DeadLetters, DeadReason, NotificationListenerBuilder, NotificationResult};
use oslo_messaging::{Bus, NotificationListener, Priority, Target};
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::fixture::{Failed, Seen, World, answering, keeping, soon};
use crate::strict::{CAME_BACK, Rules, Strict};

const QUEUE: &str = "notifications.info";
const EMPTY: Duration = Duration::from_secs(1);

/// A world, and a bus whose queues drop what came back more than `limit` times.
fn world(limit: u64) -> (World, Bus, Arc<Rules>) {
    let (world, rules) = (World::new(), Arc::new(Rules { limit: Some(limit), ..Rules::default() }));
    let bus = Bus::new(Strict::to(&world.broker, &rules));
    (world, bus, rules)
}

fn listener(bus: &Bus) -> NotificationListenerBuilder {
    NotificationListener::builder(bus).target(Target::topic("notifications"))
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_given_back_as_often_as_its_queue_allows_becomes_a_dead_letter() {
    let (world, bus, rules) = world(5);
    let seen = Seen::new();
    let endpoint = answering(&seen, async |_| Ok(NotificationResult::Requeue));
    let listener = listener(&bus).endpoint(endpoint).start(soon()).await.unwrap();
    let broker_s = ["x-delivery-count", "x-acquired-count", "x-death", "x-first-death-queue", "x-last-death-reason"];
    let headers = broker_s.into_iter().chain(["foreign"]).map(|name| (name.to_owned(), "9".to_owned()));
    world.publish_with(Priority::Info, 7, headers).await;
    seen.wait(5).await;
    let mut dead = DeadLetters::open(&world.bus, QUEUE, soon()).await.unwrap();
    let letter = dead.next(Duration::from_secs(60)).await.unwrap().expect("it is a dead letter");
    let info = letter.info();
    assert_eq!((info.reason, info.attempts), (DeadReason::DeliveryLimit, 5));
    assert!(info.detail.contains("the delivery limit of the queue is 5"), "{}", info.detail);
    let headers = &letter.message().headers;
    assert!(headers.contains_key("foreign") && broker_s.iter().all(|name| !headers.contains_key(*name)), "{headers:?}");
    listener.shutdown(soon()).await.unwrap();
    assert_eq!((seen.now().len(), world.ready(QUEUE), rules.dropped()), (5, 0, Vec::new()));
}

#[tokio::test(start_paused = true)]
async fn an_event_at_its_limit_that_cannot_be_moved_is_kept_in_its_queue() {
    let rules = Rules { limit: Some(2), denies_dead: AtomicBool::new(true), ..Rules::default() };
    let (world, rules) = (World::new(), Arc::new(rules));
    let bus = Bus::new(Strict::to(&world.broker, &rules));
    let seen = Seen::new();
    let endpoint = answering(&seen, async |_| Ok(NotificationResult::Requeue));
    let listener = listener(&bus).endpoint(endpoint).start(soon()).await.unwrap();
    world.publish(Priority::Info, 7).await;
    seen.wait(2).await;
    for _ in 0..10 {
        sleep(Duration::from_secs(30)).await;
        world.broker.faults().interrupt();
    }
    listener.shutdown(soon()).await.unwrap();
    assert_eq!((seen.now().len(), world.ready(QUEUE), rules.dropped()), (2, 1, Vec::new()));
}

#[tokio::test(start_paused = true)]
async fn an_event_that_reaches_its_limit_while_it_waits_is_moved_when_the_listener_stops() {
    let (world, bus, rules) = world(1);
    let seen = Seen::new();
    let endpoint = answering(&seen, async |_| Err::<(), _>(Failed));
    let listener = listener(&bus).endpoint(endpoint).start(soon()).await.unwrap();
    world.publish(Priority::Info, 7).await;
    seen.wait(1).await;
    // It is delivered once more, beside the one that waits for its second try.
    world.broker.faults().interrupt();
    sleep(Duration::from_millis(500)).await;
    listener.shutdown(soon()).await.unwrap();
    assert_eq!((world.ready("notifications.info.dead"), rules.dropped()), (1, Vec::new()));
}

#[tokio::test(start_paused = true)]
async fn an_event_at_its_limit_that_was_polled_and_not_read_is_moved_when_the_listener_stops() {
    let rules = Arc::new(Rules { limit: Some(1), portion: 2, ..Rules::default() });
    let world = World::new();
    let bus = Bus::new(Strict::to(&world.broker, &rules));
    let (seen, gate) = (Seen::new(), Arc::new(Notify::new()));
    let opened = Arc::clone(&gate);
    let endpoint = answering(&seen, move |event| {
        let gate = Arc::clone(&opened);
        async move {
            if event.attempt == 1 {
                sleep(Duration::from_secs(1)).await;
                return Err(Failed);
            }
            gate.notified().await;
            Ok(NotificationResult::Handled)
        }
    });
    let listener = listener(&bus).endpoint(endpoint).concurrency(2).start(soon()).await.unwrap();
    world.publish(Priority::Info, "first").await;
    world.publish(Priority::Info, "second").await;
    // The second attempts take both permits while the listener waits for events.
    seen.wait(4).await;
    world.publish(Priority::Info, "in turn").await;
    world.publish_with(Priority::Info, "at its limit", [(CAME_BACK.to_owned(), "once".to_owned())]).await;
    // Both are polled together. The first of them waits for a permit, so the second is not read.
    sleep(Duration::from_secs(1)).await;
    let open = async {
        sleep(Duration::from_secs(1)).await;
        gate.notify_waiters();
    };
    let (stopped, ()) = tokio::join!(listener.shutdown(soon()), open);
    stopped.unwrap();
    let mut dead = DeadLetters::open(&world.bus, QUEUE, soon()).await.unwrap();
    let letter = dead.next(EMPTY).await.unwrap().expect("it is a dead letter");
    assert_eq!(letter.event().unwrap().payload.as_str(), r#"{"n":"at its limit"}"#);
    assert!(dead.next(EMPTY).await.unwrap().is_none(), "one event was at its limit");
    assert_eq!((seen.now().len(), world.ready(QUEUE), rules.dropped()), (4, 1, Vec::new()));
}

#[tokio::test(start_paused = true)]
async fn dead_letters_that_are_only_looked_at_stay_however_often() {
    let (world, bus, rules) = world(20);
    let seen = Seen::new();
    let endpoint = answering(&seen, async |_| Err::<(), _>(Failed));
    let policy = oslo_messaging::notify::FailurePolicy::default().with_attempts(1);
    let listener = listener(&bus).endpoint(endpoint).on_failure(policy).start(soon()).await.unwrap();
    for n in 0..3 {
        world.publish(Priority::Info, n).await;
    }
    seen.wait(3).await;
    listener.shutdown(soon()).await.unwrap();
    for round in 0..50 {
        let mut dead = DeadLetters::open(&bus, QUEUE, soon()).await.unwrap();
        // Those behind the first are handed over too, whether they are asked for or not.
        assert!(dead.next(EMPTY).await.unwrap().is_some(), "round {round}");
        if round % 2 == 0 {
            dead.close(soon()).await.unwrap();
        }
    }
    let mut dead = DeadLetters::open(&bus, QUEUE, soon()).await.unwrap();
    let mut payloads = Vec::new();
    while let Some(letter) = dead.next(EMPTY).await.unwrap() {
        payloads.push(letter.event().unwrap().payload.as_str().to_owned());
    }
    payloads.sort();
    assert_eq!((payloads.join(" "), rules.dropped()), (r#"{"n":0} {"n":1} {"n":2}"#.to_owned(), Vec::new()));
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_goes_only_to_the_queue_whose_dead_letters_were_opened() {
    let world = World::new();
    let victim = world.listener().pool("bank.v").endpoint(keeping(&Seen::new())).start(soon()).await.unwrap();
    victim.shutdown(soon()).await.unwrap();
    let reader = world.listener().endpoint(keeping(&Seen::new())).start(soon()).await.unwrap();
    reader.shutdown(soon()).await.unwrap();
    world.publish_dead(QUEUE, [("oslo.dead.queue".to_owned(), "bank.v".to_owned())]).await;
    let mut dead = DeadLetters::open(&world.bus, QUEUE, soon()).await.unwrap();
    assert_eq!(dead.replay_all(EMPTY, soon()).await.unwrap(), 1);
    assert_eq!((world.ready("bank.v"), world.ready(QUEUE)), (0, 1));
}
