//! Events that are lost in the background: how an operator hears of them.

use std::time::Duration;

use oslo_messaging::notify::{OutboxConfig, Queued};
use oslo_messaging::{BackgroundNotifier, Bus, Context, Deadline, ErrorKind, Notifier};
use oslo_messaging_fake::FakeBroker;

use crate::log::capture;
use crate::spy::bus;

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(30))
}

/// Queues events with these numbers and says how many were dropped.
fn dropped(notifier: &BackgroundNotifier, events: std::ops::Range<u32>) -> usize {
    events.filter(|n| notifier.info(&Context::new(), "e", n).unwrap() == Queued::Dropped).count()
}

#[tokio::test(start_paused = true)]
async fn losses_are_logged_once_in_an_interval_with_their_number() {
    let (log, _guard) = capture();
    let broker = FakeBroker::new();
    broker.faults().block("no memory");
    let config = OutboxConfig::default().with_max_events(100).with_age(Duration::from_secs(25));
    let notifier = Notifier::new(&Bus::new(broker.transport()), "p").background(config);
    // 1,100 events in eleven seconds, of which a hundred fit.
    for round in 0..11 {
        assert_eq!(dropped(&notifier, 0..100), if round == 0 { 0 } else { 100 });
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let fields = || log.warnings().into_iter().map(|line| line.fields).collect::<Vec<_>>();
    assert_eq!(
        fields(),
        [
            r#"dropped=100 expired=0 failed=0 last_error="" "#,
            // Ten seconds later.
            r#"dropped=900 expired=0 failed=0 last_error="" "#,
        ]
    );
    tokio::time::sleep(Duration::from_secs(60)).await;
    let lines = fields();
    // The last hundred became too old, in the order of their deadlines.
    let expired: u64 = notifier.counts().expired;
    assert_eq!(expired, 100);
    assert_eq!(lines.len(), 4, "{lines:#?}");
    let expired_of = |line: &str| line.split(' ').find_map(|field| field.strip_prefix("expired=")?.parse::<u64>().ok());
    assert_eq!(lines[2..].iter().filter_map(|line| expired_of(line)).sum::<u64>(), 100, "{lines:#?}");
    assert!(lines[2..].iter().all(|line| line.contains("blocked by the broker")), "{lines:#?}");
}

#[tokio::test(start_paused = true)]
async fn closing_says_how_many_are_left_and_takes_no_more() {
    let (log, _guard) = capture();
    let broker = FakeBroker::new();
    broker.faults().block("no memory");
    let notifier = Notifier::new(&Bus::new(broker.transport()), "p").background(OutboxConfig::default());
    dropped(&notifier, 0..80);
    let meanwhile = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        notifier.info(&Context::new(), "e", &1).unwrap_err().kind()
    };
    let (left, refused) = tokio::join!(notifier.close(Deadline::after(Duration::from_secs(2))), meanwhile);
    assert_eq!((left, refused), (80, ErrorKind::Closed));
    assert_eq!(notifier.close(soon()).await, 80, "closing again returns the same number");
    assert_eq!(notifier.info(&Context::new(), "e", &1).unwrap_err().kind(), ErrorKind::Closed);
    let counts = notifier.counts();
    assert_eq!((counts.abandoned, counts.held), (80, 0));
    drop(notifier);
    let warnings = log.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert_eq!(warnings[0].fields, "events=80 ");
    broker.faults().unblock();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(broker.queues().is_empty(), "nothing is published after the end");
}

#[tokio::test(start_paused = true)]
async fn the_last_handle_that_is_dropped_ends_the_outbox_with_a_warning() {
    let (log, _guard) = capture();
    let broker = FakeBroker::new();
    let (bus, spy) = bus(&broker);
    broker.faults().block("no memory");
    let notifier = Notifier::new(&bus, "p").background(OutboxConfig::default());
    let clone = notifier.clone();
    dropped(&notifier, 0..80);
    drop(notifier);
    tokio::task::yield_now().await;
    assert_eq!((log.warnings().len(), clone.counts().held), (0, 80));
    drop(clone);
    assert_eq!(log.warnings()[0].fields, "events=80 ");
    broker.faults().unblock();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(spy.published().len(), 64, "what was under way was given up, and no other begun");
    assert!(broker.queues().is_empty());
}
