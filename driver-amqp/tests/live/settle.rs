//! Settling: in how many frames, and what comes back.

use std::time::Duration;

use futures_util::FutureExt;
use oslo_messaging::ErrorKind;
use oslo_messaging::driver::{Listener, Settle, Source, Subscription, Transport};
use oslo_messaging_amqp::AmqpTransport;
use tokio::runtime::Builder;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use testkit::stage::{
    ARRIVE, Stage, all, assert_quiet, back, blocking, handed_over, only, publish, refusal, soon, subscribe, take, text,
    texts, until, within,
};

const WINDOW: u16 = 100;

pub(crate) async fn what_is_ready_is_acknowledged_in_one_frame_and_one_message_does_not_wait() {
    let stage = Stage::shared().await;
    let transport = stage.connect().await;
    let mut listener = filled(&transport, Settle::BeforeHandover, 0).await;
    send(&transport, 0..1).await;
    assert_eq!(within(ARRIVE, "one alone", listener.poll(all())).await.expect("a message").expect("no end").len(), 1);
    let before = transport.counters();
    assert_eq!((before.handed_over_acknowledged, before.handover_acknowledgements), (1, 1));

    send(&transport, 1..101).await;
    handed_over(&stage, 100).await;
    assert_eq!(take(listener.as_mut(), 100).await.len(), 100);
    let after = transport.counters();
    assert_eq!(after.handed_over_acknowledged, 101);
    // One, unless the last frames were still on their way to us.
    let frames = after.handover_acknowledgements - before.handover_acknowledgements;
    assert!(frames <= 3, "{frames} frames");
    handed_over(&stage, 0).await;
}

pub(crate) async fn receivers_acknowledge_the_prefix_in_one_frame_and_later_ones_singly() {
    let stage = Stage::shared().await;
    let transport = stage.connect().await;
    let mut listener = filled(&transport, Settle::ByReceiver, 20).await;
    let mut taken: Vec<_> = take(listener.as_mut(), 20).await.into_iter().map(Some).collect();
    for message in &mut taken[..10] {
        message.take().expect("once").acknowledge().await.expect("an acknowledgement");
    }
    handed_over(&stage, 10).await;
    // One, unless this machine took longer than the five milliseconds over it.
    let prefix = transport.counters().receiver_acknowledgements;
    assert!(prefix <= 3, "{prefix} frames");
    for index in [12, 15] {
        taken[index].take().expect("once").acknowledge().await.expect("an acknowledgement");
    }
    handed_over(&stage, 8).await;
    assert_eq!(transport.counters().receiver_acknowledgements - prefix, 2, "two that nothing precedes");
    drop(taken);
    let mut back = take(listener.as_mut(), 8).await;
    assert!(back.iter().all(|message| message.redelivered()));
    back.sort_by_key(|message| text(message.as_ref()));
    assert_eq!(texts(&back), ["0010", "0011", "0013", "0014", "0016", "0017", "0018", "0019"]);
}

pub(crate) async fn what_is_dropped_unsettled_comes_back_and_says_so() {
    let stage = Stage::shared().await;
    let transport = stage.connect().await;
    let mut listener = filled(&transport, Settle::ByReceiver, 1).await;
    assert!(!take(listener.as_mut(), 1).await.remove(0).redelivered());
    let again = take(listener.as_mut(), 1).await.remove(0);
    assert!(again.redelivered());
    again.acknowledge().await.expect("an acknowledgement");
    assert_quiet(listener.as_mut()).await;
}

pub(crate) async fn what_was_acknowledged_before_a_close_is_gone_and_settling_after_it_is_closed() {
    let stage = Stage::shared().await;
    let transport = stage.connect().await;
    let mut listener = filled(&transport, Settle::ByReceiver, 10).await;
    let mut taken = take(listener.as_mut(), 10).await;
    let late = taken.split_off(8);
    for message in taken {
        message.acknowledge().await.expect("an acknowledgement");
    }
    listener.close(soon()).await.expect("a close");
    for message in late {
        assert_eq!(refusal(message.acknowledge().await).kind(), ErrorKind::Closed);
    }
    let mut next = filled(&transport, Settle::ByReceiver, 0).await;
    let back = take(next.as_mut(), 2).await;
    assert_eq!(
        (texts(&back), back.iter().all(|message| message.redelivered())),
        (vec!["0008".into(), "0009".into()], true)
    );
    assert_quiet(next.as_mut()).await;
}

pub(crate) async fn what_was_acknowledged_before_the_transport_closes_is_gone() {
    let stage = Stage::shared().await;
    let (transport, other) = (stage.connect().await, stage.connect().await);
    let mut listener = filled(&transport, Settle::ByReceiver, 2).await;
    let mut taken = take(listener.as_mut(), 2).await;
    let kept = taken.pop().expect("two were taken");
    taken.remove(0).acknowledge().await.expect("an acknowledgement");
    transport.close(soon()).await.expect("it closes");
    let refused = kept.acknowledge().await.expect_err("the transport is gone");
    assert!(matches!(refused.kind(), ErrorKind::Closed | ErrorKind::Disconnected), "{refused}");
    let mut listener = filled(&other, Settle::ByReceiver, 0).await;
    let again = take(listener.as_mut(), 1).await;
    assert_eq!(texts(&again), ["0001"]);
    assert_quiet(listener.as_mut()).await;
}

