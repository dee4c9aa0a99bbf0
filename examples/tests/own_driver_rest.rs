//! What the conformance suite leaves to the author of a driver, tested on the driver of `own_driver.rs`.

mod own_hub;

use std::num::{NonZeroU16, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use oslo_messaging::driver::{Address, Message, PublishOptions, Settle, Source, Subscription, Transport};
use oslo_messaging::{Deadline, ErrorKind, Executed, Result};
use oslo_messaging_conformance::Harness;
use own_hub::OwnHub;

const MANY: NonZeroUsize = NonZeroUsize::new(100).expect("100 is not zero");

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(5))
}

fn queue() -> (Address, Subscription) {
    (Address::Queue { name: "q".into() }, Subscription::new(Source::Queue { name: "q".into() }))
}

async fn publish(transport: &dyn Transport, message: Message) -> Result<()> {
    transport.publish(&queue().0, message, &PublishOptions::by(soon())).await
}

async fn connect() -> Result<Arc<dyn Transport>> {
    OwnHub::default().transport().await
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_refuses_until_something_in_it_expires() -> Result<()> {
    let transport = connect().await?;
    publish(&transport, Message::new("short").with_expiration(Duration::from_secs(1))).await?;
    for _ in 1..10_000 {
        publish(&transport, Message::new("long")).await?;
    }
    let error = publish(&transport, Message::new("one too many")).await.expect_err("it is full");
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Refused, Executed::No), "{error}");
    assert!(error.is_transient(), "{error}");
    tokio::time::advance(Duration::from_secs(2)).await;
    publish(&transport, Message::new("one that fits")).await
}

#[tokio::test(start_paused = true)]
async fn a_poll_that_waits_ends_when_its_transport_is_closed() -> Result<()> {
    let transport = connect().await?;
    let mut listener = transport.subscribe(&queue().1, soon()).await?;
    let (polled, closed) = tokio::join!(soon().run("poll", listener.poll(MANY)), transport.close(soon()));
    closed?;
    assert_eq!(polled?.expect_err("it is closed").kind(), ErrorKind::Closed);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_window_that_was_settled_before_handover_opens_again() -> Result<()> {
    let transport = connect().await?;
    let window = NonZeroU16::new(2).expect("2 is not zero");
    let subscription = queue().1.with_settle(Settle::BeforeHandover).with_window(window);
    let mut listener = transport.subscribe(&subscription, soon()).await?;
    for _ in 0..5 {
        publish(&transport, Message::new("x")).await?;
    }
    let mut read = 0;
    while read < 5 {
        let messages = soon().run("poll", listener.poll(MANY)).await??;
        read += messages.expect("it was not stopped").len();
    }
    listener.close(soon()).await
}

#[tokio::test(start_paused = true)]
async fn a_busy_topic_does_not_shut_out_what_is_sent_to_one_server() -> Result<()> {
    let (transport, [exchange, topic, server]) = (connect().await?, ["e", "t", "s"].map(String::from));
    let source = Source::Server { exchange: exchange.clone(), topic: topic.clone(), server: server.clone() };
    let window = NonZeroU16::new(2).expect("2 is not zero");
    let mut listener = transport.subscribe(&Subscription::new(source).with_window(window), soon()).await?;
    let anyone = Address::Topic { exchange: exchange.clone(), topic: topic.clone() };
    for _ in 0..5 {
        transport.publish(&anyone, Message::new("anyone"), &PublishOptions::by(soon())).await?;
    }
    let it = Address::Server { exchange, topic, server };
    transport.publish(&it, Message::new("it"), &PublishOptions::by(soon())).await?;
    let messages = listener.poll(MANY).await?.expect("it was not stopped");
    assert_eq!(messages.iter().filter(|message| message.message().body == "it").count(), 1);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_end_that_comes_too_late_is_a_timeout_and_an_end() -> Result<()> {
    let (transport, late) = (connect().await?, Deadline::after(Duration::ZERO));
    let mut listener = transport.subscribe(&queue().1, soon()).await?;
    assert_eq!(listener.stop(late).await.expect_err("it is late").kind(), ErrorKind::Timeout);
    assert!(listener.poll(MANY).await?.is_none(), "it is stopped");
    assert_eq!(listener.close(late).await.expect_err("it is late").kind(), ErrorKind::Timeout);
    assert_eq!(transport.close(late).await.expect_err("it is late").kind(), ErrorKind::Timeout);
    assert_eq!(publish(&transport, Message::new("x")).await.expect_err("it is closed").kind(), ErrorKind::Closed);
    Ok(())
}
