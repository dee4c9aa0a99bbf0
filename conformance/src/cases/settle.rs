//! What becomes of a message in hand that is settled, dropped, or left by a dead reader.

use oslo_messaging::ErrorKind;
use oslo_messaging::driver::{Address, DeliveryCount, Settle, Source, Subscription, Transport};

use crate::cases::cases;
use crate::{DELIVERY_LIMIT, Disturbance, Outcome, Reading, Stage};

cases! { settle;
    /// IncomingMessage::acknowledge: Says that it is done with.
    an_acknowledged_message_is_gone [];
    /// IncomingMessage::reject: Drops it, or does what an operator's policy says.
    a_rejected_message_is_gone [];
    /// IncomingMessage::requeue: Gives it back for another try, marked as redelivered.
    a_requeued_message_comes_back [Requeue];
    /// IncomingMessage: dropping it unsettled requeues it.
    a_message_dropped_unsettled_comes_back [Requeue];
    /// IncomingMessage::redelivered: Whether the broker handed it over before.
    what_comes_back_says_so [Requeue, RedeliveredFlag];
    /// Listener::close: requeues what is unsettled.
    closing_requeues_what_is_unsettled [Retention];
    /// Settle::ByReceiver: what it never settles comes back.
    a_dead_reader_gives_back_what_it_held [Retention];
    /// Settle::BeforeHandover: What it hands over is never seen again, save after a lost link.
    what_was_settled_before_handover_never_comes_back [];
    /// IncomingMessage: Settling after the listener was closed is Closed.
    settling_after_close_is_closed [Retention];
    /// Message::delivery_count: How often its queue counted a failed delivery of it.
    what_comes_back_says_how_often_it_failed [Retention, Requeue] disturbs Limit;
}

/// Server `s` of topic `t`: every reader of a case so reads the same queues.
fn subscription(stage: &Stage) -> Subscription {
    Subscription::new(stage.server("e", "t", "s"))
}

/// Subscribes first, then publishes `texts` to the topic: on a bus without retention none is lost.
async fn server(stage: &Stage, transport: &dyn Transport, texts: &[&str]) -> Result<Reading, crate::Failed> {
    let reading = stage.read(transport, subscription(stage)).await?;
    stage.publish(transport, &stage.topic("e", "t"), texts).await?;
    Ok(reading)
}

/// Closes the reader before it looks again, so an acknowledgement that the driver only remembers is not enough.
async fn an_acknowledged_message_is_gone(stage: &Stage) -> Outcome {
    let transport = stage.connect().await?;
    let mut one = server(stage, &transport, &["x", "y"]).await?;
    for message in one.take(2).await? {
        message.acknowledge().await?;
    }
    one.close().await?;
    stage.read(&transport, subscription(stage)).await?.quiet().await
}

/// Looks twice: at the same reader, and at a new one after the first was closed.
async fn a_rejected_message_is_gone(stage: &Stage) -> Outcome {
    let transport = stage.connect().await?;
    let mut one = server(stage, &transport, &["x"]).await?;
    one.next().await?.reject().await?;
    one.quiet().await?;
    one.close().await?;
    stage.read(&transport, subscription(stage)).await?.quiet().await
}

/// Requeues three times, then acknowledges.
async fn a_requeued_message_comes_back(stage: &Stage) -> Outcome {
    let transport = stage.connect().await?;
    let mut one = server(stage, &transport, &["x"]).await?;
    for _ in 0..3 {
        one.next().await?.requeue().await?;
    }
    assert_eq!(one.texts(1).await?, ["x"]);
    one.quiet().await
}

async fn a_message_dropped_unsettled_comes_back(stage: &Stage) -> Outcome {
    let transport = stage.connect().await?;
    let mut one = server(stage, &transport, &["x"]).await?;
    drop(one.next().await?);
    assert_eq!(one.texts(1).await?, ["x"]);
    one.quiet().await
}

