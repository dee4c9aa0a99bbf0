//! Notifications: events that are requeued, and events whose handlers fail.

use std::sync::atomic::{AtomicBool, Ordering};

use oslo_messaging::driver::{Address, Message, PublishOptions};
use oslo_messaging::notify::{DeadLetters, DeadReason, GiveUp, NotificationResult};
use oslo_messaging::wire::Notification;
use oslo_messaging::{Payload, Priority};
use serde_json::json;

use super::{HandlerFailed, answering, impatient, listener, notifier, queue, recording, send_events, sorted};
use crate::cases::cases;
use crate::{Outcome, Stage};

cases! { notify_fail;
    /// oslo.messaging TestNotifyListener.test_requeue: the endpoint is called twice with the same message.
    a_requeued_event_comes_back [Requeue, Retention];
    /// NotificationResult::Requeue: another member of the pool, or this one later, gets it.
    another_member_has_what_one_gives_back [Requeue, Retention, Pools];
    /// FailurePolicy: it is tried 5 times and then moved to the dead-letter queue.
    five_failures_make_one_dead_letter [Requeue, Retention];
    /// DeadLetterInfo: what is known of an event that was given up; Message::origin: where its publisher sent it.
    a_dead_letter_says_why_and_where_from [Requeue, Retention];
    /// FailurePolicy: it is tried again, and then it is given up.
    a_second_try_may_succeed [Requeue, Retention];
    /// GiveUp::Drop: it is acknowledged and counted.
    an_event_may_be_dropped_instead [Requeue, Retention];
    /// DeadReason::Undecodable: it is no notification, or of a version that is not read.
    what_is_no_notification_is_kept_as_a_dead_letter [Requeue, Retention];
    /// oslo.messaging NotificationDispatcher.dispatch: an unknown priority is warned of and done with.
    an_unknown_priority_is_skipped [];
    /// oslo.messaging _MsgIdCache: a second message of one _unique_id is ignored, and not rejected.
    a_copy_is_handled_once [];
    /// DeadLetter::replay: back into the queue that it came from, and into no other.
    a_dead_letter_goes_back_to_its_own_queue [Requeue, Retention, Pools];
    /// FailurePolicy: no other event waits for it; Settle::ByReceiver: one slow message holds up no other.
    one_that_takes_long_stops_no_other [Requeue, Retention];
}

/// Returns the value of `first` for the first call, that of `then` for every later one.
fn once<T>(first: impl Fn() -> T, then: impl Fn() -> T) -> impl Fn() -> T {
    let said = AtomicBool::new(false);
    move || if said.swap(true, Ordering::Relaxed) { then() } else { first() }
}

/// Reads and discards the dead letters of `queue`, each as its reason, its attempts and its payload.
async fn dead_letters(stage: &Stage, queue: &str) -> oslo_messaging::Result<Vec<(DeadReason, u32, String)>> {
    let mut dead = DeadLetters::open(&stage.bus().await?, queue, stage.soon()).await?;
    let mut letters = Vec::new();
    while let Some(letter) = dead.next(stage.budget().quiet).await? {
        let number = letter.event().map(|event| event.payload.as_str().to_owned()).unwrap_or_default();
        letters.push((letter.info().reason, letter.info().attempts, number));
        letter.discard().await?;
    }
    dead.close(stage.soon()).await?;
    Ok(letters)
}

/// The handler requeues the event once. Two entries, no more, show that the second result settled it.
async fn a_requeued_event_comes_back(stage: &Stage) -> Outcome {
    let recorder = stage.recorder();
    let answer = once(|| NotificationResult::Requeue, || NotificationResult::Handled);
    let endpoint = answering("recording", &recorder, move |_| Ok(answer()));
    let listener = listener(stage, &["t"]).await?.endpoint(endpoint).start(stage.soon()).await?;
    send_events(&notifier(stage, &["t"]).await?, [1]).await?;
    recorder.wait(2).await?;
    recorder.quiet().await?;
    assert_eq!(recorder.at("recording"), ["1", "1"]);
    Ok(listener.shutdown(stage.soon()).await?)
}

