//! What a publish promises: order, content, and errors for what reaches no queue.

use std::time::Duration;

use futures_util::future::join_all;
use oslo_messaging::driver::{Address, Capability, Message, PublishOptions, Source, Subscription};
use oslo_messaging::{Deadline, ErrorKind, Executed};

use crate::cases::cases;
use crate::{Outcome, Stage};

cases! { publish;
    /// PublishOptions::mandatory: Fail with Undeliverable if no queue is bound.
    mandatory_to_nobody_is_undeliverable [Mandatory];
    /// Transport::subscribe: returns once every queue exists and is bound.
    mandatory_to_somebody_succeeds_as_soon_as_subscribe_returned [Mandatory];
    /// PublishOptions::by: A publish that may go nowhere.
    to_nobody_succeeds_without_mandatory [];
    /// Message::id: so that a return reaches the publisher it concerns.
    a_return_is_told_to_its_own_publisher [Mandatory];
    /// Transport::publish: From one caller to one address, order holds.
    order_holds_from_one_publisher_to_one_address [];
    /// Message: A message as a driver carries it: id, body, headers, queue.
    what_is_sent_arrives_unchanged [];
    /// PublishOptions::deadline: When the publish must have ended.
    a_deadline_that_passed_is_a_timeout [];
}

/// Tests a topic and a direct address, which are different exchanges on RabbitMQ.
/// The error must say `Executed::No`, so that callers know that a retry is safe.
async fn mandatory_to_nobody_is_undeliverable(stage: &Stage) -> Outcome {
    let transport = stage.connect().await?;
    let inbox = Address::Direct { queue: stage.name("reply") };
    for to in [stage.topic("e", "t"), inbox] {
        let options = PublishOptions::by(stage.soon()).mandatory();
        let error = transport.publish(&to, Message::new("x"), &options).await.expect_err("no queue is bound");
        assert_eq!((error.kind(), error.executed()), (ErrorKind::Undeliverable, Executed::No), "{to}: {error}");
    }
    Ok(())
}

/// Publishes on another connection than the reader's: order on one channel cannot hide a late binding.
async fn mandatory_to_somebody_succeeds_as_soon_as_subscribe_returned(stage: &Stage) -> Outcome {
    let (reader, writer) = (stage.connect().await?, stage.connect().await?);
    let mut server = stage.read(&reader, Subscription::new(stage.server("e", "t", "s"))).await?;
    let mut inbox = stage.read(&reader, Subscription::new(Source::Inbox)).await?;
    let own = Address::Server { exchange: stage.name("e"), topic: stage.name("t"), server: stage.name("s") };
    for to in [stage.topic("e", "t"), own, inbox.address()] {
        writer.publish(&to, Message::new("x"), &PublishOptions::by(stage.soon()).mandatory()).await?;
    }
    assert_eq!(server.texts(2).await?, ["x", "x"]);
    assert_eq!(inbox.texts(1).await?, ["x"]);
    Ok(())
}

/// Includes a fanout address on drivers with `Capability::Fanout`.
async fn to_nobody_succeeds_without_mandatory(stage: &Stage) -> Outcome {
    let transport = stage.connect().await?;
    let mut to = vec![stage.topic("e", "t"), Address::Direct { queue: stage.name("reply") }];
    if transport.capabilities().has(Capability::Fanout) {
        to.push(Address::Fanout { topic: stage.name("t") });
    }
    for to in to {
        // Twice: the second one must not suffer from how the broker answered the first.
        stage.publish(&transport, &to, ["x", "y"]).await.map_err(|error| format!("{to}: {error}"))?;
    }
    Ok(())
}

/// Sixty publishes are in flight together, and each third one has no queue.
/// A driver that gives a return to the wrong publish fails by the numbers.
async fn a_return_is_told_to_its_own_publisher(stage: &Stage) -> Outcome {
    let transport = stage.connect().await?;
    let mut server = stage.read(&transport, Subscription::new(stage.server("e", "t", "s"))).await?;
    let (reached, unbound) = (stage.topic("e", "t"), stage.topic("e", "unserved"));
    let options = PublishOptions::by(stage.soon()).mandatory();
    let publishes = (0..60).map(|n| {
        let to = if n % 3 == 0 { &unbound } else { &reached };
        transport.publish(to, Message::new(format!("{n}")), &options)
    });
    for (n, outcome) in join_all(publishes).await.into_iter().enumerate() {
        match outcome {
            Ok(()) => assert_ne!(n % 3, 0, "{n} has no queue"),
            Err(error) => assert_eq!((n % 3, error.kind()), (0, ErrorKind::Undeliverable), "{n}: {error}"),
        }
    }
    server.texts(40).await?;
    server.quiet().await
}

/// Waits for each publish before the next one, so only reordering inside of the driver or the bus can fail it.
async fn order_holds_from_one_publisher_to_one_address(stage: &Stage) -> Outcome {
    let transport = stage.connect().await?;
    let mut server = stage.read(&transport, Subscription::new(stage.server("e", "t", "s"))).await?;
    let sent: Vec<_> = (0..200).map(|n| format!("{n}")).collect();
    stage.publish(&transport, &stage.topic("e", "t"), &sent).await?;
    assert_eq!(server.texts(sent.len()).await?, sent);
    Ok(())
}

/// The bodies are empty, each of the 256 bytes, and 256 KiB. The headers include an empty value and text beyond ASCII.
async fn what_is_sent_arrives_unchanged(stage: &Stage) -> Outcome {
    let transport = stage.connect().await?;
    let mut server = stage.read(&transport, Subscription::new(stage.server("e", "t", "s"))).await?;
    let every_byte: Vec<u8> = (0..=255).collect();
    for body in [Vec::new(), every_byte.clone(), every_byte.repeat(1024)] {
        let sent = Message::new(body).with_header("compression", "").with_header("x-\u{e9}", "\u{1f980} , ;");
        transport.publish(&stage.topic("e", "t"), sent.clone(), &PublishOptions::by(stage.soon())).await?;
        let incoming = server.next().await?;
        let came = incoming.message();
        assert!(came.body == sent.body, "{} bytes were sent, {} other ones came", sent.body.len(), came.body.len());
        assert_eq!((&came.id, &came.headers), (&sent.id, &sent.headers));
        assert_eq!(came.queue.as_deref(), Some(stage.name("t").as_str()));
        assert!(!incoming.redelivered(), "it was never handed over before");
        incoming.acknowledge().await?;
    }
    Ok(())
}

/// Covers publish and subscribe. The last publish proves that the timeout left the transport usable.
async fn a_deadline_that_passed_is_a_timeout(stage: &Stage) -> Outcome {
    let (transport, past) = (stage.connect().await?, Deadline::after(Duration::ZERO));
    let to = stage.topic("e", "t");
    let error = transport.publish(&to, Message::new("x"), &PublishOptions::by(past)).await.expect_err("it is over");
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    let subscription = Subscription::new(stage.server("e", "t", "s"));
    let error = transport.subscribe(&subscription, past).await.expect_err("it is over");
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    // The timeout must leave the transport usable.
    stage.publish(&transport, &to, ["x"]).await?;
    Ok(())
}
