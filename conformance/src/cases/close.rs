//! The life of a transport: its health, and what a close ends.

use std::num::NonZeroUsize;

use oslo_messaging::driver::{Message, PublishOptions, Source, Subscription};
use oslo_messaging::{ErrorKind, State};

use crate::cases::cases;
use crate::{Outcome, Stage};

cases! { close;
    /// Transport::health: The state, and every later change of it.
    a_connected_transport_becomes_ready [];
    /// Transport::close: Idempotent; later operations fail with Closed.
    later_operations_are_closed [];
    /// Transport::close: Closes every connection (of this transport).
    one_transport_does_not_close_another [];
    /// Transport::close: Closes every connection; later operations fail with Closed. Listener::poll: Only a loss that
    /// cannot be repaired. It is final.
    an_open_listener_ends_with_its_transport [];
    /// Transport::close: Idempotent.
    all_who_close_it_succeed [];
}

/// One receiver must see both `Ready` and, after the close, `Closed`.
async fn a_connected_transport_becomes_ready(stage: &Stage) -> Outcome {
    let transport = stage.connect().await?;
    let mut health = transport.health();
    stage.soon().run("become ready", health.wait_for(|health| health.state == State::Ready)).await??;
    transport.close(stage.soon()).await?;
    stage.soon().run("become closed", health.wait_for(|health| health.state == State::Closed)).await??;
    Ok(())
}

/// Closes twice; both must succeed. Publish and subscribe must fail with `Closed`, not with a timeout.
async fn later_operations_are_closed(stage: &Stage) -> Outcome {
    let transport = stage.connect().await?;
    transport.close(stage.soon()).await?;
    transport.close(stage.soon()).await?;
    let options = PublishOptions::by(stage.soon());
    let error = transport.publish(&stage.topic("e", "t"), Message::new("x"), &options).await.expect_err("it is closed");
    assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
    let error = transport.subscribe(&Subscription::new(Source::Inbox), stage.soon()).await.expect_err("it is closed");
    assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
    Ok(())
}

/// A driver that shares one connection between transports of one URL fails here.
async fn one_transport_does_not_close_another(stage: &Stage) -> Outcome {
    let (one, two) = (stage.connect().await?, stage.connect().await?);
    let mut server = stage.read(&two, Subscription::new(stage.server("e", "t", "s"))).await?;
    one.close(stage.soon()).await?;
    stage.publish(&two, &stage.topic("e", "t"), ["x"]).await?;
    assert_eq!(server.texts(1).await?, ["x"]);
    Ok(())
}

/// The poll is pending while the transport closes. The next poll must fail in the same way.
async fn an_open_listener_ends_with_its_transport(stage: &Stage) -> Outcome {
    let transport = stage.connect().await?;
    let mut server = stage.read(&transport, Subscription::new(stage.server("e", "t", "s"))).await?;
    let polling = stage.soon().run("poll", server.listener().poll(NonZeroUsize::MIN));
    let (polled, closed) = tokio::join!(polling, transport.close(stage.soon()));
    closed?;
    for polled in [polled?, stage.soon().run("poll", server.listener().poll(NonZeroUsize::MIN)).await?] {
        let kind = polled.map(|messages| messages.map(|messages| messages.len())).map_err(|error| error.kind());
        assert_eq!(kind, Err(ErrorKind::Closed), "nothing was sent, and it was not stopped");
    }
    Ok(())
}

/// Three closes run at once, after a publish without a reader.
async fn all_who_close_it_succeed(stage: &Stage) -> Outcome {
    let transport = stage.connect().await?;
    stage.publish(&transport, &stage.topic("e", "t"), ["unread"]).await?;
    let close = || transport.close(stage.soon());
    let (one, two, three) = tokio::join!(close(), close(), close());
    Ok(one.and(two).and(three)?)
}
