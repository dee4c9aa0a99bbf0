//! Notifications, as far as a driver sees them.

use oslo_messaging::driver::{Address, Message, PublishOptions, Source, Subscription};

use crate::cases::cases;
use crate::{Outcome, Stage};

cases! { notification;
    /// Source::Notifications: each topic and priority, on the shared queues.
    a_listener_hears_its_topics_and_priorities_alone [];
    /// Source::Notifications: each topic and priority, on the shared queues.
    listeners_of_one_queue_share_it [];
    /// PublishOptions::ensure_queue: so that it is kept before anyone listens.
    it_is_kept_before_anyone_listens [EnsureQueue, Retention];
    /// Capability::Pools: Several readers of one named pool share its copy of the notifications.
    every_pool_gets_a_copy_that_its_members_share [Pools];
}

/// Exchange and topic get unique names; the priority stays, since it is part of the queue's name.
fn address(stage: &Stage, topic: &str, priority: &str) -> Address {
    Address::Notification { exchange: stage.name("e"), topic: stage.name(topic), priority: priority.to_owned() }
}

/// Without a pool it reads the shared queue of each address.
fn listening(addresses: Vec<Address>, pool: Option<String>) -> Subscription {
    Subscription::new(Source::Notifications { addresses, pool })
}

/// Two topics and two priorities. One listener reads two of the four queues, another a third one.
async fn a_listener_hears_its_topics_and_priorities_alone(stage: &Stage) -> Outcome {
    let transport = stage.connect().await?;
    let at = |topic, priority| address(stage, topic, priority);
    let mut one = stage.read(&transport, listening(vec![at("t", "info"), at("u", "error")], None)).await?;
    let mut two = stage.read(&transport, listening(vec![at("t", "error")], None)).await?;
    for (topic, priority) in [("t", "info"), ("t", "error"), ("u", "info"), ("u", "error")] {
        stage.publish(&transport, &at(topic, priority), [format!("{topic} {priority}")]).await?;
    }
    let mut heard = one.texts(2).await?;
    heard.sort();
    assert_eq!(heard, ["t info", "u error"]);
    assert_eq!(two.texts(1).await?, ["t error"]);
    one.quiet().await?;
    two.quiet().await
}

/// Each of twenty notifications arrives once, and each listener gets at least one.
async fn listeners_of_one_queue_share_it(stage: &Stage) -> Outcome {
    let (transport, recorder) = (stage.connect().await?, stage.recorder());
    let mut listeners = Vec::new();
    for name in ["a", "b"] {
        let subscription = listening(vec![address(stage, "t", "info")], None);
        listeners.push(stage.read(&transport, subscription).await?.record(&recorder, name));
    }
    let sent: Vec<_> = (0..20).map(|n| format!("{n:02}")).collect();
    stage.publish(&transport, &address(stage, "t", "info"), &sent).await?;
    recorder.wait(sent.len()).await?;
    let mut heard: Vec<_> = recorder.quiet().await?.into_iter().map(|event| event.what).collect();
    heard.sort();
    assert_eq!(heard, sent);
    assert!(!recorder.at("a").is_empty() && !recorder.at("b").is_empty(), "{:?}", recorder.events());
    Ok(())
}

/// Publishes twice, so the second publish finds the queue declared and must not fail.
async fn it_is_kept_before_anyone_listens(stage: &Stage) -> Outcome {
    let (transport, to) = (stage.connect().await?, address(stage, "t", "info"));
    let options = PublishOptions::by(stage.soon()).ensure_queue();
    transport.publish(&to, Message::new("x"), &options).await?;
    transport.publish(&to, Message::new("y"), &options).await?;
    let mut listener = stage.read(&transport, listening(vec![to], None)).await?;
    assert_eq!(listener.texts(2).await?, ["x", "y"]);
    Ok(())
}

/// Three copies in all: pool `a` with two members, pool `b`, and the shared queue.
async fn every_pool_gets_a_copy_that_its_members_share(stage: &Stage) -> Outcome {
    let (transport, recorder, to) = (stage.connect().await?, stage.recorder(), address(stage, "t", "info"));
    let mut listeners = Vec::new();
    for (name, pool) in [("a1", Some("a")), ("a2", Some("a")), ("b", Some("b")), ("none", None)] {
        let subscription = listening(vec![to.clone()], pool.map(|pool| stage.name(pool)));
        listeners.push(stage.read(&transport, subscription).await?.record(&recorder, name));
    }
    let sent: Vec<_> = (0..20).map(|n| format!("{n:02}")).collect();
    stage.publish(&transport, &to, &sent).await?;
    recorder.wait(3 * sent.len()).await?;
    recorder.quiet().await?;
    let mut shared = [recorder.at("a1"), recorder.at("a2")];
    assert!(shared.iter().all(|part| !part.is_empty()), "each member has its share: {shared:?}");
    let mut shared = std::mem::take(&mut shared).concat();
    shared.sort();
    assert_eq!((shared, recorder.at("b"), recorder.at("none")), (sent.clone(), sent.clone(), sent));
    Ok(())
}
