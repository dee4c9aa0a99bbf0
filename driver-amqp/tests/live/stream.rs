//! Fanouts over a stream.

use std::sync::Arc;

use lapin::BasicProperties;
use lapin::options::{BasicPublishOptions, QueueDeleteOptions};
use oslo_messaging::driver::{Listener, Settle};
use oslo_messaging_amqp::{AmqpConfig, AmqpTransport};
use tokio::time::sleep;

use testkit::stage::{
    QUIET, Stage, all, assert_quiet, back, fanout, publish, server, soon, subscribe, take, text, texts, unique, until,
    url,
};

fn streams() -> AmqpConfig {
    AmqpConfig::quorum().with_option("rabbit_stream_fanout", "true").expect("an option")
}

async fn connect(stage: &Stage) -> AmqpTransport {
    stage.connect_with(streams()).await
}

async fn server_of(transport: &AmqpTransport, topic: &str) -> Box<dyn Listener> {
    subscribe(transport, &server(topic).with_settle(Settle::BeforeHandover)).await
}

pub(crate) async fn every_server_reads_all_that_comes_while_it_runs_and_nothing_twice() {
    let stage = Stage::shared().await;
    let (one, two) = (connect(&stage).await, connect(&stage).await);
    let mut first = server_of(&one, "all").await;
    publish(&two, &fanout("all"), "early").await.expect("a publish");
    assert_eq!(texts(&take(first.as_mut(), 1).await), ["early"]);
    let mut second = server_of(&two, "all").await;
    let mut third = server_of(&two, "all").await;
    // More than its readers hold at once, so that they must acknowledge to get on.
    let bodies: Vec<String> = (0..1_000).map(|number| number.to_string()).collect();
    for body in &bodies {
        publish(&one, &fanout("all"), body).await.expect("a publish");
    }
    for listener in [&mut first, &mut second, &mut third] {
        assert_eq!(texts(&take(listener.as_mut(), bodies.len()).await), bodies);
    }
    first.close(soon()).await.expect("a close");
    publish(&one, &fanout("all"), "down").await.expect("a publish");
    assert_eq!(texts(&take(second.as_mut(), 1).await), ["down"], "one that stops takes nothing with it");
    let mut again = server_of(&one, "all").await;
    assert_quiet(again.as_mut()).await;
}

pub(crate) async fn a_reader_goes_on_where_it_was_after_a_loss() {
    let (stage, user) = (Stage::shared().await, unique("u"));
    let name = user.clone();
    let allow = move |stage: &Stage| {
        stage.node.add_user(&name, "before").expect("a user");
        stage.node.set_permissions(&name, &stage.vhost, ".*", ".*", ".*").expect("permissions");
    };
    stage.control(allow).await;
    let address = url(&stage.node.url_as(&user, "before", &stage.vhost));
    let transport = AmqpTransport::connect(&address, streams(), soon()).await.expect("a connection");
    let mut listener = server_of(&transport, "on").await;
    let mut idle = server_of(&transport, "idle").await;
    for body in ["1", "2"] {
        publish(&transport, &fanout("on"), body).await.expect("a publish");
    }
    assert_eq!(texts(&take(listener.as_mut(), 2).await), ["1", "2"]);
    let change = async |password: &'static str| {
        let user = user.clone();
        let change = move |stage: &Stage| stage.node.rabbitmqctl(&["change_password", &user, password]).expect("done");
        stage.control(change).await;
    };
    // So that it stays away until everything is published.
    change("after").await;
    stage.close_connections("a loss").await;
    let outside = stage.bare().await.create_channel().await.expect("a channel");
    for (exchange, body) in [("on_fanout", "3"), ("idle_fanout", "first"), ("on_fanout", "4")] {
        let sent = outside.basic_publish(
            exchange.into(),
            "".into(),
            BasicPublishOptions::default(),
            body.as_bytes(),
            BasicProperties::default(),
        );
        sent.await.expect("a publish");
    }
    change("before").await;
    back(&transport, 1).await;
    publish(&transport, &fanout("on"), "5").await.expect("a publish");
    assert_eq!(texts(&take(listener.as_mut(), 3).await), ["3", "4", "5"]);
    assert_eq!(texts(&take(idle.as_mut(), 1).await), ["first"], "also if it had read nothing");
    assert_quiet(listener.as_mut()).await;
    assert_quiet(idle.as_mut()).await;
}

/// Its offsets begin at zero again, and so does its consumer.
pub(crate) async fn a_stream_that_is_deleted_is_made_again() {
    let stage = Stage::shared().await;
    let transport = Arc::new(connect(&stage).await);
    let mut listener = server_of(&transport, "again").await;
    for number in 0..10 {
        publish(&transport, &fanout("again"), &number.to_string()).await.expect("a publish");
    }
    take(listener.as_mut(), 10).await;
    let channel = stage.bare().await.create_channel().await.expect("a channel");
    channel.queue_delete("again_fanout".into(), QueueDeleteOptions::default()).await.expect("a deletion");
    let revived = until("the consumer to be back", async || transport.counters().recoveries >= 1);
    tokio::select! {
        polled = listener.poll(all()) => panic!("nothing was sent, and {polled:?} came"),
        () = revived => {}
    }
    // The broker may still have had the old one when it was asked, and then takes it away as well.
    let telling = async {
        loop {
            publish(&transport, &fanout("again"), "after").await.expect("a publish");
            sleep(QUIET).await;
        }
    };
    let read = tokio::select! {
        read = take(listener.as_mut(), 1) => read,
        () = telling => Vec::new(),
    };
    assert_eq!(text(read.last().expect("one").as_ref()), "after");
}
