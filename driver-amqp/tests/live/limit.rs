//! What is too large: names, headers, bodies.

use futures_util::future::join_all;
use oslo_messaging::driver::{Address, Message, Settle, Source, Subscription, Transport};
use oslo_messaging::{ErrorKind, Executed};
use oslo_messaging_amqp::AmqpConfig;

use testkit::stage::{
    ARRIVE, Stage, options, publish, refusal, server, soon, subscribe, take, texts, topic, unique, within,
};

pub(crate) async fn a_name_of_256_bytes_is_refused_wherever_it_stands() {
    let stage = Stage::shared().await;
    let transport = stage.connect().await;
    let (long, short) = ("n".repeat(256), "n".to_owned());
    let address = |exchange: &String, topic: &String, server: &String| Address::Server {
        exchange: exchange.clone(),
        topic: topic.clone(),
        server: server.clone(),
    };
    for to in [address(&long, &short, &short), address(&short, &long, &short), address(&short, &short, &long)] {
        let error = refusal(publish(&transport, &to, "").await);
        assert_eq!((error.kind(), error.executed()), (ErrorKind::TooLarge, Executed::No), "{error}");
        let Address::Server { exchange, topic, server } = to else { unreachable!("they are all servers") };
        let subscription = Subscription::new(Source::Server { exchange, topic, server });
        let error = refusal(transport.subscribe(&subscription, soon()).await);
        assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
    }
    let name = stage.vhost.clone();
    let queues = stage.control(move |stage| stage.node.queues(&name).expect("queues")).await;
    assert!(queues.iter().all(|queue| queue["name"] == "n"), "{queues:?}");
    transport.close(soon()).await.expect("the connection has survived");
}

pub(crate) async fn headers_over_a_frame_are_refused_and_disturb_no_other_publish() {
    let stage = Stage::shared().await;
    let transport = stage.connect().await;
    let (name, to) = (unique("t"), topic("headers"));
    let large = |bytes| Message::new("").with_header(name.clone(), "h".repeat(bytes));
    let error = refusal(transport.publish(&to, large(200_000), &options()).await);
    assert_eq!((error.kind(), error.executed()), (ErrorKind::TooLarge, Executed::No), "{error}");
    transport.publish(&to, large(130_000), &options()).await.expect("it fits into the frame");
}

pub(crate) async fn a_body_over_our_own_limit_is_refused_before_it_is_sent() {
    let stage = Stage::shared().await;
    let transport = stage.connect_with(AmqpConfig::default().with_max_message_size(1_000)).await;
    let error = refusal(publish(&transport, &topic("limit"), &"b".repeat(1_001)).await);
    assert_eq!((error.kind(), error.executed()), (ErrorKind::TooLarge, Executed::No), "{error}");
    publish(&transport, &topic("limit"), &"b".repeat(1_000)).await.expect("it is not over the limit");
    assert_eq!(transport.counters().publishes, 1);
}

/// The broker closes the channel over such a body, with everything that is out on it.
pub(crate) async fn a_body_over_the_broker_s_limit_fails_no_other_publish() {
    let (mut node, stage) = Stage::own().await;
    node.spoil();
    let limit = "application:set_env(rabbit, max_message_size, 65536), persistent_term:put(max_message_size, 65536).";
    stage.control(move |stage| stage.node.rabbitmqctl(&["eval", limit]).expect("a lower limit")).await;
    let transport = stage.connect().await;
    // Where the receiver settled, what this case looks at and drops would come back to it.
    let mut listener = subscribe(&transport, &server("limit").with_settle(Settle::BeforeHandover)).await;
    let to = topic("limit");
    let large = "b".repeat(70_000);
    let bodies: Vec<String> = (0..60).map(|n| if n == 10 { large.clone() } else { format!("{n:02}") }).collect();
    let publishing = join_all(bodies.iter().map(|body| publish(&transport, &to, body)));
    let results = within(ARRIVE, "publishing", publishing).await;
    let mut confirmed = Vec::new();
    for (n, (body, result)) in bodies.iter().zip(results).enumerate() {
        match result {
            Err(error) if n == 10 => {
                assert_eq!((error.kind(), error.executed()), (ErrorKind::TooLarge, Executed::No), "{error}");
                assert!(error.to_string().contains("65536"), "{error}");
            }
            // The broker took those before it, and its confirms may not have made it.
            Err(error) if n < 10 => assert_eq!(error.executed(), Executed::Maybe, "{body}: {error}"),
            Err(error) => panic!("{body} came later, and nothing is wrong with it: {error}"),
            Ok(()) => confirmed.push(body.clone()),
        }
    }
    publish(&transport, &to, "after").await.expect("the next channel works");
    let mut arrived = Vec::new();
    while arrived.last().is_none_or(|last| last != "after") {
        arrived.extend(texts(&take(listener.as_mut(), 1).await));
    }
    assert!(confirmed.iter().all(|body| arrived.contains(body)), "{confirmed:?} against {arrived:?}");
    assert!(arrived.iter().all(|body| *body == "after" || bodies.contains(body)));
    assert!(arrived.is_sorted(), "what was sent again kept its order: {arrived:?}");
    let mut once = arrived.clone();
    once.dedup();
    assert_eq!(once, arrived, "and nothing came twice");
}
