//! Notifications: pools, which get a copy of each event, and taps, which take none.

use oslo_messaging::NotificationListener;

use super::{listener, notifier, recording, send_events, sorted};
use crate::cases::cases;
use crate::{Outcome, Recorder, Stage};

cases! { notify_pool;
    /// oslo.messaging TestNotifyListener.test_two_pools: each pool has all of them.
    every_pool_has_every_event [Pools];
    /// oslo.messaging TestNotifyListener.test_two_pools_three_listener: a stopped and restarted member loses nothing.
    members_share_and_a_restart_loses_nothing [Pools, Requeue, Retention];
    /// NotificationListenerBuilder::pool: a copy of its own, from the moment its first member was started on.
    a_pool_keeps_its_copy_while_nobody_reads_it [Pools, Retention];
    /// NotificationListenerBuilder::tap: looking at the bus takes nothing from anybody.
    a_tap_takes_nothing_from_anybody [];
}

/// Starts a listener of topic `t` whose recorder entries carry `name`. Without `pool` it reads the queues of the topic.
async fn member(
    stage: &Stage,
    name: &'static str,
    pool: Option<&str>,
    recorder: &Recorder,
) -> oslo_messaging::Result<NotificationListener> {
    let builder = listener(stage, &["t"]).await?.endpoint(recording(name, recorder));
    match pool {
        Some(pool) => builder.pool(stage.name(pool)).start(stage.soon()).await,
        None => builder.start(stage.soon()).await,
    }
}

/// A listener without a pool counts as a group of its own here: 20 events give 60 entries.
/// Catches a driver that lets two pools, or a pool and the plain listener, compete for one copy.
async fn every_pool_has_every_event(stage: &Stage) -> Outcome {
    let recorder = stage.recorder();
    let mut members = Vec::new();
    for (name, pool) in [("none", None), ("a", Some("a")), ("b", Some("b"))] {
        members.push(member(stage, name, pool, &recorder).await?);
    }
    send_events(&notifier(stage, &["t"]).await?, 0..20).await?;
    recorder.wait(60).await?;
    recorder.quiet().await?;
    for name in ["none", "a", "b"] {
        assert_eq!(recorder.at(name), (0..20).map(|n| n.to_string()).collect::<Vec<_>>(), "{name}");
    }
    for member in members {
        member.shutdown(stage.soon()).await?;
    }
    Ok(())
}

/// The 10 events sent while one member is away must reach the pool all the same.
/// Each member must handle at least 25 of the 100, so a driver that serves one consumer alone fails.
/// The listener outside the pool proves that the pool took none of its events.
async fn members_share_and_a_restart_loses_nothing(stage: &Stage) -> Outcome {
    let (recorder, others) = (stage.recorder(), stage.recorder());
    let without = member(stage, "none", None, &others).await?;
    let staying = member(stage, "staying", Some("a"), &recorder).await?;
    let leaving = member(stage, "leaving", Some("a"), &recorder).await?;
    let notifier = notifier(stage, &["t"]).await?;
    send_events(&notifier, 0..50).await?;
    recorder.wait(50).await?;
    leaving.shutdown(stage.soon()).await?;
    send_events(&notifier, 50..60).await?;
    let back = member(stage, "leaving", Some("a"), &recorder).await?;
    send_events(&notifier, 60..100).await?;
    recorder.wait(100).await?;
    let heard = recorder.quiet().await?;
    assert_eq!(sorted(heard.into_iter().map(|event| event.what))?, (0..100).collect::<Vec<_>>());
    for name in ["staying", "leaving"] {
        assert!(recorder.at(name).len() >= 25, "{name} has its share: {:?}", recorder.at(name));
    }
    others.wait(100).await?;
    for listener in [without, staying, back] {
        listener.shutdown(stage.soon()).await?;
    }
    Ok(())
}

/// The only member stops before the first event is sent, so a queue that ends with its last consumer loses all ten.
async fn a_pool_keeps_its_copy_while_nobody_reads_it(stage: &Stage) -> Outcome {
    let (recorder, others) = (stage.recorder(), stage.recorder());
    let without = member(stage, "none", None, &others).await?;
    member(stage, "first", Some("a"), &recorder).await?.shutdown(stage.soon()).await?;
    send_events(&notifier(stage, &["t"]).await?, 0..10).await?;
    let later = member(stage, "later", Some("a"), &recorder).await?;
    recorder.wait(10).await?;
    assert_eq!(recorder.at("later"), (0..10).map(|n| n.to_string()).collect::<Vec<_>>());
    others.wait(10).await?;
    later.shutdown(stage.soon()).await?;
    Ok(without.shutdown(stage.soon()).await?)
}

/// The tap must see the first five events, and the reader all ten.
/// A tap that consumed from the shared queue would leave the reader with less.
async fn a_tap_takes_nothing_from_anybody(stage: &Stage) -> Outcome {
    let recorder = stage.recorder();
    let reader = member(stage, "reader", None, &recorder).await?;
    let tap = listener(stage, &["t"]).await?.endpoint(recording("tap", &recorder)).tap().start(stage.soon()).await?;
    let notifier = notifier(stage, &["t"]).await?;
    send_events(&notifier, 0..5).await?;
    recorder.wait(10).await?;
    tap.shutdown(stage.soon()).await?;
    send_events(&notifier, 5..10).await?;
    recorder.wait(15).await?;
    recorder.quiet().await?;
    let all = |count: u32| (0..count).map(|n| n.to_string()).collect::<Vec<_>>();
    assert_eq!((recorder.at("tap"), recorder.at("reader")), (all(5), all(10)));
    Ok(reader.shutdown(stage.soon()).await?)
}
