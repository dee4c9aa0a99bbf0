//! How a listener is polled, stopped and dropped.

use std::num::{NonZeroU16, NonZeroUsize};
use std::time::Duration;

use oslo_messaging::driver::{Settle, Subscription};
use tokio::time::timeout;

use crate::cases::cases;
use crate::reading::text;
use crate::{Outcome, Stage};

cases! { listen;
    /// Listener::poll: Waits for one message, then takes what else is ready, max in all.
    a_poll_takes_no_more_than_its_maximum [];
    /// Listener::poll: Safe: what a dropped call took or acknowledged comes from the next one.
    a_cancelled_poll_loses_nothing [];
    /// Subscription::window: How many unsettled messages the broker may hand over at once (prefetch).
    the_window_bounds_what_is_unsettled [];
    /// Subscription::window: How many unsettled messages the broker may hand over at once (prefetch).
    one_slow_message_pins_nobody [];
    /// Listener::stop: under Settle::ByReceiver what the broker already handed over still comes out of poll. None:
    /// stopped and drained.
    a_stopped_listener_is_drained_and_ends [];
    /// Listener::stop: under Settle::BeforeHandover only what was acknowledged already still comes; the rest is the
    /// broker's again once the listener is closed or dropped.
    a_stopped_listener_acknowledges_nothing_more [];
    /// Listener: A reader of one subscription. Dropping it stops consuming.
    a_dropped_listener_stops_consuming [];
}

/// Every result must hold one or two messages: an empty one is as wrong as one with three.
async fn a_poll_takes_no_more_than_its_maximum(stage: &Stage) -> Outcome {
    let transport = stage.connect().await?;
    let mut server = stage.read(&transport, Subscription::new(stage.server("e", "t", "s"))).await?;
    stage.publish(&transport, &stage.topic("e", "t"), ["1", "2", "3", "4", "5"]).await?;
    let two = NonZeroUsize::new(2).expect("2 is not 0");
    let mut read = 0;
    while read < 5 {
        let messages = stage.soon().run("poll", server.listener().poll(two)).await??.ok_or("it ended")?;
        assert!((1..=2).contains(&messages.len()), "poll(2) gave {}", messages.len());
        read += messages.len();
        for message in messages {
            message.acknowledge().await?;
        }
    }
    server.quiet().await
}

/// Cancels polls after 0 to 2 ms, so that some end before, during and after the arrival of a message.
/// Runs under both settlements: under `BeforeHandover` a cancelled poll may have acknowledged already.
/// Compares the order too, so a message that is put back at the wrong end is found.
async fn a_cancelled_poll_loses_nothing(stage: &Stage) -> Outcome {
    let transport = stage.connect().await?;
    for settle in [Settle::BeforeHandover, Settle::ByReceiver] {
        let subscription = Subscription::new(stage.server("e", "t", "s")).with_settle(settle);
        let mut server = stage.read(&transport, subscription).await?;
        let sent: Vec<_> = (0..40).map(|n| format!("{n}")).collect();
        let (mut read, mut patience) = (Vec::new(), [0, 1, 0, 2].map(Duration::from_millis).into_iter().cycle());
        for one in &sent {
            stage.publish(&transport, &stage.topic("e", "t"), [one]).await?;
            let patience = patience.next().expect("a cycle never ends");
            if let Ok(taken) = timeout(patience, server.take(1)).await {
                for message in taken? {
                    read.push(text(message.as_ref()));
                    message.acknowledge().await?;
                }
            }
        }
        read.extend(server.texts(sent.len() - read.len()).await?);
        assert_eq!(read, sent, "{settle:?}");
        server.close().await?;
    }
    Ok(())
}

/// With a window of 2, two held messages stop the delivery, and one acknowledgement admits exactly one more.
async fn the_window_bounds_what_is_unsettled(stage: &Stage) -> Outcome {
    let transport = stage.connect().await?;
    let window = NonZeroU16::new(2).expect("2 is not 0");
    let mut server = stage.read(&transport, Subscription::new(stage.server("e", "t", "s")).with_window(window)).await?;
    stage.publish(&transport, &stage.topic("e", "t"), ["1", "2", "3", "4"]).await?;
    let mut held = server.take(2).await?;
    server.quiet().await?;
    held.remove(0).acknowledge().await?;
    held.push(server.next().await?);
    server.quiet().await?;
    for message in held {
        message.acknowledge().await?;
    }
    assert_eq!(server.texts(1).await?, ["4"]);
    Ok(())
}

