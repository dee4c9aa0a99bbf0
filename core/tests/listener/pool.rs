//! Whose copy of the events a listener reads.

use std::sync::Arc;

use oslo_messaging::Priority;
use oslo_messaging::notify::NotificationListenerBuilder;
use serde_json::{Value, json};

use crate::fixture::{Seen, World, keeping, soon};

#[tokio::test(start_paused = true)]
async fn every_pool_has_a_copy_of_every_event_and_so_have_those_without_a_pool() {
    let world = World::new();
    let copies = [Seen::new(), Seen::new(), Seen::new()];
    let mut listeners = Vec::new();
    for (seen, pool) in copies.iter().zip([None, Some("a"), Some("b")]) {
        let builder = world.listener().endpoint(keeping(seen));
        let builder = pool.into_iter().fold(builder, NotificationListenerBuilder::pool);
        listeners.push(builder.start(soon()).await.unwrap());
    }
    for n in 0..100 {
        world.publish(Priority::Info, n).await;
    }
    for seen in &copies {
        seen.wait(100).await;
        assert_eq!(seen.ns(), (0..100).map(Value::from).collect::<Vec<_>>());
    }
    for listener in listeners {
        listener.shutdown(soon()).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn the_members_of_a_pool_share_its_copy_across_a_restart_of_one() {
    let world = World::new();
    let all = Seen::new();
    let member = || world.listener().endpoint(keeping(&all)).pool("audit").start(soon());
    let (staying, leaving) = (member().await.unwrap(), member().await.unwrap());
    for n in 0..30 {
        world.publish(Priority::Info, n).await;
    }
    leaving.shutdown(soon()).await.unwrap();
    for n in 30..60 {
        world.publish(Priority::Info, n).await;
    }
    let back = member().await.unwrap();
    staying.shutdown(soon()).await.unwrap();
    for n in 60..90 {
        world.publish(Priority::Info, n).await;
    }
    all.wait(90).await;
    back.shutdown(soon()).await.unwrap();
    let mut ns = all.ns();
    ns.sort_by_key(Value::as_u64);
    assert_eq!(ns, (0..90).map(Value::from).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_tap_takes_nothing_from_anybody_and_leaves_nothing_behind() {
    let world = World::new();
    let (seen, looked_on) = (Seen::new(), Seen::new());
    let reader = world.listener().endpoint(keeping(&seen)).start(soon()).await.unwrap();
    let tap = world.listener().endpoint(keeping(&looked_on)).tap().start(soon()).await.unwrap();
    for n in 0..5 {
        world.publish(Priority::Info, n).await;
    }
    looked_on.wait(5).await;
    seen.wait(5).await;
    tap.shutdown(soon()).await.unwrap();
    reader.shutdown(soon()).await.unwrap();
    world.bus.close(soon()).await.unwrap();
    world.broker.assert_idle();
    let names: Vec<_> = world.broker.queues().into_iter().map(|queue| queue.name).collect();
    assert_eq!(names, ["notifications.info", "notifications.info.dead"]);
}

#[tokio::test(start_paused = true)]
async fn what_was_published_before_anybody_listened_is_kept() {
    let world = World::new();
    for n in 0..3 {
        world.publish(Priority::Info, n).await;
    }
    let seen = Seen::new();
    let listener = world.listener().endpoint(keeping(&Arc::clone(&seen))).start(soon()).await.unwrap();
    seen.wait(3).await;
    listener.shutdown(soon()).await.unwrap();
    assert_eq!(seen.ns(), [json!(0), json!(1), json!(2)]);
}
