//! Events that are published in the background: which arrive, and in which order.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use oslo_messaging::driver::{Source, Subscription, Transport};
use oslo_messaging::notify::{MessagingSink, OutboxConfig, Queued, RecordingSink};
use oslo_messaging::wire::Notification;
use oslo_messaging::{BackgroundNotifier, Bus, Context, Deadline, ErrorKind, Notifier, Priority};
use oslo_messaging_fake::{Cut, FakeBroker, Fault, FaultRule};
use tokio::time::Instant;

use crate::spy::{Spy, bus};

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(30))
}

fn send(notifier: &BackgroundNotifier, events: std::ops::Range<u32>) {
    for n in events {
        assert_eq!(notifier.info(&Context::new(), "e", &n).unwrap(), Queued::Yes);
    }
}

/// The payloads that were handed to the driver, in order.
fn payloads(spy: &Spy) -> Vec<u64> {
    spy.published().iter().map(|publish| publish.content()["payload"].as_u64().unwrap()).collect()
}

/// Takes `events` from the queue of `topic` and says their payloads in order.
async fn read(broker: &FakeBroker, topic: &str, events: usize) -> Vec<u64> {
    let source = Source::Queue { name: format!("{topic}.info") };
    let transport = broker.transport();
    let mut listener = transport.subscribe(&Subscription::new(source), soon()).await.unwrap();
    let mut payloads = Vec::new();
    while payloads.len() < events {
        let polled = soon().run("poll", listener.poll(NonZeroUsize::MAX)).await.unwrap().unwrap().unwrap();
        for message in polled {
            payloads.push(Notification::decode(message.message()).unwrap().payload.decode().unwrap());
            message.acknowledge().await.unwrap();
        }
    }
    payloads
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_events_return_at_once_while_the_broker_is_away_and_arrive_when_it_is_back() {
    let broker = FakeBroker::new();
    broker.faults().block("no memory");
    let notifier = Notifier::new(&Bus::new(broker.transport()), "p").background(OutboxConfig::default());
    let begin = Instant::now();
    send(&notifier, 0..10_000);
    assert_eq!(begin.elapsed(), Duration::ZERO, "nothing was waited for");
    let counts = notifier.counts();
    assert_eq!((counts.queued, counts.held, counts.dropped), (10_000, 10_000, 0));

    tokio::time::sleep(Duration::from_secs(59)).await;
    assert_eq!(notifier.counts().held, 10_000);
    broker.faults().unblock();
    assert_eq!(notifier.flush(soon()).await, 0);
    let counts = notifier.counts();
    assert_eq!((counts.published, counts.expired, counts.failed, counts.held), (10_000, 0, 0, 0));
    assert_eq!(broker.queue("notifications.info").unwrap().ready, 10_000);
}

#[tokio::test(start_paused = true)]
async fn events_are_first_tried_in_order_whatever_a_topic_answers() {
    let broker = FakeBroker::new();
    let (bus, spy) = bus(&broker);
    // Ten that take long: those behind them are not held up, and do not pass in front of each other.
    let slow = FaultRule::new(Fault::Delay(Duration::from_secs(1))).after(5).times(10);
    broker.faults().add(slow);
    let sink = MessagingSink::new(&bus).topics(["one", "two", "three"]);
    let notifier = Notifier::from_sink("p", sink).background(OutboxConfig::default());
    send(&notifier, 0..1_000);
    assert_eq!(notifier.flush(soon()).await, 0);
    let mut topics: HashMap<String, Vec<u64>> = HashMap::new();
    for (publish, payload) in spy.published().iter().zip(payloads(&spy)) {
        topics.entry(publish.route().1).or_default().push(payload);
    }
    assert_eq!(topics.len(), 3);
    for (topic, payloads) in topics {
        assert_eq!(payloads, (0..1_000).collect::<Vec<_>>(), "{topic}");
    }
}

#[tokio::test(start_paused = true)]
async fn events_lie_in_their_queues_in_the_order_they_were_queued_in_the_outbox() {
    let broker = FakeBroker::new();
    let bus = Bus::new(broker.transport());
    // Four publishes for each event use up the task's share of the runtime in the middle of one.
    let topics = ["one", "two", "three", "four"];
    let sink = MessagingSink::new(&bus).topics(topics);
    let notifier = Notifier::from_sink("p", sink).background(OutboxConfig::default());
    send(&notifier, 0..1_000);
    assert_eq!(notifier.flush(soon()).await, 0);
    for topic in topics {
        assert_eq!(read(&broker, topic, 1_000).await, (0..1_000).collect::<Vec<_>>(), "{topic}");
    }
}

#[tokio::test(start_paused = true)]
async fn events_outlive_a_lost_connection() {
    let broker = FakeBroker::new();
    let (bus, spy) = bus(&broker);
    broker.faults().add(FaultRule::new(Fault::Disconnect(Cut::BeforeSend)).after(10));
    let notifier = Notifier::new(&bus, "p").background(OutboxConfig::default());
    send(&notifier, 0..200);
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!((notifier.counts().published, broker.faults().met()), (10, 1));
    spy.reconnect(&broker);
    assert_eq!(notifier.flush(soon()).await, 0);
    assert_eq!(broker.queue("notifications.info").unwrap().ready, 200);
    drop(spy.transport());
}

#[tokio::test(start_paused = true)]
async fn no_more_than_the_limit_are_published_at_once() {
    let broker = FakeBroker::new();
    let (bus, spy) = bus(&broker);
    broker.faults().block("no memory");
    let config = OutboxConfig::default().with_in_flight(NonZeroUsize::new(7).unwrap());
    let notifier = Notifier::new(&bus, "p").background(config);
    send(&notifier, 0..100);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(payloads(&spy), (0..7).collect::<Vec<_>>());
    broker.faults().unblock();
    assert_eq!(notifier.flush(soon()).await, 0);
    assert_eq!(payloads(&spy), (0..100).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn flush_waits_for_what_was_queued_before_and_not_for_what_comes_after() {
    let broker = FakeBroker::new();
    let (bus, _) = bus(&broker);
    let notifier = Notifier::new(&bus, "p").background(OutboxConfig::default());
    broker.faults().add(FaultRule::new(Fault::Delay(Duration::from_secs(2))).times(5));
    send(&notifier, 0..5);
    let begin = Instant::now();
    let later = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        broker.faults().block("no memory");
        send(&notifier, 5..8);
    };
    assert_eq!(tokio::join!(notifier.flush(soon()), later).0, 0);
    assert_eq!(begin.elapsed().as_secs(), 2, "when the five had arrived");
    assert_eq!(notifier.flush(Deadline::after(Duration::from_secs(1))).await, 3, "these are left, and stay");
    assert_eq!(notifier.counts().held, 3);
    broker.faults().unblock();
    assert_eq!(notifier.close(soon()).await, 0);
    assert_eq!(notifier.counts().published, 8);
}

#[tokio::test(start_paused = true)]
async fn a_payload_error_is_returned_at_once_and_costs_no_other_event() {
    let sink = RecordingSink::new();
    let notifier = Notifier::from_sink("p", sink.clone()).background(OutboxConfig::default());
    let odd = HashMap::from([((1, 2), 3)]);
    assert_eq!(notifier.info(&Context::new(), "e", &odd).unwrap_err().kind(), ErrorKind::Encode);
    send(&notifier, 0..1);
    assert_eq!(notifier.close(soon()).await, 0);
    assert_eq!((sink.recorded().len(), notifier.counts().queued), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn every_priority_and_setting_reaches_the_event_through_one_outbox() {
    let sink = RecordingSink::new();
    let notifier = Notifier::from_sink("p", sink.clone()).background(OutboxConfig::default());
    let context = Context::new().with("user", "bob").with("token", "hunter2");
    let other = notifier.prepare(|notifier| notifier.publisher_id("other").allow_context(["user"]));
    let queued = [
        other.audit(&context, "e", &1),
        other.debug(&context, "e", &1),
        other.info(&context, "e", &1),
        other.warn(&context, "e", &1),
        other.error(&context, "e", &1),
        other.critical(&context, "e", &1),
        other.sample(&context, "e", &1),
    ];
    assert!(queued.into_iter().all(|queued| queued.unwrap() == Queued::Yes));
    assert_eq!(notifier.flush(soon()).await, 0);
    let recorded = sink.recorded();
    assert_eq!(recorded.iter().map(|event| event.priority).collect::<Vec<_>>(), Priority::ALL);
    for event in recorded {
        assert_eq!(event.publisher_id, "other");
        assert_eq!(event.context.values().map(|(name, _)| name).collect::<Vec<_>>(), ["user"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_threads_fill_one_outbox_and_lose_nothing() {
    let broker = FakeBroker::new();
    let bus = Bus::new(broker.transport());
    let notifier = Arc::new(Notifier::new(&bus, "p").background(OutboxConfig::default()));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let notifier = Arc::clone(&notifier);
            tokio::task::spawn_blocking(move || send(&notifier, 0..500))
        })
        .collect();
    for thread in threads {
        thread.await.unwrap();
    }
    assert_eq!(notifier.close(soon()).await, 0);
    assert_eq!(broker.queue("notifications.info").unwrap().ready, 2_000);
}
