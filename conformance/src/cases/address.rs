//! Which listeners receive a message to an address.

use oslo_messaging::driver::{Address, Source, Subscription};

use crate::cases::cases;
use crate::{Outcome, Stage};

cases! { address;
    /// Address::Topic: One of the servers that share a topic.
    a_topic_reaches_one_of_its_servers [];
    /// Address::Server: One server by its name.
    a_server_is_reached_alone [ServerAddress];
    /// Address::Fanout: Every server of a topic in this virtual host, whatever its exchange.
    a_fanout_reaches_every_server_of_every_exchange [Fanout];
    /// Address::Topic: exchange, the topic exchange; topic, the topic.
    exchanges_keep_topics_apart [];
    /// Listener::address: Where this listener can be reached; of an inbox, the name that travels in _reply_q.
    an_inbox_is_reached_by_its_address [];
    /// Address::Queue: A durable queue of ours, such as a dead-letter queue.
    a_queue_is_reached_by_its_name [];
}

/// Thirty messages to three servers: each arrives once, and each server gets at least one.
async fn a_topic_reaches_one_of_its_servers(stage: &Stage) -> Outcome {
    let (transport, recorder) = (stage.connect().await?, stage.recorder());
    let mut servers = Vec::new();
    for name in ["a", "b", "c"] {
        let subscription = Subscription::new(stage.server("e", "t", name));
        servers.push(stage.read(&transport, subscription).await?.record(&recorder, name));
    }
    let sent: Vec<_> = (0..30).map(|n| format!("{n:02}")).collect();
    stage.publish(&transport, &stage.topic("e", "t"), &sent).await?;
    recorder.wait(sent.len()).await?;
    let mut read: Vec<_> = recorder.quiet().await?.into_iter().map(|event| event.what).collect();
    read.sort();
    assert_eq!(read, sent, "each message is read by one server");
    for name in ["a", "b", "c"] {
        assert!(!recorder.at(name).is_empty(), "server {name} has its share: {:?}", recorder.events());
    }
    Ok(())
}

/// Two servers share the topic, so a driver that ignores the server name sends some of the messages to the other one.
async fn a_server_is_reached_alone(stage: &Stage) -> Outcome {
    let transport = stage.connect().await?;
    let mut one = stage.read(&transport, Subscription::new(stage.server("e", "t", "one"))).await?;
    let mut two = stage.read(&transport, Subscription::new(stage.server("e", "t", "two"))).await?;
    let to = Address::Server { exchange: stage.name("e"), topic: stage.name("t"), server: stage.name("one") };
    stage.publish(&transport, &to, ["x", "y"]).await?;
    assert_eq!(one.texts(2).await?, ["x", "y"]);
    two.quiet().await
}

/// The server of exchange `f` must be reached as well, and the one of another topic must not.
async fn a_fanout_reaches_every_server_of_every_exchange(stage: &Stage) -> Outcome {
    let transport = stage.connect().await?;
    let mut one = stage.read(&transport, Subscription::new(stage.server("e", "t", "one"))).await?;
    let mut two = stage.read(&transport, Subscription::new(stage.server("e", "t", "two"))).await?;
    let mut far = stage.read(&transport, Subscription::new(stage.server("f", "t", "far"))).await?;
    let mut other = stage.read(&transport, Subscription::new(stage.server("e", "u", "other"))).await?;
    stage.publish(&transport, &Address::Fanout { topic: stage.name("t") }, ["x", "y"]).await?;
    for server in [&mut one, &mut two, &mut far] {
        assert_eq!(server.texts(2).await?, ["x", "y"]);
    }
    other.quiet().await
}

/// Each exchange has a server of another topic.
/// Two servers of one topic would share a queue on RabbitMQ, and each would get what is sent to the other's exchange.
async fn exchanges_keep_topics_apart(stage: &Stage) -> Outcome {
    let transport = stage.connect().await?;
    let mut here = stage.read(&transport, Subscription::new(stage.server("e", "t", "s"))).await?;
    let mut there = stage.read(&transport, Subscription::new(stage.server("f", "u", "s"))).await?;
    stage.publish(&transport, &stage.topic("e", "t"), ["here"]).await?;
    stage.publish(&transport, &stage.topic("f", "u"), ["there"]).await?;
    // Both the exchange and the topic must match, so these two messages have no listener.
    stage.publish(&transport, &stage.topic("f", "t"), ["nowhere"]).await?;
    stage.publish(&transport, &stage.topic("e", "u"), ["nowhere"]).await?;
    assert_eq!(here.texts(1).await?, ["here"]);
    assert_eq!(there.texts(1).await?, ["there"]);
    here.quiet().await?;
    there.quiet().await
}

/// Two inboxes of one transport must have different addresses; the publishes come from another transport.
async fn an_inbox_is_reached_by_its_address(stage: &Stage) -> Outcome {
    let transport = stage.connect().await?;
    let mut one = stage.read(&transport, Subscription::new(Source::Inbox)).await?;
    let mut two = stage.read(&transport, Subscription::new(Source::Inbox)).await?;
    assert_ne!(one.address(), two.address());
    let elsewhere = stage.connect().await?;
    stage.publish(&elsewhere, &one.address(), ["one"]).await?;
    stage.publish(&elsewhere, &two.address(), ["two"]).await?;
    assert_eq!(one.texts(1).await?, ["one"]);
    assert_eq!(two.texts(1).await?, ["two"]);
    one.quiet().await
}

/// The name is the whole address: no exchange and no topic take part in the routing.
async fn a_queue_is_reached_by_its_name(stage: &Stage) -> Outcome {
    let (transport, name) = (stage.connect().await?, stage.name("q.dead"));
    let mut queue = stage.read(&transport, Subscription::new(Source::Queue { name: name.clone() })).await?;
    stage.publish(&transport, &Address::Queue { name }, ["x"]).await?;
    assert_eq!(queue.texts(1).await?, ["x"]);
    Ok(())
}
