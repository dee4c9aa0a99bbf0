//! What becomes of an event whose handler fails or gives it back.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use oslo_messaging::notify::{FailurePolicy, GiveUp, NotificationResult};
use oslo_messaging::{Event, NotificationEndpoint, Priority};
use serde_json::Value;
use tokio::time::Instant;

use crate::fixture::{Failed, Seen, World, answering, keeping, soon, twice};

#[tokio::test(start_paused = true)]
async fn an_event_that_fails_is_tried_five_times_and_those_behind_it_do_not_wait() {
    let world = World::new();
    let seen = Seen::new();
    let endpoint = answering(&seen, async |event| if event.payload["n"] == 0 { Err(Failed) } else { Ok(()) });
    let listener = world.listener().endpoint(endpoint).start(soon()).await.unwrap();
    let began = Instant::now();
    for n in 0..10 {
        world.publish(Priority::Info, n).await;
    }
    let seen = seen.wait(14).await;
    assert!(seen[..10].iter().all(|look| look.at == began), "{seen:?}");
    let tries: Vec<_> =
        seen.iter().filter(|look| look.n == 0).map(|look| (look.attempt, (look.at - began).as_secs())).collect();
    assert_eq!(tries, [(1, 0), (2, 1), (3, 5), (4, 21), (5, 85)]);
    listener.shutdown(soon()).await.unwrap();
    assert_eq!((world.ready("notifications.info"), world.ready("notifications.info.dead")), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn an_event_may_be_tried_as_often_as_one_likes() {
    const TRIES: u32 = 20_000;
    let world = World::new();
    let seen = Seen::new();
    let endpoint = answering(&seen, async |_| Err::<(), _>(Failed));
    let policy = FailurePolicy::default().with_attempts(TRIES).with_first_wait(Duration::ZERO);
    let listener = world.listener().endpoint(endpoint).on_failure(policy).start(soon()).await.unwrap();
    world.publish(Priority::Info, 1).await;
    let seen = seen.wait(TRIES as usize).await;
    listener.shutdown(soon()).await.unwrap();
    assert_eq!(seen.last().map(|look| look.attempt), Some(TRIES));
    assert_eq!(world.ready("notifications.info.dead"), 1);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_fails_once_is_handled_the_second_time() {
    let world = World::new();
    let seen = Seen::new();
    let endpoint = answering(&seen, async |event| if event.attempt == 1 { Err(Failed) } else { Ok(()) });
    let listener = world.listener().endpoint(endpoint).start(soon()).await.unwrap();
    world.publish(Priority::Info, 1).await;
    seen.wait(2).await;
    listener.shutdown(soon()).await.unwrap();
    world.bus.close(soon()).await.unwrap();
    world.broker.assert_idle();
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_a_failure_of_its_event_alone() {
    let world = World::new();
    let seen = Seen::new();
    let endpoint = answering(&seen, async |event| {
        assert!(event.payload["n"] != 0, "zero is too much");
        Ok(())
    });
    let listener = world.listener().endpoint(endpoint).on_failure(twice()).start(soon()).await.unwrap();
    for n in 0..3 {
        world.publish(Priority::Info, n).await;
    }
    seen.wait(4).await;
    listener.shutdown(soon()).await.unwrap();
    assert_eq!(world.ready("notifications.info.dead"), 1);
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_has_handled_an_event_does_not_get_it_again_because_the_next_one_fails() {
    let world = World::new();
    let (first, second, third) = (Seen::new(), Seen::new(), Seen::new());
    let failing = answering(&second, async |event| if event.attempt == 1 { Err(Failed) } else { Ok(()) });
    let builder = world.listener().endpoint(keeping(&first)).endpoint(failing).endpoint(keeping(&third));
    let listener = builder.start(soon()).await.unwrap();
    world.publish(Priority::Info, 1).await;
    third.wait(1).await;
    listener.shutdown(soon()).await.unwrap();
    assert_eq!((first.now().len(), second.now().len(), third.now().len()), (1, 2, 1));
    let attempts: Vec<_> = second.now().iter().chain(&third.now()).map(|look| look.attempt).collect();
    assert_eq!(attempts, [1, 2, 1], "each endpoint has its own tries");
}

#[tokio::test(start_paused = true)]
async fn an_event_that_fails_may_be_dropped_instead() {
    let world = World::new();
    let seen = Seen::new();
    let policy = FailurePolicy::default().with_attempts(1).with_give_up(GiveUp::Drop);
    let endpoint = answering(&seen, async |_| Err::<(), _>(Failed));
    let listener = world.listener().endpoint(endpoint).on_failure(policy).start(soon()).await.unwrap();
    world.publish(Priority::Info, 1).await;
    seen.wait(1).await;
    listener.shutdown(soon()).await.unwrap();
    world.bus.close(soon()).await.unwrap();
    world.broker.assert_idle();
    assert!(world.broker.queues().iter().all(|queue| queue.name != "notifications.info.dead"));
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_given_back_comes_again_later_each_time() {
    let world = World::new();
    let seen = Seen::new();
    let times = AtomicU32::new(0);
    let endpoint = answering(&seen, move |_| {
        let requeue = times.fetch_add(1, Ordering::Relaxed) < 8;
        async move { Ok(if requeue { NotificationResult::Requeue } else { NotificationResult::Handled }) }
    });
    let listener = world.listener().endpoint(endpoint).start(soon()).await.unwrap();
    world.publish(Priority::Info, 1).await;
    let seen = seen.wait(9).await;
    let waits: Vec<_> = seen.windows(2).map(|pair| (pair[1].at - pair[0].at).as_millis()).collect();
    assert_eq!(waits, [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
    assert!(!seen[0].redelivered && seen[1..].iter().all(|look| look.redelivered && look.attempt == 1));
    listener.shutdown(soon()).await.unwrap();
    assert_eq!(world.ready("notifications.info.dead"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_requeue_keeps_the_event_from_the_endpoints_behind() {
    let world = World::new();
    let (first, second) = (Seen::new(), Seen::new());
    let once = AtomicU32::new(0);
    let giving_back = answering(&first, move |_| {
        let requeue = once.fetch_add(1, Ordering::Relaxed) == 0;
        async move { Ok(if requeue { NotificationResult::Requeue } else { NotificationResult::Handled }) }
    });
    let listener = world.listener().endpoint(giving_back).endpoint(keeping(&second)).start(soon()).await.unwrap();
    world.publish(Priority::Info, 1).await;
    second.wait(1).await;
    listener.shutdown(soon()).await.unwrap();
    assert_eq!((first.now().len(), second.now().len()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn when_everything_fails_half_of_the_window_waits_and_the_rest_stays_in_the_queue() {
    let world = World::new();
    let seen = Seen::new();
    let endpoint = answering(&seen, async |_| Err::<(), _>(Failed));
    let policy = FailurePolicy::default().with_attempts(2).with_first_wait(Duration::from_secs(300));
    let listener = world.listener().concurrency(4).endpoint(endpoint).on_failure(policy).start(soon()).await.unwrap();
    for n in 0..20 {
        world.publish(Priority::Info, n).await;
    }
    seen.wait(8).await;
    tokio::time::sleep(Duration::from_secs(200)).await;
    assert_eq!(seen.now().len(), 8, "4 wait, and 4 hold their handlers until there is room");
    assert_eq!(world.ready("notifications.info"), 12);
    seen.wait(40).await;
    listener.shutdown(soon()).await.unwrap();
    assert_eq!(world.ready("notifications.info.dead"), 20);
}

#[tokio::test(start_paused = true)]
async fn a_handler_of_one_event_may_return_nothing_or_a_result() {
    let world = World::new();
    let seen = Seen::new();
    let endpoint = NotificationEndpoint::shared(Arc::clone(&seen))
        .on(Priority::Info, "order.*", async |seen: Arc<Seen>, event: Event<Value>| {
            seen.note(&event);
            Ok::<_, Infallible>(())
        })
        .on(Priority::Info, "*", async |seen: Arc<Seen>, event: Event<Value>| {
            seen.note(&event);
            Ok::<_, Infallible>(NotificationResult::Handled)
        });
    let listener = world.listener().endpoint(endpoint).start(soon()).await.unwrap();
    world.publish(Priority::Info, 1).await;
    world.publish_as("notifications", Priority::Info, "stock.low", 2.into()).await;
    seen.wait(2).await;
    listener.shutdown(soon()).await.unwrap();
}