/// One unsettled message occupies half of the window; the other 19 must pass through the rest.
/// Catches a driver that acknowledges only up to the oldest unsettled message.
async fn one_slow_message_pins_nobody(stage: &Stage) -> Outcome {
    let transport = stage.connect().await?;
    let window = NonZeroU16::new(2).expect("2 is not 0");
    let mut server = stage.read(&transport, Subscription::new(stage.server("e", "t", "s")).with_window(window)).await?;
    let sent: Vec<_> = (0..20).map(|n| format!("{n}")).collect();
    stage.publish(&transport, &stage.topic("e", "t"), &sent).await?;
    let slow = server.next().await?;
    assert_eq!(server.texts(19).await?, sent[1..]);
    slow.acknowledge().await?;
    server.quiet().await
}

/// Stops twice, since the second stop must do nothing. Every poll after the end must return the end again.
/// What the first listener did not return must reach the next one, once each and in order.
async fn a_stopped_listener_is_drained_and_ends(stage: &Stage) -> Outcome {
    let transport = stage.connect().await?;
    let subscription = Subscription::new(stage.server("e", "t", "s"));
    let mut server = stage.read(&transport, subscription.clone()).await?;
    let to = stage.topic("e", "t");
    stage.publish(&transport, &to, ["1", "2", "3"]).await?;
    let mut read = server.texts(1).await?;
    server.listener().stop(stage.soon()).await?;
    server.listener().stop(stage.soon()).await?;
    stage.publish(&transport, &to, ["4"]).await?;
    let one = NonZeroUsize::MIN;
    while let Some(messages) = stage.soon().run("poll", server.listener().poll(one)).await?? {
        for message in messages {
            read.push(text(message.as_ref()));
            message.acknowledge().await?;
        }
    }
    assert!(!read.contains(&"4".to_owned()), "nothing new comes after the stop");
    assert!(server.listener().poll(one).await?.is_none(), "the end stays the end");
    server.close().await?;
    let mut next = stage.read(&transport, subscription).await?;
    read.extend(next.texts(4 - read.len()).await?);
    assert_eq!(read, ["1", "2", "3", "4"]);
    next.quiet().await
}

/// One of three messages is read before the stop. The other two must reach the next listener.
/// A driver that acknowledges its prefetched messages during the stop loses them.
async fn a_stopped_listener_acknowledges_nothing_more(stage: &Stage) -> Outcome {
    let transport = stage.connect().await?;
    let subscription = Subscription::new(stage.server("e", "t", "s"));
    let mut server = stage.read(&transport, subscription.clone().with_settle(Settle::BeforeHandover)).await?;
    stage.publish(&transport, &stage.topic("e", "t"), ["1", "2", "3"]).await?;
    let mut read = server.texts(1).await?;
    server.listener().stop(stage.soon()).await?;
    for _ in 0..2 {
        let polled = stage.soon().run("poll", server.listener().poll(NonZeroUsize::MIN)).await??;
        assert!(polled.is_none(), "{polled:?} was acknowledged after the stop");
    }
    server.close().await?;
    let mut next = stage.read(&transport, subscription).await?;
    read.extend(next.texts(2).await?);
    assert_eq!(read, ["1", "2", "3"]);
    next.quiet().await
}

/// Both listeners share a topic. If the dropped one kept consuming, the other one would miss its share.
async fn a_dropped_listener_stops_consuming(stage: &Stage) -> Outcome {
    let transport = stage.connect().await?;
    let dropped = stage.read(&transport, Subscription::new(stage.server("e", "t", "one"))).await?;
    let mut other = stage.read(&transport, Subscription::new(stage.server("e", "t", "two"))).await?;
    drop(dropped);
    let sent: Vec<_> = (0..10).map(|n| format!("{n}")).collect();
    stage.publish(&transport, &stage.topic("e", "t"), &sent).await?;
    let mut read = other.texts(sent.len()).await?;
    // Messages that were on their way to the dropped listener come back, perhaps behind the others.
    read.sort();
    assert_eq!(read, sent);
    Ok(())
}