/// A reader that polls on may learn of the close before its acknowledgement is written.
pub(crate) async fn what_was_acknowledged_before_the_transport_closes_under_a_poll_is_gone() {
    let stage = Stage::shared().await;
    // On one thread nothing is written before both the close and the poll have begun.
    let alone = move || {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(close_under_a_poll(&stage));
    };
    blocking(alone).await;
}

async fn close_under_a_poll(stage: &Stage) {
    let (transport, other) = (stage.connect().await, stage.connect().await);
    let mut listener = filled(&transport, Settle::ByReceiver, 4).await;
    handed_over(stage, 4).await;
    let mut taken = Vec::new();
    while taken.len() < 2 {
        taken.extend(within(ARRIVE, "polling", listener.poll(only(1))).await.expect("a message").expect("not the end"));
    }
    let kept = taken.pop().expect("two were taken");
    taken.remove(0).acknowledge().await.expect("an acknowledgement");
    let (closed, polled) = tokio::join!(transport.close(soon()), listener.poll(all()));
    closed.expect("it closes");
    assert_eq!(refusal(polled).kind(), ErrorKind::Closed);
    let mut listener = filled(&other, Settle::ByReceiver, 0).await;
    let again = take(listener.as_mut(), 3).await;
    assert_eq!(texts(&again), ["0001", "0002", "0003"]);
    assert_quiet(listener.as_mut()).await;
    assert_eq!(refusal(kept.acknowledge().await).kind(), ErrorKind::Closed);
    let counters = transport.counters();
    assert_eq!((counters.settlements_dropped, counters.deliveries_dropped), (0, 2));
}

pub(crate) async fn what_was_acknowledged_before_a_drop_is_gone_and_the_rest_comes_back() {
    let stage = Stage::shared().await;
    let transport = stage.connect().await;
    let mut listener = filled(&transport, Settle::ByReceiver, 10).await;
    let mut taken = take(listener.as_mut(), 10).await;
    let held = taken.split_off(8);
    for message in taken {
        message.acknowledge().await.expect("an acknowledgement");
    }
    drop(listener);
    let mut next = filled(&transport, Settle::ByReceiver, 0).await;
    let back = take(next.as_mut(), 2).await;
    assert_eq!(
        (texts(&back), back.iter().all(|message| message.redelivered())),
        (vec!["0008".into(), "0009".into()], true)
    );
    assert_quiet(next.as_mut()).await;
    drop(held);
}

pub(crate) async fn a_stop_gives_out_what_was_handed_over_and_no_more() {
    for settle in [Settle::BeforeHandover, Settle::ByReceiver] {
        let stage = Stage::shared().await;
        let transport = stage.connect().await;
        let mut listener = filled(&transport, settle, 150).await;
        handed_over(&stage, usize::from(WINDOW)).await;
        listener.stop(soon()).await.expect("a stop");
        listener.stop(soon()).await.expect("another stop");
        let mut drained = Vec::new();
        while let Some(more) = within(ARRIVE, "draining", listener.poll(only(7))).await.expect("what is left") {
            drained.extend(more);
        }
        // What was not acknowledged before the stop is not taken over after it.
        let (taken, first_left) = match settle {
            Settle::BeforeHandover => (0, "0000"),
            Settle::ByReceiver => (usize::from(WINDOW), "0100"),
        };
        assert_eq!(drained.len(), taken, "{settle:?}");
        for message in drained {
            message.acknowledge().await.expect("an acknowledgement");
        }
        listener.close(soon()).await.expect("a close");
        let mut next = filled(&transport, Settle::ByReceiver, 0).await;
        assert_eq!(texts(&take(next.as_mut(), 50).await)[0], first_left, "{settle:?}");
    }
}

/// What a stopped listener still has is the broker's again when its channel goes, as with any other listener.
pub(crate) async fn a_stopped_listener_hands_over_nothing_of_a_channel_that_is_gone() {
    for settle in [Settle::BeforeHandover, Settle::ByReceiver] {
        let stage = Stage::shared().await;
        let (transport, other) = (stage.connect().await, stage.connect().await);
        let mut listener = filled(&transport, settle, 3).await;
        handed_over(&stage, 3).await;
        listener.stop(soon()).await.expect("a stop");
        transport.close(soon()).await.expect("a close");
        let polled = within(ARRIVE, "polling", listener.poll(all())).await;
        assert_eq!(refusal(polled).kind(), ErrorKind::Closed, "{settle:?}");

        let mut listener = filled(&other, settle, 0).await;
        handed_over(&stage, 3).await;
        listener.stop(soon()).await.expect("a stop");
        stage.close_connections("all out").await;
        back(&other, 1).await;
        let polled = within(ARRIVE, "polling", listener.poll(all())).await.expect("no error");
        assert!(polled.is_none(), "{settle:?}: {polled:?}");
        let mut next = filled(&other, Settle::ByReceiver, 0).await;
        assert_eq!(texts(&take(next.as_mut(), 3).await), ["0000", "0001", "0002"], "{settle:?}");
    }
}

