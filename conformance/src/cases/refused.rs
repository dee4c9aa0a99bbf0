//! A driver refuses the behaviours that it does not declare, so that its declaration cannot fall behind its code.

use std::time::Duration;

use oslo_messaging::driver::{Address, Message, PublishOptions, Source, Subscription};
use oslo_messaging::{ErrorKind, Result};

use crate::cases::cases;
use crate::{Failed, Outcome, Stage};

cases! { refused;
    /// Capabilities: a missing behaviour is ErrorKind::Unsupported, never a silent success.
    server_address [] lacks ServerAddress;
    /// Capabilities: a missing behaviour is ErrorKind::Unsupported, never a silent success.
    fanout [] lacks Fanout;
    /// Capabilities: a missing behaviour is ErrorKind::Unsupported, never a silent success.
    mandatory [] lacks Mandatory;
    /// Capabilities: a missing behaviour is ErrorKind::Unsupported, never a silent success.
    expiration [] lacks Expiration;
    /// Capabilities: a missing behaviour is ErrorKind::Unsupported, never a silent success.
    requeue [] lacks Requeue;
    /// Capabilities: a missing behaviour is ErrorKind::Unsupported, never a silent success.
    ensure_queue [] lacks EnsureQueue;
    /// Capabilities: a missing behaviour is ErrorKind::Unsupported, never a silent success.
    pools [] lacks Pools;
}

/// Expects `Unsupported`; any other result is a silent success or a wrong kind.
fn unsupported<T>(outcome: Result<T>) -> Outcome {
    match outcome {
        Err(error) if error.kind() == ErrorKind::Unsupported => Ok(()),
        Err(error) => Err(Failed::from(format!("refused with another kind: {error}"))),
        Ok(_) => Err(Failed::from("the driver does it without declaring it")),
    }
}

/// Publishes on a new connection, and expects the refusal.
async fn publish(stage: &Stage, to: Address, message: Message, options: PublishOptions) -> Outcome {
    unsupported(stage.connect().await?.publish(&to, message, &options).await)
}

/// Nothing reads the address: the refusal must not depend on the presence of a server.
async fn server_address(stage: &Stage) -> Outcome {
    let to = Address::Server { exchange: stage.name("e"), topic: stage.name("t"), server: stage.name("s") };
    publish(stage, to, Message::new("x"), PublishOptions::by(stage.soon())).await
}

/// A fanout without the capability would reach no server, and its sender would not notice.
async fn fanout(stage: &Stage) -> Outcome {
    let to = Address::Fanout { topic: stage.name("t") };
    publish(stage, to, Message::new("x"), PublishOptions::by(stage.soon())).await
}

/// The topic has no queue. A driver that only ignores the option would report success.
async fn mandatory(stage: &Stage) -> Outcome {
    let options = PublishOptions::by(stage.soon()).mandatory();
    publish(stage, stage.topic("e", "t"), Message::new("x"), options).await
}

/// The time to live is a minute. A driver that ignores it would keep the message for ever.
async fn expiration(stage: &Stage) -> Outcome {
    let message = Message::new("x").with_expiration(Duration::from_secs(60));
    publish(stage, stage.topic("e", "t"), message, PublishOptions::by(stage.soon())).await
}

/// The refusal comes from the message, not from the transport.
async fn requeue(stage: &Stage) -> Outcome {
    let transport = stage.connect().await?;
    let mut server = stage.read(&transport, Subscription::new(stage.server("e", "t", "s"))).await?;
    stage.publish(&transport, &stage.topic("e", "t"), ["x"]).await?;
    unsupported(server.next().await?.requeue().await)
}

/// No listener exists, so a driver that ignores the option loses the notification.
async fn ensure_queue(stage: &Stage) -> Outcome {
    let to = Address::Notification { exchange: stage.name("e"), topic: stage.name("t"), priority: "info".to_owned() };
    publish(stage, to, Message::new("x"), PublishOptions::by(stage.soon()).ensure_queue()).await
}

/// The refusal comes from `subscribe`: a listener without its pool would take events from the shared queue.
async fn pools(stage: &Stage) -> Outcome {
    let to = Address::Notification { exchange: stage.name("e"), topic: stage.name("t"), priority: "info".to_owned() };
    let source = Source::Notifications { addresses: vec![to], pool: Some(stage.name("p")) };
    let transport = stage.connect().await?;
    unsupported(transport.subscribe(&Subscription::new(source), stage.soon()).await)
}
