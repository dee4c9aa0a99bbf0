//! Listeners of one transport do not affect each other.

use std::num::NonZeroU16;

use futures_util::future::try_join_all;
use oslo_messaging::driver::{Address, Source, Subscription};

use crate::cases::cases;
use crate::{Outcome, Stage};

cases! { neighbours;
    /// Listener: A reader of one subscription; Listener::close: Stops, ..., of that subscription alone.
    a_listener_ends_without_the_other [];
    /// IncomingMessage: Settling consumes it; dropping it unsettled requeues it.
    a_listener_settles_its_own_messages [Requeue, Retention];
    /// Subscription::window: How many unsettled messages the broker may hand over at once (prefetch).
    a_window_is_of_one_listener [];
    /// Transport::publish: From one caller to one address, order holds.
    each_address_keeps_its_order [ServerAddress, Fanout];
    /// Transport::publish: From one caller to one address, order holds.
    each_of_many_publishers_keeps_its_order [];
    /// Address::Direct: A queue by its name. Subscription::queues: the names of a server's queues.
    a_queue_is_reached_past_its_exchange [];
}

/// One neighbour is closed, one dropped and one stopped, since each may take another path through the driver.
/// Afterwards a new listener must start, and the first one must still get messages.
async fn a_listener_ends_without_the_other(stage: &Stage) -> Outcome {
    let transport = stage.connect().await?;
    let mut stays = stage.read(&transport, Subscription::new(stage.server("e", "t", "stays"))).await?;
    let closed = stage.read(&transport, Subscription::new(stage.server("e", "u", "closed"))).await?;
    let dropped = stage.read(&transport, Subscription::new(Source::Inbox)).await?;
    let mut stopped = stage.read(&transport, Subscription::new(stage.server("e", "v", "stopped"))).await?;
    stage.publish(&transport, &stage.topic("e", "t"), ["1"]).await?;
    closed.close().await?;
    drop(dropped);
    stopped.listener().stop(stage.soon()).await?;
    stage.publish(&transport, &stage.topic("e", "t"), ["2"]).await?;
    assert_eq!(stays.texts(2).await?, ["1", "2"]);
    let next = stage.read(&transport, Subscription::new(stage.server("e", "w", "next"))).await?;
    stage.publish(&transport, &stage.topic("e", "t"), ["3"]).await?;
    assert_eq!(stays.texts(1).await?, ["3"]);
    next.close().await?;
    Ok(stays.close().await?)
}

/// After the second listener is closed, only the message that it left unsettled may come back to it.
/// The first listener gets back all three of its own.
async fn a_listener_settles_its_own_messages(stage: &Stage) -> Outcome {
    let transport = stage.connect().await?;
    let mut one = stage.read(&transport, Subscription::new(stage.server("e", "t", "one"))).await?;
    let mut two = stage.read(&transport, Subscription::new(stage.server("e", "u", "two"))).await?;
    stage.publish(&transport, &stage.topic("e", "t"), ["t1", "t2", "t3"]).await?;
    stage.publish(&transport, &stage.topic("e", "u"), ["u1", "u2", "u3"]).await?;
    let (held, mut others) = (one.take(3).await?, two.take(3).await?);
    // In reverse order: settling one message must not settle those of another listener, nor earlier ones.
    others.remove(2).acknowledge().await?;
    others.remove(0).reject().await?;
    two.close().await?;
    let mut two = stage.read(&transport, Subscription::new(stage.server("e", "u", "two"))).await?;
    assert_eq!(two.texts(1).await?, ["u2"]);
    drop((others, held));
    let mut back = one.texts(3).await?;
    back.sort();
    assert_eq!(back, ["t1", "t2", "t3"]);
    one.quiet().await?;
    two.quiet().await
}