/// Messages come in portions, the next one only after a poll was cancelled: polls end in every state of the stream.
pub(crate) async fn cancelled_polls_lose_nothing_and_keep_the_order() {
    const PORTION: usize = 100;
    for settle in [Settle::BeforeHandover, Settle::ByReceiver] {
        let stage = Stage::shared().await;
        let transport = stage.connect().await;
        let mut listener = filled(&transport, settle, 0).await;
        let cancelled = Semaphore::new(0);
        let mut taken = Vec::new();
        let sending = async {
            for portion in 0..10 {
                cancelled.acquire().await.expect("it is never closed").forget();
                send(&transport, portion * PORTION..(portion + 1) * PORTION).await;
            }
        };
        let polling = async {
            while taken.len() < 10 * PORTION {
                match timeout(Duration::from_millis(1), listener.poll(only(3))).await {
                    Ok(polled) => {
                        for message in polled.expect("messages").expect("not the end") {
                            taken.push(text(message.as_ref()));
                            message.acknowledge().await.expect("an acknowledgement");
                        }
                    }
                    Err(_) => cancelled.add_permits(1),
                }
            }
        };
        within(ARRIVE * 3, "polling", async { tokio::join!(sending, polling) }).await;
        same(&taken, &bodies(0..10 * PORTION));
        handed_over(&stage, 0).await;
        assert_quiet(listener.as_mut()).await;
    }
}

/// A poll that is dropped at its every step, not only where a timer happens to hit it.
pub(crate) async fn polls_dropped_after_one_step_lose_nothing() {
    let stage = Stage::shared().await;
    let transport = stage.connect().await;
    let mut listener = filled(&transport, Settle::BeforeHandover, 300).await;
    let mut taken = Vec::new();
    let polling = async {
        while taken.len() < 300 {
            if let Some(polled) = listener.poll(only(5)).now_or_never() {
                taken.extend(texts(&polled.expect("messages").expect("not the end")));
            }
            tokio::task::yield_now().await;
        }
    };
    within(ARRIVE, "polling", polling).await;
    same(&taken, &bodies(0..300));
}

/// What a closed listener leaves on the broker, and what a dropped one does.
pub(crate) async fn a_close_deletes_private_queues_and_a_drop_leaves_them_to_expire() {
    let stage = Stage::shared().await;
    let transport = stage.connect().await;
    let closed = subscribe(&transport, &Subscription::new(Source::Inbox)).await;
    let dropped = subscribe(&transport, &Subscription::new(Source::Inbox)).await;
    let oslo_messaging::driver::Address::Direct { queue: left } = dropped.address().clone() else { panic!("an inbox") };
    closed.close(soon()).await.expect("a close");
    drop(dropped);
    until("the dropped consumer to be gone", async || {
        let queues = stage.control(|stage| stage.node.queues(&stage.vhost).expect("queues")).await;
        assert_eq!(queues.len(), 1, "{queues:?}");
        assert_eq!(queues[0]["name"], *left);
        assert_eq!(format!("{}", queues[0]["arguments"]), r#"[["x-expires","long",1800000]]"#);
        queues[0]["consumers"] == 0
    })
    .await;
    transport.close(soon()).await.expect("a close");
}

/// A listener on a queue with `count` messages, of which the broker hands over a window at once.
async fn filled(transport: &AmqpTransport, settle: Settle, count: usize) -> Box<dyn Listener> {
    let window = WINDOW.try_into().expect("it is not zero");
    send(transport, 0..count).await;
    subscribe(
        transport,
        &Subscription::new(Source::Queue { name: "filled".into() }).with_settle(settle).with_window(window),
    )
    .await
}

async fn send(transport: &AmqpTransport, numbers: std::ops::Range<usize>) {
    let to = oslo_messaging::driver::Address::Queue { name: "filled".into() };
    let bodies = bodies(numbers);
    for outcome in futures_util::future::join_all(bodies.iter().map(|body| publish(transport, &to, body))).await {
        outcome.expect("a publish");
    }
}

fn bodies(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|number| format!("{number:04}")).collect()
}

/// Compares long lists without printing them.
fn same(taken: &[String], expected: &[String]) {
    let differs = taken.iter().zip(expected).position(|(taken, expected)| taken != expected);
    let around = differs.map(|index| &taken[index.saturating_sub(2)..taken.len().min(index + 5)]);
    assert_eq!((around, taken.len()), (None, expected.len()));
}
