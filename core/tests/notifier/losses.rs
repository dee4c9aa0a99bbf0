//! Events that are lost in the background: which, how many, and where they are reported.

use std::num::NonZeroUsize;
use std::time::Duration;

use async_trait::async_trait;
use oslo_messaging::notify::{NotificationSink, OutboxConfig, OutgoingEvent, Queued, RecordingSink, WhenFull};
use oslo_messaging::{BackgroundNotifier, Bus, Context, Deadline, Notifier, Result, Retry};
use oslo_messaging_fake::{FakeBroker, Fault, FaultRule};

use crate::spy::bus;

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(30))
}

/// Queues events with these numbers and says how many were dropped.
fn dropped(notifier: &BackgroundNotifier, events: std::ops::Range<u32>) -> usize {
    events.filter(|n| notifier.info(&Context::new(), "e", n).unwrap() == Queued::Dropped).count()
}

fn numbers(sink: &RecordingSink) -> Vec<u32> {
    sink.recorded().iter().map(|event| event.payload.decode().unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_full_outbox_drops_the_newest_or_the_oldest_by_its_configuration() {
    let config = OutboxConfig::default().with_max_events(3);
    for (when_full, refused, kept) in [(WhenFull::DropNewest, 2, [0, 1, 2]), (WhenFull::DropOldest, 0, [2, 3, 4])] {
        let sink = RecordingSink::new();
        let notifier = Notifier::from_sink("p", sink.clone()).background(config.with_when_full(when_full));
        assert_eq!(dropped(&notifier, 0..5), refused, "{when_full:?}");
        assert_eq!(notifier.counts().dropped, 2);
        assert_eq!(notifier.close(soon()).await, 0);
        assert_eq!(numbers(&sink), kept, "{when_full:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_being_published_counts_and_is_not_dropped() {
    let broker = FakeBroker::new();
    let (bus, spy) = bus(&broker);
    broker.faults().block("no memory");
    let config = OutboxConfig::default().with_max_events(2).with_in_flight(NonZeroUsize::new(2).unwrap());
    let notifier = Notifier::new(&bus, "p").background(config.with_when_full(WhenFull::DropOldest));
    assert_eq!(dropped(&notifier, 0..2), 0);
    tokio::task::yield_now().await;
    assert_eq!(spy.published().len(), 2);
    assert_eq!(dropped(&notifier, 2..4), 2, "nothing waits that could give way");
    broker.faults().unblock();
    assert_eq!(notifier.close(soon()).await, 0);
    assert_eq!(broker.queue("notifications.info").unwrap().ready, 2);
}

#[tokio::test(start_paused = true)]
async fn an_outbox_holds_no_more_bytes_than_its_limit() {
    const KIB: usize = 1024;
    let broker = FakeBroker::new();
    broker.faults().block("no memory");
    let text = "x".repeat(10 * KIB);
    for when_full in [WhenFull::DropNewest, WhenFull::DropOldest] {
        let config = OutboxConfig::default().with_max_bytes(100 * KIB).with_when_full(when_full);
        let notifier = Notifier::new(&Bus::new(broker.transport()), "p").background(config);
        for _ in 0..1_000 {
            notifier.info(&Context::new(), "e", &text).unwrap();
            assert!(notifier.counts().held * text.len() <= 100 * KIB);
        }
        assert_eq!(notifier.counts().held, 9, "beside each event, its own overhead");
        // An event that could never fit displaces no other.
        let huge = "x".repeat(100 * KIB);
        assert_eq!(notifier.info(&Context::new(), "e", &huge).unwrap(), Queued::Dropped);
        assert_eq!(notifier.counts().held, 9);
        assert_eq!(notifier.close(Deadline::after(Duration::ZERO)).await, 9);
    }
}

#[tokio::test(start_paused = true)]
async fn what_has_left_an_outbox_takes_no_room_in_it() {
    let sink = RecordingSink::new();
    let text = "x".repeat(10 * 1024);
    let config = OutboxConfig::default().with_max_bytes(2 * text.len()).with_max_events(1);
    let notifier = Notifier::from_sink("p", sink.clone()).background(config);
    for _ in 0..100 {
        assert_eq!(notifier.info(&Context::new(), "e", &text).unwrap(), Queued::Yes);
        assert_eq!(notifier.flush(soon()).await, 0);
    }
    assert_eq!(sink.recorded().len(), 100);
}

#[tokio::test(start_paused = true)]
async fn what_is_too_old_is_given_up_and_what_is_not_arrives() {
    let broker = FakeBroker::new();
    broker.faults().block("no memory");
    let config = OutboxConfig::default().with_age(Duration::from_secs(10)).with_in_flight(NonZeroUsize::MIN);
    let notifier = Notifier::new(&Bus::new(broker.transport()), "p").background(config);
    dropped(&notifier, 0..100);
    tokio::time::sleep(Duration::from_secs(6)).await;
    dropped(&notifier, 100..130);
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!((notifier.counts().expired, notifier.counts().held), (100, 30));
    broker.faults().unblock();
    assert_eq!(notifier.flush(soon()).await, 0);
    assert_eq!((notifier.counts().published, notifier.counts().failed), (30, 0));
    assert_eq!(broker.queue("notifications.info").unwrap().ready, 30);
}

#[tokio::test(start_paused = true)]
async fn what_will_never_arrive_counts_as_failed() {
    let broker = FakeBroker::new();
    let (bus, _) = bus(&broker);
    broker.faults().add(FaultRule::new(Fault::Return));
    broker.faults().add(FaultRule::new(Fault::Nack).times(3));
    let notifier = Notifier::new(&bus, "p").retry(Retry::times(2)).background(OutboxConfig::default());
    dropped(&notifier, 0..1);
    assert_eq!(notifier.flush(soon()).await, 0);
    dropped(&notifier, 1..2);
    assert_eq!(notifier.flush(soon()).await, 0);
    dropped(&notifier, 2..3);
    assert_eq!(notifier.flush(soon()).await, 0);
    let counts = notifier.counts();
    assert_eq!((counts.failed, counts.expired, counts.published), (2, 0, 1));
}

/// Panics at every event.
#[derive(Debug)]
struct Broken;

#[async_trait]
impl NotificationSink for Broken {
    async fn publish(&self, event: &OutgoingEvent, _: Deadline) -> Result<()> {
        panic!("a broken sink was given {}", event.event_type)
    }

    fn is_noop(&self) -> bool {
        false
    }
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_panics_loses_its_event_and_no_other() {
    let sink = RecordingSink::new();
    let well = Notifier::from_sink("p", sink.clone()).background(OutboxConfig::default());
    let broken = well.prepare(|notifier| notifier.with_sink(Broken));
    dropped(&broken, 0..1);
    dropped(&well, 1..2);
    assert_eq!(well.close(soon()).await, 0);
    assert_eq!((well.counts().failed, well.counts().published), (1, 1));
}
