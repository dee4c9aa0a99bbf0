//! A background notifier whose broker is away.

use std::time::{Duration, Instant};

use oslo_messaging::notify::{MessagingSink, OutboxConfig, OutboxCounts, Queued};
use oslo_messaging::{BackgroundNotifier, Bus, Context, Deadline, Notifier};
use serde_json::json;

use crate::child::bus;
use crate::killed::{listener, next};
use testkit::stage::{ARRIVE, BorrowedNode, Stage, blocking, soon, unique, until, within};

/// How many events fit.
const ROOM: u64 = 2_000;
/// What 10,000 events may take: a hundred times what they take on an idle machine.
const AT_ONCE: Duration = Duration::from_secs(10);

pub(crate) async fn while_the_broker_is_away() {
    let (node, stage) = Stage::own().await;
    let topic = unique("events");
    let bus = bus(&stage.node.url_as("guest", "guest", &stage.vhost)).await;
    let notifier = background(&bus, &topic, Duration::from_secs(600));
    let node = killed(node).await;

    let begun = Instant::now();
    let queued = (0..10_000_u64).filter(|n| tell(&notifier, *n) == Queued::Yes).count() as u64;
    assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
    let OutboxCounts { dropped, held, .. } = notifier.counts();
    assert_eq!((queued, dropped, held as u64), (ROOM, 10_000 - ROOM, ROOM));

    let _node = blocking(move || {
        let mut node = node;
        node.restart().expect("it is back");
        node
    })
    .await;
    assert_eq!(notifier.flush(Deadline::after(ARRIVE * 2)).await, 0, "{:?}", notifier.counts());
    assert_eq!(notifier.counts().published, ROOM);
    let (builder, mut heard) = listener(&bus, &topic);
    let listener = builder.start(soon()).await.expect("it starts");
    let mut last = 0;
    while last < ROOM - 1 {
        last = next(&mut heard).await.0;
    }
    within(ARRIVE, "the end", listener.shutdown(soon())).await.expect("it ends");
    assert_eq!(notifier.close(soon()).await, 0);
}

pub(crate) async fn too_old() {
    let (node, stage) = Stage::own().await;
    let topic = unique("events");
    let bus = bus(&stage.node.url_as("guest", "guest", &stage.vhost)).await;
    let notifier = background(&bus, &topic, Duration::from_secs(1));
    let _node = killed(node).await;
    for n in 0..100 {
        assert_eq!(tell(&notifier, n), Queued::Yes);
    }
    until("the events to become too old", async || notifier.counts().held == 0).await;
    let counts = notifier.counts();
    assert_eq!((counts.expired, counts.published, counts.dropped), (100, 0, 0), "{counts:?}");
    assert_eq!(notifier.close(soon()).await, 0);
}

fn background(bus: &Bus, topic: &str, age: Duration) -> BackgroundNotifier {
    let room = usize::try_from(ROOM).expect("it is small");
    let config = OutboxConfig::default().with_max_events(room).with_age(age);
    Notifier::from_sink("shop.host-1", MessagingSink::new(bus).topics([topic])).background(config)
}

fn tell(notifier: &BackgroundNotifier, n: u64) -> Queued {
    notifier.info(&Context::new(), "order.created", &json!({ "n": n })).expect("it has a JSON form")
}

async fn killed(mut node: BorrowedNode) -> BorrowedNode {
    blocking(move || {
        node.kill().expect("it is dead");
        node
    })
    .await
}
