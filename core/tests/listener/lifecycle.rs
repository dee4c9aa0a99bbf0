//! Starting and stopping.

use std::sync::Arc;
use std::time::Duration;

use oslo_messaging::notify::DeadLetters;
use oslo_messaging::{Bus, Deadline, ErrorKind, NotificationListener, Priority, Target};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::fixture::{Failed, Seen, World, answering, keeping, soon};
use crate::late::Late;

#[tokio::test(start_paused = true)]
async fn a_stopped_listener_finishes_what_it_began_and_leaves_the_rest() {
    let world = World::new();
    let (seen, gate) = (Seen::new(), Arc::new(Semaphore::new(0)));
    let held = Arc::clone(&gate);
    let endpoint = answering(&seen, move |_| {
        let held = Arc::clone(&held);
        async move {
            held.acquire().await.unwrap().forget();
            Ok(())
        }
    });
    let listener = world.listener().concurrency(2).endpoint(endpoint).start(soon()).await.unwrap();
    for n in 0..10 {
        world.publish(Priority::Info, n).await;
    }
    seen.wait(2).await;
    listener.stop(soon()).await.unwrap();
    assert_eq!(world.ready("notifications.info"), 8, "events without a handler are ready for others at once");
    gate.add_permits(10);
    listener.shutdown(soon()).await.unwrap();
    assert_eq!((seen.now().len(), world.ready("notifications.info")), (2, 8));
}

#[tokio::test(start_paused = true)]
async fn a_listener_runs_as_many_handlers_as_its_bus_says() {
    let mut world = World::new();
    world.bus = Bus::builder(world.broker.transport()).concurrency(2).build();
    let (seen, gate) = (Seen::new(), Arc::new(Semaphore::new(0)));
    let held = Arc::clone(&gate);
    let endpoint = answering(&seen, move |_| {
        let held = Arc::clone(&held);
        async move {
            held.acquire().await.unwrap().forget();
            Ok(())
        }
    });
    let listener = world.listener().endpoint(endpoint).start(soon()).await.unwrap();
    for n in 0..5 {
        world.publish(Priority::Info, n).await;
    }
    seen.wait(2).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(seen.now().len(), 2);
    gate.add_permits(5);
    seen.wait(5).await;
    listener.shutdown(soon()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_another_try_is_given_back_at_once_when_the_listener_stops() {
    let world = World::new();
    let seen = Seen::new();
    let endpoint = answering(&seen, async |_| Err::<(), _>(Failed));
    let listener = world.listener().endpoint(endpoint).start(soon()).await.unwrap();
    world.publish(Priority::Info, 1).await;
    seen.wait(1).await;
    let deadline = Deadline::after(Duration::from_millis(500));
    listener.shutdown(deadline).await.unwrap();
    assert_eq!((world.ready("notifications.info"), world.ready("notifications.info.dead")), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_was_not_full_is_given_back_when_the_listener_stops() {
    let world = World::new();
    let seen = Seen::new();
    let builder = world.listener().endpoint(keeping(&seen)).batch(crate::fixture::many(10), Duration::from_secs(60));
    let listener = builder.start(soon()).await.unwrap();
    for n in 0..4 {
        world.publish(Priority::Info, n).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    listener.shutdown(soon()).await.unwrap();
    assert_eq!((seen.now().len(), world.ready("notifications.info")), (0, 4));
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_outlives_the_deadline_is_aborted_and_its_event_goes_back() {
    let world = World::new();
    let seen = Seen::new();
    let endpoint = answering(&seen, async |_| std::future::pending::<Result<(), Failed>>().await);
    let listener = world.listener().endpoint(endpoint).start(soon()).await.unwrap();
    world.publish(Priority::Info, 1).await;
    seen.wait(1).await;
    let error = listener.shutdown(Deadline::after(Duration::from_secs(5))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(world.ready("notifications.info"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_lost_its_queues_says_why_it_ended() {
    let world = World::new();
    let seen = Seen::new();
    let listener = world.listener().endpoint(keeping(&seen)).start(soon()).await.unwrap();
    world.broker.faults().kill();
    let error = listener.wait().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Disconnected);
}

#[tokio::test(start_paused = true)]
async fn the_same_builder_starts_it_again() {
    let world = World::new();
    let seen = Seen::new();
    let builder = world.listener().endpoint(keeping(&seen));
    for n in 0..3 {
        let listener = builder.clone().start(soon()).await.unwrap();
        world.publish(Priority::Info, n).await;
        seen.wait(usize::try_from(n).unwrap() + 1).await;
        listener.stop(soon()).await.unwrap();
        listener.stop(soon()).await.unwrap();
        listener.shutdown(soon()).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_lost_its_queues_lets_go_what_waits_and_ends_at_once() {
    let world = World::new();
    let seen = Seen::new();
    let endpoint = answering(&seen, async |_| Err::<(), _>(Failed));
    let listener = world.listener().endpoint(endpoint).start(soon()).await.unwrap();
    world.publish(Priority::Info, 1).await;
    seen.wait(1).await;
    let lost = Instant::now();
    world.broker.faults().kill();
    assert_eq!(listener.wait().await.unwrap_err().kind(), ErrorKind::Disconnected);
    assert_eq!((lost.elapsed(), seen.now().len()), (Duration::ZERO, 1), "it was not tried again");
    assert_eq!((world.ready("notifications.info"), world.ready("notifications.info.dead")), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_listener_and_dead_letters_wait_for_a_broker_that_is_on_its_way_back() {
    let world = World::new();
    let seen = Seen::new();
    let bus = Bus::new(Late::to(&world.broker));
    let builder = NotificationListener::builder(&bus).target(Target::topic("notifications"));
    let listener = builder.endpoint(keeping(&seen)).start(soon()).await.unwrap();
    listener.shutdown(soon()).await.unwrap();
    let bus = Bus::new(Late::to(&world.broker));
    DeadLetters::open(&bus, "notifications.info", soon()).await.unwrap().close(soon()).await.unwrap();
}