/// The first delivery must not be marked. Those after a requeue and after a drop must be.
async fn what_comes_back_says_so(stage: &Stage) -> Outcome {
    let transport = stage.connect().await?;
    let mut one = server(stage, &transport, &["x"]).await?;
    let first = one.next().await?;
    assert!(!first.redelivered(), "it was not delivered before");
    first.requeue().await?;
    let second = one.next().await?;
    assert!(second.redelivered(), "it was requeued");
    drop(second);
    let third = one.next().await?;
    assert!(third.redelivered(), "it was dropped unsettled");
    Ok(third.acknowledge().await?)
}

/// One of two messages is acknowledged before the close, and only the other one may come back.
async fn closing_requeues_what_is_unsettled(stage: &Stage) -> Outcome {
    let transport = stage.connect().await?;
    let mut one = server(stage, &transport, &["x", "y"]).await?;
    let mut held = one.take(2).await?;
    held.remove(0).acknowledge().await?;
    one.close().await?;
    let mut two = stage.read(&transport, subscription(stage)).await?;
    assert_eq!(two.texts(1).await?, ["y"]);
    two.quiet().await
}

/// The whole transport closes with two messages unsettled and a third one unread. All three must come back.
async fn a_dead_reader_gives_back_what_it_held(stage: &Stage) -> Outcome {
    let (doomed, transport) = (stage.connect().await?, stage.connect().await?);
    let mut one = server(stage, &doomed, &["x", "y", "z"]).await?;
    let held = one.take(2).await?;
    doomed.close(stage.soon()).await?;
    drop((held, one));
    let mut two = stage.read(&transport, subscription(stage)).await?;
    let mut back = two.texts(3).await?;
    back.sort();
    assert_eq!(back, ["x", "y", "z"]);
    Ok(())
}

/// Settles each of four messages in another way, which must succeed and have no effect.
async fn what_was_settled_before_handover_never_comes_back(stage: &Stage) -> Outcome {
    let transport = stage.connect().await?;
    let subscription = subscription(stage).with_settle(Settle::BeforeHandover);
    let mut one = stage.read(&transport, subscription.clone()).await?;
    stage.publish(&transport, &stage.topic("e", "t"), ["dropped", "acknowledged", "requeued", "rejected"]).await?;
    let mut taken = one.take(4).await?.into_iter();
    let mut next = || taken.next().ok_or("four were taken");
    drop(next()?);
    next()?.acknowledge().await?;
    next()?.requeue().await?;
    next()?.reject().await?;
    one.quiet().await?;
    one.close().await?;
    stage.read(&transport, subscription).await?.quiet().await
}

/// The three failed settlements must leave the messages in the queue, in their order.
async fn settling_after_close_is_closed(stage: &Stage) -> Outcome {
    let transport = stage.connect().await?;
    let mut one = server(stage, &transport, &["x", "y", "z"]).await?;
    let mut held = one.take(3).await?.into_iter();
    one.close().await?;
    let mut next = || held.next().ok_or("three were taken");
    for outcome in [next()?.acknowledge().await, next()?.requeue().await, next()?.reject().await] {
        assert_eq!(outcome.expect_err("the listener is closed").kind(), ErrorKind::Closed);
    }
    let mut two = stage.read(&transport, subscription(stage)).await?;
    assert_eq!(two.texts(3).await?, ["x", "y", "z"], "closing gave them back, and nothing else had an effect");
    Ok(())
}

/// The count starts at 0 and grows by one with each requeue.
/// At `DELIVERY_LIMIT` it says that this delivery is the last.
/// After one more requeue the broker must drop the message.
async fn what_comes_back_says_how_often_it_failed(stage: &Stage) -> Outcome {
    stage.disturb(Disturbance::Limit).await?;
    let (transport, name) = (stage.connect().await?, stage.name("q"));
    let mut reading = stage.read(&transport, Subscription::new(Source::Queue { name: name.clone() })).await?;
    stage.publish(&transport, &Address::Queue { name }, ["a"]).await?;
    for failed in 0..=DELIVERY_LIMIT {
        let message = reading.next().await?;
        let count = message.message().delivery_count;
        assert_eq!(count.map_or(0, |count| count.failed), failed);
        assert_eq!(count.is_some_and(DeliveryCount::is_last), failed == DELIVERY_LIMIT);
        message.requeue().await?;
    }
    reading.quiet().await
}