/// The first member requeues every time, so the event ends only when the second member of the pool gets it.
/// The listener outside of the pool must hear it once.
async fn another_member_has_what_one_gives_back(stage: &Stage) -> Outcome {
    let (recorder, others) = (stage.recorder(), stage.recorder());
    let without = listener(stage, &["t"]).await?.endpoint(recording("none", &others)).start(stage.soon()).await?;
    let pool = stage.name("pool");
    let giving = answering("giving", &recorder, |_| Ok(NotificationResult::Requeue));
    let giving = listener(stage, &["t"]).await?.endpoint(giving).pool(&pool).start(stage.soon()).await?;
    send_events(&notifier(stage, &["t"]).await?, [1]).await?;
    recorder.wait(1).await?;
    let taking = recording("taking", &recorder);
    let taking = listener(stage, &["t"]).await?.endpoint(taking).pool(&pool).start(stage.soon()).await?;
    while recorder.at("taking").is_empty() {
        recorder.wait(recorder.events().len() + 1).await?;
    }
    others.wait(1).await?;
    for listener in [without, giving, taking] {
        listener.shutdown(stage.soon()).await?;
    }
    Ok(())
}

/// One of ten events always fails. The other nine must be handled once each meanwhile.
/// The dead letter must carry the number of attempts and the payload.
async fn five_failures_make_one_dead_letter(stage: &Stage) -> Outcome {
    let recorder = stage.recorder();
    let answer = |event: &oslo_messaging::Event<serde_json::Value>| {
        if event.payload["n"] == 0 { Err(HandlerFailed) } else { Ok(NotificationResult::Handled) }
    };
    let builder = listener(stage, &["t"]).await?.endpoint(answering("recording", &recorder, answer));
    let listener = builder.on_failure(impatient(5)).start(stage.soon()).await?;
    send_events(&notifier(stage, &["t"]).await?, 0..10).await?;
    recorder.wait(14).await?;
    recorder.quiet().await?;
    listener.shutdown(stage.soon()).await?;
    let heard = recorder.at("recording");
    assert_eq!(heard.iter().filter(|n| *n == "0").count(), 5, "{heard:?}");
    assert_eq!(sorted(heard.into_iter().filter(|n| n != "0"))?, (1..10).collect::<Vec<_>>());
    let dead = dead_letters(stage, &queue(stage, "t", Priority::Info)).await?;
    assert_eq!(dead, [(DeadReason::Failed, 5, r#"{"n":0}"#.to_owned())]);
    Ok(())
}

/// `detail` holds the class and the message of the failure.
/// `origin` holds the exchange and the routing key that the publisher used.
async fn a_dead_letter_says_why_and_where_from(stage: &Stage) -> Outcome {
    let recorder = stage.recorder();
    let builder = listener(stage, &["t"]).await?.endpoint(answering("recording", &recorder, |_| Err(HandlerFailed)));
    let listener = builder.on_failure(impatient(2)).start(stage.soon()).await?;
    send_events(&notifier(stage, &["t"]).await?, [1]).await?;
    recorder.wait(2).await?;
    listener.shutdown(stage.soon()).await?;
    let queue = queue(stage, "t", Priority::Info);
    let mut dead = DeadLetters::open(&stage.bus().await?, &queue, stage.soon()).await?;
    let letter = dead.next(stage.budget().arrive).await?.ok_or("there is a dead letter")?;
    let info = letter.info();
    assert_eq!((info.queue.as_str(), info.detail.as_str()), (queue.as_str(), "shop.errors.HandlerFailed: not today"));
    let origin = info.origin.as_ref().map(|origin| (origin.exchange.clone(), origin.routing_key.clone()));
    assert_eq!(origin, Some((stage.name("e"), queue)));
    letter.discard().await?;
    Ok(dead.close(stage.soon()).await?)
}

/// The dead-letter queue must stay empty: a listener that moves the event at its first failure leaves a letter.
async fn a_second_try_may_succeed(stage: &Stage) -> Outcome {
    let recorder = stage.recorder();
    let endpoint = answering("recording", &recorder, |event| {
        if event.attempt == 1 { Err(HandlerFailed) } else { Ok(NotificationResult::Handled) }
    });
    let builder = listener(stage, &["t"]).await?.endpoint(endpoint);
    let listener = builder.on_failure(impatient(5)).start(stage.soon()).await?;
    send_events(&notifier(stage, &["t"]).await?, [1]).await?;
    recorder.wait(2).await?;
    recorder.quiet().await?;
    listener.shutdown(stage.soon()).await?;
    assert_eq!(dead_letters(stage, &queue(stage, "t", Priority::Info)).await?, []);
    Ok(())
}

/// The event is tried twice, as with dead letters, but no letter may be left.
async fn an_event_may_be_dropped_instead(stage: &Stage) -> Outcome {
    let recorder = stage.recorder();
    let builder = listener(stage, &["t"]).await?.endpoint(answering("recording", &recorder, |_| Err(HandlerFailed)));
    let policy = impatient(2).with_give_up(GiveUp::Drop);
    let listener = builder.on_failure(policy).start(stage.soon()).await?;
    send_events(&notifier(stage, &["t"]).await?, [1]).await?;
    recorder.wait(2).await?;
    recorder.quiet().await?;
    listener.shutdown(stage.soon()).await?;
    assert_eq!(dead_letters(stage, &queue(stage, "t", Priority::Info)).await?, []);
    Ok(())
}

/// Publishes bodies that are no notifications, as a faulty peer would.
async fn publish_raw(stage: &Stage, bodies: impl IntoIterator<Item = impl AsRef<[u8]>>) -> oslo_messaging::Result<()> {
    let transport = stage.connect().await?;
    let to = Address::Notification { exchange: stage.name("e"), topic: stage.name("t"), priority: "info".to_owned() };
    for body in bodies {
        let message = Message::new(body.as_ref().to_vec());
        transport.publish(&to, message, &PublishOptions::by(stage.soon()).ensure_queue()).await?;
    }
    Ok(())
}

/// Sends text that is not JSON, a JSON list, and an envelope of an unknown version.
/// Their attempts are 0, since no handler saw them. A valid event after them must still be handled.
async fn what_is_no_notification_is_kept_as_a_dead_letter(stage: &Stage) -> Outcome {
    let recorder = stage.recorder();
    let listener =
        listener(stage, &["t"]).await?.endpoint(recording("recording", &recorder)).start(stage.soon()).await?;
    publish_raw(stage, ["not json", "[1]", r#"{"oslo.version": "3.0", "oslo.message": "{}"}"#]).await?;
    send_events(&notifier(stage, &["t"]).await?, [1]).await?;
    recorder.wait(1).await?;
    listener.shutdown(stage.soon()).await?;
    let dead = dead_letters(stage, &queue(stage, "t", Priority::Info)).await?;
    assert_eq!(dead, vec![(DeadReason::Undecodable, 0, String::new()); 3]);
    Ok(())
}

/// An `order.created` event with the payload `{"n": 1}`, which a case encodes itself.
fn notification(priority: &str, unique_id: &str) -> Notification {
    let mut notification = Notification::new(Payload::from(json!({ "n": 1 })));
    notification.event_type = Some("order.created".to_owned());
    notification.priority = Some(priority.to_owned());
    unique_id.clone_into(&mut notification.unique_id);
    notification
}

/// The queue is that of `info`, so the priority inside of the message differs from the one of its queue.
async fn an_unknown_priority_is_skipped(stage: &Stage) -> Outcome {
    let recorder = stage.recorder();
    let listener =
        listener(stage, &["t"]).await?.endpoint(recording("recording", &recorder)).start(stage.soon()).await?;
    publish_raw(stage, [notification("LOUD", "1").encode(oslo_messaging::wire::Format::V2)]).await?;
    send_events(&notifier(stage, &["t"]).await?, [2]).await?;
    recorder.wait(1).await?;
    recorder.quiet().await?;
    assert_eq!(recorder.at("recording"), ["2"]);
    Ok(listener.shutdown(stage.soon()).await?)
}

/// Both copies carry the same `_unique_id`. The event after them shows that the listener is done with the second copy.
async fn a_copy_is_handled_once(stage: &Stage) -> Outcome {
    let recorder = stage.recorder();
    let listener =
        listener(stage, &["t"]).await?.endpoint(recording("recording", &recorder)).start(stage.soon()).await?;
    let body = notification("INFO", "the same").encode(oslo_messaging::wire::Format::V2);
    publish_raw(stage, [&body, &body]).await?;
    send_events(&notifier(stage, &["t"]).await?, [2]).await?;
    recorder.wait(2).await?;
    recorder.quiet().await?;
    assert_eq!(recorder.at("recording"), ["1", "2"]);
    Ok(listener.shutdown(stage.soon()).await?)
}

/// A replay through the exchange would reach the plain listener a second time.
async fn a_dead_letter_goes_back_to_its_own_queue(stage: &Stage) -> Outcome {
    let (recorder, others) = (stage.recorder(), stage.recorder());
    let without = listener(stage, &["t"]).await?.endpoint(recording("none", &others)).start(stage.soon()).await?;
    let pool = stage.name("pool");
    let failing = answering("failing", &recorder, |_| Err(HandlerFailed));
    let builder = listener(stage, &["t"]).await?.endpoint(failing).pool(&pool).on_failure(impatient(1));
    let failing = builder.start(stage.soon()).await?;
    send_events(&notifier(stage, &["t"]).await?, [1]).await?;
    recorder.wait(1).await?;
    failing.shutdown(stage.soon()).await?;
    let mut dead = DeadLetters::open(&stage.bus().await?, &pool, stage.soon()).await?;
    assert_eq!(dead.replay_all(stage.budget().quiet, stage.soon()).await?, 1);
    dead.close(stage.soon()).await?;
    let well =
        listener(stage, &["t"]).await?.endpoint(recording("well", &recorder)).pool(&pool).start(stage.soon()).await?;
    recorder.wait(2).await?;
    assert_eq!(recorder.at("well"), ["1"]);
    others.wait(1).await?;
    others.quiet().await?;
    well.shutdown(stage.soon()).await?;
    Ok(without.shutdown(stage.soon()).await?)
}

/// The handler of event 0 waits for a permit while 200 others pass; that is far more than the ten concurrent handlers.
async fn one_that_takes_long_stops_no_other(stage: &Stage) -> Outcome {
    let recorder = stage.recorder();
    let gate = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let (held, seen) = (std::sync::Arc::clone(&gate), recorder.clone());
    let endpoint = oslo_messaging::NotificationEndpoint::new(()).on(
        Priority::Info,
        "*",
        move |_, event: oslo_messaging::Event<serde_json::Value>| {
            let (held, seen) = (std::sync::Arc::clone(&held), seen.clone());
            async move {
                if event.payload["n"] == 0 {
                    let _permit = held.acquire().await;
                }
                seen.record("recording", &event.payload["n"]);
                Ok::<_, std::convert::Infallible>(())
            }
        },
    );
    let listener = listener(stage, &["t"]).await?.concurrency(10).endpoint(endpoint).start(stage.soon()).await?;
    send_events(&notifier(stage, &["t"]).await?, 0..=200).await?;
    recorder.wait(200).await?;
    assert!(!recorder.at("recording").contains(&"0".to_owned()));
    gate.add_permits(1);
    recorder.wait(201).await?;
    Ok(listener.shutdown(stage.soon()).await?)
}
