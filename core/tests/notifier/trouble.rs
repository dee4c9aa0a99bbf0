//! What an awaited event does when the bus is in trouble.

use std::time::Duration;

use oslo_messaging::driver::{Address, Message};
use oslo_messaging::notify::{MessagingSink, NoopSink, RecordingSink};
use oslo_messaging::{Context, ErrorKind, Executed, Notifier, Retry};
use oslo_messaging_fake::{Cut, FakeBroker, Fault, FaultRule};
use tokio::time::Instant;

use crate::spy::{Publish, bus};

fn bodies(published: &[Publish]) -> Vec<String> {
    published.iter().map(|publish| String::from_utf8(publish.message.body.to_vec()).unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn an_event_that_may_have_arrived_is_sent_again_with_the_same_ids() {
    let broker = FakeBroker::new();
    let (bus, spy) = bus(&broker);
    broker.faults().add(FaultRule::new(Fault::Disconnect(Cut::BeforeConfirm)));
    let notifier = Notifier::new(&bus, "p");
    let context = Context::new();
    let (sent, ()) = tokio::join!(notifier.info(&context, "e", &1), async {
        while broker.faults().met() == 0 {
            tokio::task::yield_now().await;
        }
        spy.reconnect(&broker);
    });
    sent.unwrap();
    let published = spy.published();
    let ids: Vec<_> = published.iter().map(|publish| publish.message.id.clone()).collect();
    assert!(ids.len() >= 2 && ids.windows(2).all(|pair| pair[0] == pair[1]), "{ids:?}");
    assert!(bodies(&published).windows(2).all(|pair| pair[0] == pair[1]));
    assert_eq!(broker.queue("notifications.info").unwrap().ready, 2, "it had arrived, and a listener can tell");
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_given_up_says_whether_any_try_may_have_arrived() {
    let broker = FakeBroker::new();
    let (bus, spy) = bus(&broker);
    broker.faults().add(FaultRule::new(Fault::Disconnect(Cut::BeforeConfirm)));
    let notifier = Notifier::new(&bus, "p").retry(Retry::times(2));
    let error = notifier.info(&Context::new(), "e", &1).await.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Disconnected, Executed::Maybe));
    assert_eq!(spy.published().len(), 3);

    let error = notifier.retry(Retry::never()).info(&Context::new(), "e", &1).await.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Disconnected, Executed::No));
}

#[tokio::test(start_paused = true)]
async fn n_retries_are_n_plus_one_tries() {
    for (retry, refusals, arrives) in [
        (Retry::never(), 0, true),
        (Retry::never(), 1, false),
        (Retry::times(2), 2, true),
        (Retry::times(2), 3, false),
        // The waits between six tries are 3.1 s in all at most.
        (Retry::until_deadline(), 5, true),
    ] {
        let broker = FakeBroker::new();
        broker.faults().add(FaultRule::new(Fault::Nack).times(refusals));
        let (bus, _) = bus(&broker);
        let sent = Notifier::new(&bus, "p").prepare().retry(retry).info(&Context::new(), "e", &1).await;
        assert_eq!(sent.is_ok(), arrives, "{retry:?} after {refusals}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_topic_in_trouble_does_not_keep_an_event_from_another() {
    let broker = FakeBroker::new();
    let (bus, _) = bus(&broker);
    broker.faults().add(FaultRule::new(Fault::Nack).when(|to, _| to.routing_key().starts_with("sick.")).always());
    let notifier = Notifier::from_sink("p", MessagingSink::new(&bus).topics(["sick", "well"])).retry(Retry::never());
    let error = notifier.info(&Context::new(), "e", &1).await.unwrap_err();
    assert!(error.to_string().contains("topic: sick"), "{error}");
    assert_eq!(broker.queue("well.info").unwrap().ready, 1);
}

#[tokio::test(start_paused = true)]
async fn an_event_ends_by_its_deadline_when_the_broker_takes_nothing() {
    let broker = FakeBroker::new();
    let (bus, _) = bus(&broker);
    broker.faults().block("no memory");
    let begin = Instant::now();
    let notifier = Notifier::new(&bus, "p").timeout(Duration::from_secs(3));
    let error = notifier.info(&Context::new(), "e", &1).await.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Blocked, Executed::No));
    assert!(begin.elapsed() <= Duration::from_millis(3_100), "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_event_that_missed_one_place_and_reached_another_may_have_arrived() {
    let broker = FakeBroker::new();
    let (bus, _) = bus(&broker);
    let missed = |to: &Address, _: &Message| matches!(to, Address::Notification { topic, .. } if topic == "missed");
    broker.faults().add(FaultRule::new(Fault::Return).when(missed).always());
    let only = Notifier::from_sink("p", MessagingSink::new(&bus).topics(["missed"]));
    let topics = Notifier::from_sink("p", MessagingSink::new(&bus).topics(["missed", "reached"]));
    let sinks = only.clone().with_sink(RecordingSink::new());
    let nowhere = only.clone().with_sink(NoopSink);
    for (notifier, executed) in
        [(only, Executed::No), (nowhere, Executed::No), (topics, Executed::Maybe), (sinks, Executed::Maybe)]
    {
        let error = notifier.info(&Context::new(), "e", &1).await.unwrap_err();
        assert_eq!((error.kind(), error.executed()), (ErrorKind::Undeliverable, executed), "{notifier:?}");
    }
}