/// A window of 1 beside a default window.
/// A driver with one prefetch for the whole transport hands one of the two too few or too many.
async fn a_window_is_of_one_listener(stage: &Stage) -> Outcome {
    let transport = stage.connect().await?;
    let narrow = Subscription::new(stage.server("e", "t", "narrow")).with_window(NonZeroU16::MIN);
    let mut narrow = stage.read(&transport, narrow).await?;
    let mut wide = stage.read(&transport, Subscription::new(stage.server("e", "u", "wide"))).await?;
    stage.publish(&transport, &stage.topic("e", "t"), ["1", "2"]).await?;
    stage.publish(&transport, &stage.topic("e", "u"), ["1", "2", "3", "4", "5"]).await?;
    let held = narrow.next().await?;
    let wide_ones = wide.take(5).await?;
    narrow.quiet().await?;
    for message in wide_ones {
        message.acknowledge().await?;
    }
    narrow.quiet().await?;
    held.acknowledge().await?;
    assert_eq!(narrow.texts(1).await?, ["2"]);
    Ok(())
}

/// Publishes each text to all four kinds of address at once, so the addresses compete for the driver's channels.
async fn each_address_keeps_its_order(stage: &Stage) -> Outcome {
    let (transport, recorder) = (stage.connect().await?, stage.recorder());
    let inbox = stage.read(&transport, Subscription::new(Source::Inbox)).await?;
    let direct = inbox.address();
    let _inbox = inbox.record(&recorder, "direct");
    let mut servers = Vec::new();
    let mut addresses = vec![("direct", direct), ("topic", stage.topic("e", "topic"))];
    let (exchange, topic) = (stage.name("e"), stage.name("server"));
    addresses.push(("server", Address::Server { exchange, topic, server: stage.name("s") }));
    addresses.push(("fanout", Address::Fanout { topic: stage.name("fanout") }));
    for (place, _) in &addresses[1..] {
        let subscription = Subscription::new(stage.server("e", place, "s"));
        servers.push(stage.read(&transport, subscription).await?.record(&recorder, place));
    }
    let sent: Vec<_> = (0..50).map(|n| n.to_string()).collect();
    for one in &sent {
        try_join_all(addresses.iter().map(|(_, to)| stage.publish(&transport, to, [one]))).await?;
    }
    recorder.wait(sent.len() * addresses.len()).await?;
    for (place, _) in &addresses {
        assert_eq!(recorder.at(place), sent, "{place}");
    }
    Ok(())
}

/// Eight publishers share a transport. Only the order within each of them is compared.
async fn each_of_many_publishers_keeps_its_order(stage: &Stage) -> Outcome {
    let (transport, to) = (stage.connect().await?, stage.topic("e", "t"));
    let mut server = stage.read(&transport, Subscription::new(stage.server("e", "t", "s"))).await?;
    let (publishers, each) = (8, 25);
    let texts = |publisher: usize| (0..each).map(move |n| format!("{publisher} {n:02}"));
    try_join_all((0..publishers).map(|publisher| stage.publish(&transport, &to, texts(publisher)))).await?;
    let read = server.texts(publishers * each).await?;
    for publisher in 0..publishers {
        let own = format!("{publisher} ");
        let heard: Vec<_> = read.iter().filter(|text| text.starts_with(&own)).cloned().collect();
        assert_eq!(heard, texts(publisher).collect::<Vec<_>>());
    }
    server.quiet().await
}

/// Addresses the topic's queue and the server's own queue by their names, as a reply addresses an inbox.
async fn a_queue_is_reached_past_its_exchange(stage: &Stage) -> Outcome {
    let transport = stage.connect().await?;
    let subscription = Subscription::new(stage.server("e", "t", "s"));
    let mut server = stage.read(&transport, subscription.clone()).await?;
    let mut sent = Vec::new();
    // The third queue is private, and its reader chooses the name.
    for queue in subscription.queues("").into_iter().take(2) {
        stage.publish(&transport, &Address::Direct { queue: queue.name.clone() }, [&queue.name]).await?;
        sent.push(queue.name);
    }
    assert_eq!(server.texts(2).await?, sent);
    server.quiet().await
}
