//! Dead letters: how they come to be, what they say, and what can be done with them.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use oslo_messaging::driver::Origin;
use oslo_messaging::notify::{DeadLetter, DeadLetters, DeadReason, NotificationListenerBuilder};
use oslo_messaging::{ErrorKind, Event, NotificationEndpoint, Priority};
use oslo_messaging_fake::{Fault, FaultRule};

use crate::fixture::{Failed, Seen, World, answering, keeping, soon, twice};

const EMPTY: Duration = Duration::from_secs(1);

async fn only_dead_letter(world: &World, queue: &str) -> DeadLetter {
    let mut dead = DeadLetters::open(&world.bus, queue, soon()).await.unwrap();
    let letter = dead.next(EMPTY).await.unwrap().expect("there is one");
    assert!(dead.next(EMPTY).await.unwrap().is_none(), "there is only one");
    letter
}

/// A listener that has given `n` up.
async fn give_up(world: &World, pool: Option<&str>, n: u32) {
    let seen = Seen::new();
    let builder = world.listener().endpoint(answering(&seen, async |_| Err::<(), _>(Failed))).on_failure(twice());
    let builder = pool.into_iter().fold(builder, NotificationListenerBuilder::pool);
    let listener = builder.start(soon()).await.unwrap();
    world.publish(Priority::Info, n).await;
    seen.wait(2).await;
    listener.shutdown(soon()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_says_why_and_where_from() {
    let world = World::new();
    give_up(&world, Some("audit"), 7).await;
    let letter = only_dead_letter(&world, "audit").await;
    let info = letter.info();
    assert_eq!((info.reason, info.attempts, info.queue.as_str()), (DeadReason::Failed, 2, "audit"));
    let origin = Origin::new("openstack", "notifications.info");
    assert_eq!(info.origin, Some(origin));
    assert_eq!((info.detail.as_str(), info.traceback.as_str()), ("shop.errors.OutOfStock: none left", "shop.rs:7\n"));
    let event = letter.event().unwrap();
    assert_eq!((event.event_type.as_str(), event.payload.as_str()), ("order.created", r#"{"n":7}"#));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_no_notification_is_kept_as_a_dead_letter() {
    for body in ["not json", "[1]", r#"{"oslo.version": "3.0", "oslo.message": "{}"}"#, ""] {
        let world = World::new();
        let seen = Seen::new();
        let listener = world.listener().endpoint(keeping(&seen)).start(soon()).await.unwrap();
        world.publish_body("notifications", Priority::Info, body).await;
        world.publish(Priority::Info, 1).await;
        seen.wait(1).await;
        listener.shutdown(soon()).await.unwrap();
        let letter = only_dead_letter(&world, "notifications.info").await;
        assert_eq!((letter.info().reason, letter.info().attempts), (DeadReason::Undecodable, 0), "{body}");
        assert_eq!(letter.message().body, body.as_bytes());
        assert!(matches!(letter.event().unwrap_err().kind(), ErrorKind::Decode | ErrorKind::UnsupportedVersion));
    }
}

#[tokio::test(start_paused = true)]
async fn a_payload_that_its_handler_does_not_take_is_not_tried_again() {
    let world = World::new();
    let endpoint =
        NotificationEndpoint::new(()).on(Priority::Info, "*", async |_, _: Event<u32>| Ok::<_, Infallible>(()));
    let listener = world.listener().endpoint(endpoint).start(soon()).await.unwrap();
    world.publish(Priority::Info, 1).await;
    let letter = only_dead_letter(&world, "notifications.info").await;
    assert_eq!((letter.info().reason, letter.info().attempts), (DeadReason::Payload, 1));
    assert!(letter.info().detail.contains("u32"), "{}", letter.info().detail);
    listener.shutdown(soon()).await.unwrap();
    assert_eq!(world.ready("notifications.info"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_goes_back_to_its_own_queue_alone_and_as_it_came() {
    let world = World::new();
    give_up(&world, Some("audit"), 7).await;
    let shared = world.ready("notifications.info");
    let mut dead = DeadLetters::open(&world.bus, "audit", soon()).await.unwrap();
    assert_eq!(dead.replay_all(EMPTY, soon()).await.unwrap(), 1);
    dead.close(soon()).await.unwrap();
    assert_eq!((world.ready("audit"), world.ready("audit.dead"), world.ready("notifications.info")), (1, 0, shared));
    let seen = Seen::new();
    let listener = world.listener().endpoint(keeping(&seen)).pool("audit").start(soon()).await.unwrap();
    assert_eq!(seen.wait(1).await[0].n, 7);
    listener.shutdown(soon()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn dead_letters_that_are_looked_at_stay_and_those_that_are_purged_go() {
    let world = World::new();
    for n in 0..3 {
        give_up(&world, None, n).await;
    }
    let mut dead = DeadLetters::open(&world.bus, "notifications.info", soon()).await.unwrap();
    let first = dead.next(EMPTY).await.unwrap().unwrap();
    assert_eq!(first.event().unwrap().payload.as_str(), r#"{"n":0}"#);
    drop(first);
    dead.close(soon()).await.unwrap();
    assert_eq!(world.ready("notifications.info.dead"), 3);
    let mut dead = DeadLetters::open(&world.bus, "notifications.info", soon()).await.unwrap();
    assert_eq!(dead.purge(EMPTY).await.unwrap(), 3);
    dead.close(soon()).await.unwrap();
    assert_eq!(world.ready("notifications.info.dead"), 0);
}

#[tokio::test(start_paused = true)]
async fn an_event_whose_queue_is_gone_stays_a_dead_letter() {
    let world = World::new();
    give_up(&world, Some("audit"), 7).await;
    assert!(world.broker.delete_queue("audit"));
    let letter = only_dead_letter(&world, "audit").await;
    assert_eq!(letter.replay(soon()).await.unwrap_err().kind(), ErrorKind::Undeliverable);
    assert_eq!(world.ready("audit.dead"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_letter_that_could_not_be_replayed_comes_again() {
    let world = World::new();
    give_up(&world, Some("audit"), 7).await;
    let mut dead = DeadLetters::open(&world.bus, "audit", soon()).await.unwrap();
    world.broker.faults().add(FaultRule::new(Fault::Return));
    assert_eq!(dead.replay_all(EMPTY, soon()).await.unwrap_err().kind(), ErrorKind::Undeliverable);
    assert_eq!(dead.replay_all(EMPTY, soon()).await.unwrap(), 1);
    dead.close(soon()).await.unwrap();
    assert_eq!((world.ready("audit"), world.ready("audit.dead")), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_goes_back_to_the_listener_that_gave_it_up_and_still_runs() {
    let world = World::new();
    let seen = Seen::new();
    let mended = Arc::new(AtomicBool::new(false));
    let is_mended = Arc::clone(&mended);
    let endpoint = answering(&seen, move |_| {
        let handled = is_mended.load(Ordering::Relaxed);
        async move { if handled { Ok(()) } else { Err(Failed) } }
    });
    let listener = world.listener().endpoint(endpoint).on_failure(twice()).start(soon()).await.unwrap();
    world.publish(Priority::Info, 7).await;
    seen.wait(2).await;
    let mut dead = DeadLetters::open(&world.bus, "notifications.info", soon()).await.unwrap();
    mended.store(true, Ordering::Relaxed);
    assert_eq!(dead.replay_all(EMPTY, soon()).await.unwrap(), 1);
    dead.close(soon()).await.unwrap();
    let seen = seen.wait(3).await;
    assert_eq!((&seen[2].n, seen[2].attempt), (&7.into(), 1));
    listener.shutdown(soon()).await.unwrap();
    assert_eq!((world.ready("notifications.info"), world.ready("notifications.info.dead")), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn looking_through_dead_letters_shows_each_once_and_ends() {
    let world = World::new();
    for n in 0..3 {
        give_up(&world, None, n).await;
    }
    let mut dead = DeadLetters::open(&world.bus, "notifications.info", soon()).await.unwrap();
    let mut payloads = Vec::new();
    while let Some(letter) = dead.next(EMPTY).await.unwrap() {
        payloads.push(letter.event().unwrap().payload.as_str().to_owned());
        assert!(payloads.len() <= 3, "a letter came back that was only looked at");
    }
    assert_eq!(payloads, [r#"{"n":0}"#, r#"{"n":1}"#, r#"{"n":2}"#]);
    dead.close(soon()).await.unwrap();
    assert_eq!(world.ready("notifications.info.dead"), 3);
}
