//! Retention: how long a queue keeps a message.

use std::time::Duration;

use oslo_messaging::ErrorKind;
use oslo_messaging::driver::{Message, PublishOptions, Source, Subscription};

use crate::cases::cases;
use crate::{Outcome, Stage};

cases! { retention;
    /// Capability::Retention: Shared queues keep what is published while they have no reader.
    a_shared_queue_keeps_what_nobody_reads [Retention];
    /// Listener::close: deletes private queues.
    a_private_queue_goes_with_its_listener [Mandatory];
    /// Message::expiration: After how long in a queue the broker may drop it.
    an_expired_message_is_dropped [Expiration, Retention];
    /// Message::expiration: After how long in a queue the broker may drop it.
    a_message_is_not_dropped_before_it_expires [Expiration, Retention];
}

/// The transport that declared the queue is closed too, so the queue must not depend on its connection.
async fn a_shared_queue_keeps_what_nobody_reads(stage: &Stage) -> Outcome {
    let (first, second) = (stage.connect().await?, stage.connect().await?);
    let subscription = Subscription::new(stage.server("e", "t", "s"));
    stage.read(&first, subscription.clone()).await?.close().await?;
    first.close(stage.soon()).await?;
    stage.publish(&second, &stage.topic("e", "t"), ["x", "y"]).await?;
    let mut server = stage.read(&second, subscription).await?;
    assert_eq!(server.texts(2).await?, ["x", "y"]);
    Ok(())
}

/// The same mandatory publish must succeed before the close and fail with `Undeliverable` after it.
async fn a_private_queue_goes_with_its_listener(stage: &Stage) -> Outcome {
    let transport = stage.connect().await?;
    let inbox = stage.read(&transport, Subscription::new(Source::Inbox)).await?;
    let (to, options) = (inbox.address(), PublishOptions::by(stage.soon()).mandatory());
    transport.publish(&to, Message::new("x"), &options).await?;
    inbox.close().await?;
    let error = transport.publish(&to, Message::new("x"), &options).await.expect_err("its queue is gone");
    assert_eq!(error.kind(), ErrorKind::Undeliverable, "{error}");
    Ok(())
}

/// The second message has no expiration and must stay. A driver that expires the whole queue loses it.
async fn an_expired_message_is_dropped(stage: &Stage) -> Outcome {
    let transport = stage.connect().await?;
    let (subscription, to) = (Subscription::new(stage.server("e", "t", "s")), stage.topic("e", "t"));
    stage.read(&transport, subscription.clone()).await?.close().await?;
    let short = Message::new("short").with_expiration(stage.budget().quiet / 10);
    transport.publish(&to, short, &PublishOptions::by(stage.soon())).await?;
    stage.publish(&transport, &to, ["for ever"]).await?;
    // The expiry of a message cannot be observed, so wait for ten times its time to live.
    tokio::time::sleep(stage.budget().quiet).await;
    let mut server = stage.read(&transport, subscription).await?;
    assert_eq!(server.texts(1).await?, ["for ever"]);
    server.quiet().await
}

/// The time to live is ten minutes. A driver that takes milliseconds for something smaller drops the message at once.
async fn a_message_is_not_dropped_before_it_expires(stage: &Stage) -> Outcome {
    let transport = stage.connect().await?;
    let (subscription, to) = (Subscription::new(stage.server("e", "t", "s")), stage.topic("e", "t"));
    stage.read(&transport, subscription.clone()).await?.close().await?;
    let long = Message::new("long").with_expiration(Duration::from_secs(600));
    transport.publish(&to, long, &PublishOptions::by(stage.soon())).await?;
    let mut server = stage.read(&transport, subscription).await?;
    assert_eq!(server.texts(1).await?, ["long"]);
    Ok(())
}
