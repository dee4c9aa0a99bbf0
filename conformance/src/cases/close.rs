//! The life of a transport.

use std::num::NonZeroUsize;

use oslo_messaging::{ErrorKind, Message, PublishOptions, Source, State, Subscription};

use crate::{Case, Outcome, Stage};

pub(super) const CASES: &[Case] = &[
    Case {
        id: "close::a_connected_transport_becomes_ready",
        requires: &[],
        lacks: None,
        disturbs: None,
        cites: "Transport::health: The state, and every later change of it.",
        run: |stage| Box::pin(a_connected_transport_becomes_ready(stage)),
    },
    Case {
        id: "close::later_operations_are_closed",
        requires: &[],
        lacks: None,
        disturbs: None,
        cites: "Transport::close: Idempotent; later operations fail with Closed.",
        run: |stage| Box::pin(later_operations_are_closed(stage)),
    },
    Case {
        id: "close::one_transport_does_not_close_another",
        requires: &[],
        lacks: None,
        disturbs: None,
        cites: "Transport::close: Closes every connection (of this transport).",
        run: |stage| Box::pin(one_transport_does_not_close_another(stage)),
    },
    Case {
        id: "close::an_open_listener_ends_with_its_transport",
        requires: &[],
        lacks: None,
        disturbs: None,
        cites: "Transport::close: Closes every connection; later operations fail with Closed. Listener::poll: Only a loss \
                that cannot be repaired. It is final.",
        run: |stage| Box::pin(an_open_listener_ends_with_its_transport(stage)),
    },
    Case {
        id: "close::all_who_close_it_succeed",
        requires: &[],
        lacks: None,
        disturbs: None,
        cites: "Transport::close: Idempotent.",
        run: |stage| Box::pin(all_who_close_it_succeed(stage)),
    },
];

async fn a_connected_transport_becomes_ready(stage: &Stage) -> Outcome {
    let transport = stage.connect().await?;
    let mut health = transport.health();
    stage.soon().run("become ready", health.wait_for(|health| health.state == State::Ready)).await??;
    transport.close(stage.soon()).await?;
    stage.soon().run("become closed", health.wait_for(|health| health.state == State::Closed)).await??;
    Ok(())
}

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

async fn one_transport_does_not_close_another(stage: &Stage) -> Outcome {
    let (one, two) = (stage.connect().await?, stage.connect().await?);
    let mut server = stage.read(&two, Subscription::new(stage.server("e", "t", "s"))).await?;
    one.close(stage.soon()).await?;
    stage.publish(&two, &stage.topic("e", "t"), ["x"]).await?;
    assert_eq!(server.texts(1).await?, ["x"]);
    Ok(())
}

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

async fn all_who_close_it_succeed(stage: &Stage) -> Outcome {
    let transport = stage.connect().await?;
    stage.publish(&transport, &stage.topic("e", "t"), ["to nobody"]).await?;
    let close = || transport.close(stage.soon());
    let (one, two, three) = tokio::join!(close(), close(), close());
    Ok(one.and(two).and(three)?)
}
