//! What a publisher gets for a message that reached no queue, or not every one, and what becomes of deleted exchanges.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use futures_util::future::join_all;
use lapin::options::{ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::{AMQPValue, FieldTable};
use oslo_messaging::driver::{Address, Message, Source, Subscription, Transport};
use oslo_messaging::{Bus, Context, Endpoint, ErrorKind, Executed, Retry, RpcClient, RpcServer, Target};
use oslo_messaging_amqp::AmqpConfig;
use tokio::task::JoinSet;

use testkit::stage::{
    ARRIVE, Stage, assert_quiet, back, fanout, options, publish, refusal, server, soon, subscribe, take, texts, topic,
    until, within,
};

const TASKS: usize = 64;
const MESSAGES: usize = 3_000;

/// lapin gives a returned message to the confirm that comes next; with this many unconfirmed, that is another's.
pub(crate) async fn each_of_3000_pipelined_publishers_gets_its_own_result() {
    let stage = Stage::shared().await;
    let mut config = AmqpConfig::default();
    // All on one channel, and into queues that confirm at once: so more than a hundred returns come with a confirm that
    // is not their own.
    config.publish_channels = 1;
    let transport = Arc::new(stage.connect_with(config).await);
    let (mut names, mut listeners) = (Vec::new(), Vec::new());
    for n in 0..4 {
        names.push(format!("here-{n}"));
        listeners.push(subscribe(&transport, &server(&names[n])).await);
    }
    let mut publishing = JoinSet::new();
    for task in 0..TASKS {
        let (transport, names) = (Arc::clone(&transport), names.clone());
        publishing.spawn(async move {
            let mut wrong = 0;
            let numbers: Vec<usize> = (task..MESSAGES).step_by(TASKS).collect();
            for few in numbers.chunks(16) {
                let publishes = few.iter().map(|n| {
                    let name = if n % 3 == 0 { "nowhere" } else { names[n % names.len()].as_str() };
                    let to = Address::Direct { queue: name.to_owned() };
                    let (transport, options) = (Arc::clone(&transport), options().mandatory());
                    async move { transport.publish(&to, Message::new("m"), &options).await }
                });
                for (n, outcome) in few.iter().zip(join_all(publishes).await) {
                    let undeliverable = match outcome {
                        Ok(()) => false,
                        Err(error) if error.kind() == ErrorKind::Undeliverable => true,
                        Err(error) => panic!("{n}: {error}"),
                    };
                    wrong += usize::from(undeliverable != (n % 3 == 0));
                }
            }
            wrong
        });
    }
    let wrong: usize = within(ARRIVE * 3, "publishing", publishing.join_all()).await.into_iter().sum();
    assert_eq!(wrong, 0);
    let counters = transport.counters();
    assert_eq!((counters.publishes, counters.confirms, counters.returns), (3_000, 3_000, 1_000), "{counters:?}");
}

pub(crate) async fn a_confirmed_publish_does_not_wait_for_one_that_is_stuck() {
    let stage = Stage::shared().await;
    let bare = stage.bare().await;
    let channel = within(ARRIVE, "a channel", bare.create_channel()).await.expect("a channel");
    for queue in ["stuck", "here"] {
        let declared = channel.queue_declare(queue.into(), QueueDeclareOptions::default(), FieldTable::default());
        within(ARRIVE, "a queue", declared).await.expect("a queue");
    }
    let act = async |act: &'static str| {
        let find = "{ok, Q} = rabbit_amqqueue:lookup(rabbit_misc:r(<<\"VHOST\">>, queue, <<\"stuck\">>))";
        let find = find.replace("VHOST", &stage.vhost);
        let eval = format!("{find}, sys:{act}(amqqueue:get_pid(Q)).");
        stage.control(move |stage| stage.node.rabbitmqctl(&["eval", &eval]).expect("the queue's process")).await;
    };
    act("suspend").await;
    let mut config = AmqpConfig::default();
    config.publish_channels = 1;
    let transport = stage.connect_with(config).await;
    let options = options().mandatory();
    let publish = |queue: &str| {
        let to = Address::Direct { queue: queue.to_owned() };
        let transport = &transport;
        async move { transport.publish(&to, Message::new("m"), &options).await }
    };
    let mut stuck = Box::pin(publish("stuck"));
    // The first poll puts it on its way.
    assert!(futures_util::poll!(stuck.as_mut()).is_pending());
    within(ARRIVE, "a publish that is confirmed", publish("here")).await.expect("it was routed");
    let error = refusal(within(ARRIVE, "a publish that is returned", publish("nowhere")).await);
    assert_eq!(error.kind(), ErrorKind::Undeliverable, "{error}");
    assert!(futures_util::poll!(stuck.as_mut()).is_pending(), "its queue stands still");
    act("resume").await;
    within(ARRIVE, "the one that was stuck", stuck).await.expect("it is confirmed at last");
}

pub(crate) async fn two_messages_of_one_id_both_get_their_results() {
    let stage = Stage::shared().await;
    let transport = stage.connect().await;
    let to = Address::Direct { queue: "nowhere".into() };
    let twin = || Message::new("m").with_id("twin");
    let options = options().mandatory();
    for outcome in join_all((0..10).map(|_| transport.publish(&to, twin(), &options))).await {
        assert_eq!(refusal(outcome).kind(), ErrorKind::Undeliverable);
    }
}

pub(crate) async fn a_fanout_without_a_binding_succeeds_even_after_its_exchange_went() {
    let stage = Stage::shared().await;
    let transport = stage.connect().await;
    publish(&transport, &fanout("comings"), "before any").await.expect("no queue is bound, which is no error");
    let listener = subscribe(&transport, &server("comings")).await;
    listener.close(soon()).await.expect("a close, and with it the exchange is deleted");
    publish(&transport, &fanout("comings"), "after all").await.expect("it is declared again");
}

pub(crate) async fn fanouts_keep_their_order_when_their_exchange_went() {
    let stage = Stage::shared().await;
    let (transport, hearing) = (stage.connect().await, stage.connect().await);
    let to = fanout("order");
    publish(&transport, &to, "declares it").await.expect("a publish");
    for _ in 0..3 {
        // Deleted behind the publisher's back: the first of the next ones costs the channel.
        subscribe(&hearing, &server("order")).await.close(soon()).await.expect("a close");
        let bodies: Vec<String> = (0..50).map(|n| format!("{n:02}")).collect();
        let outcome = join_all(bodies.iter().map(|body| publish(&transport, &to, body))).await;
        assert!(outcome.iter().all(Result::is_ok), "{outcome:?}");
        let mut listener = subscribe(&hearing, &server("order")).await;
        let outcome = join_all(bodies.iter().map(|body| publish(&transport, &to, body))).await;
        assert!(outcome.iter().all(Result::is_ok), "{outcome:?}");
        assert_eq!(texts(&take(listener.as_mut(), 50).await), bodies);
        listener.close(soon()).await.expect("a close");
    }
}

pub(crate) async fn a_topic_exchange_that_an_operator_deleted_is_declared_again() {
    let stage = Stage::shared().await;
    let transport = stage.connect().await;
    let event = Address::Notification { exchange: "x-gone".into(), topic: "gone".into(), priority: "info".into() };
    transport.publish(&event, Message::new("one"), &options().ensure_queue()).await.expect("a publish");
    let channel = stage.bare().await.create_channel().await.expect("a channel");
    channel.exchange_delete("x-gone".into(), ExchangeDeleteOptions::default()).await.expect("a deletion");
    transport.publish(&event, Message::new("two"), &options().ensure_queue()).await.expect("it is declared again");
    let listening = Source::Notifications { addresses: vec![event], pool: None };
    let mut listener = subscribe(&transport, &Subscription::new(listening)).await;
    assert_eq!(texts(&take(listener.as_mut(), 2).await), ["one", "two"], "and its queue is bound again");
}

pub(crate) async fn a_queue_of_ours_that_an_operator_deleted_is_declared_again() {
    let stage = Stage::shared().await;
    let transport = stage.connect().await;
    let dead = Address::Queue { name: "letters.dead".into() };
    publish(&transport, &dead, "lost with its queue").await.expect("a publish");
    let channel = stage.bare().await.create_channel().await.expect("a channel");
    channel.queue_delete("letters.dead".into(), QueueDeleteOptions::default()).await.expect("a deletion");
    publish(&transport, &dead, "kept").await.expect("it is declared again");
    let mut listener = subscribe(&transport, &queue("letters.dead")).await;
    assert_eq!(texts(&take(listener.as_mut(), 1).await), ["kept"]);
}

pub(crate) async fn an_undeliverable_message_certainly_reached_no_queue() {
    let stage = Stage::shared().await;
    let transport = stage.connect().await;
    let error = refusal(transport.publish(&topic("unserved"), Message::new(""), &options().mandatory()).await);
    let outcome = (error.kind(), error.executed(), error.is_transient());
    assert_eq!(outcome, (ErrorKind::Undeliverable, Executed::No, false), "{error}");
    assert!(error.to_string().contains("x-unserved") && error.to_string().contains("312"), "{error}");
}

/// Servers come back when callers do, and perhaps a little later.
pub(crate) async fn a_call_right_after_a_loss_waits_for_its_server_to_come_back_too() {
    let stage = Stage::shared().await;
    let (serving, calling) = (stage.connect().await, Arc::new(stage.connect().await));
    let bus = Bus::new(Arc::clone(&calling));
    stage.close_connections("all out").await;
    back(&calling, 1).await;
    let target = Target::topic("late");
    let client = RpcClient::new(&bus, target.clone()).timeout(ARRIVE);
    let late = async {
        until("a call to be returned", async || calling.counters().returns > 0).await;
        let endpoint = Endpoint::new(()).method("ping", async |_: Arc<()>, _: Context, (): ()| Ok::<_, Infallible>(7));
        RpcServer::builder(&Bus::new(serving), target.server("one")).endpoint(endpoint).start(soon()).await
    };
    let context = Context::new();
    let (answer, server) = tokio::join!(client.call::<u32>(&context, "ping", &()), late);
    assert_eq!(answer.expect("it is sent again"), 7);
    server.expect("a server").stop(soon()).await.expect("a stop");
}

fn queue(name: &str) -> Subscription {
    Subscription::new(Source::Queue { name: name.into() })
}

/// As the broker refuses a fanout while one of its queues is without a leader: the others have it already.
pub(crate) async fn a_fanout_that_one_queue_refuses_may_have_reached_the_others() {
    let stage = Stage::shared().await;
    let transport = Arc::new(stage.connect().await);
    let mut listener = subscribe(&transport, &server("partly")).await;
    let bare = stage.bare().await;
    let declaring = async {
        let channel = bare.create_channel().await?;
        let full =
            [("x-max-length", AMQPValue::LongInt(0)), ("x-overflow", AMQPValue::LongString("reject-publish".into()))];
        let full: BTreeMap<_, _> = full.into_iter().map(|(name, value)| (name.into(), value)).collect();
        channel.queue_declare("full".into(), QueueDeclareOptions::default(), FieldTable::from(full)).await?;
        let (options, arguments) = (QueueBindOptions::default(), FieldTable::default());
        channel.queue_bind("full".into(), "partly_fanout".into(), "".into(), options, arguments).await
    };
    within(ARRIVE, "a full queue", declaring).await.expect("it is bound");

    let error = refusal(publish(&transport, &fanout("partly"), "to one").await);
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Refused, Executed::Maybe), "{error}");
    assert_eq!(texts(&take(listener.as_mut(), 1).await), ["to one"]);

    // Servers drop what they have had, so a client tries as often as it may. By number: time may run out within a try.
    let client = RpcClient::new(&Bus::new(transport), Target::topic("partly")).fanout();
    let client = client.retry(Retry::times(3)).timeout(ARRIVE);
    let error = client.cast(&Context::new(), "work", &()).await.expect_err("the queue stays full");
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Refused, Executed::Maybe), "{error}");
    assert!(error.context().any(|(key, value)| key == "attempts" && value == "4"), "{error}");
}

/// A classic queue may hand a message over and then refuse it, when its process dies before the disk has it; a quorum queue
/// refuses before it takes anything.
pub(crate) async fn what_is_refused_certainly_reached_no_queue_where_queues_are_replicated_alone() {
    let configs = [(AmqpConfig::default(), "classic", Executed::Maybe), (AmqpConfig::quorum(), "quorum", Executed::No)];
    for (config, kind, executed) in configs {
        let stage = Stage::shared().await;
        let bare = stage.bare().await;
        let declaring = async {
            let full = [
                ("x-max-length", AMQPValue::LongInt(1)),
                ("x-overflow", AMQPValue::LongString("reject-publish".into())),
                ("x-queue-type", AMQPValue::LongString(kind.into())),
            ];
            let full: BTreeMap<_, _> = full.into_iter().map(|(name, value)| (name.into(), value)).collect();
            let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
            bare.create_channel().await?.queue_declare("full".into(), options, FieldTable::from(full)).await
        };
        within(ARRIVE, "a queue that takes little", declaring).await.expect("it is declared");
        let transport = stage.connect_with(config).await;
        let mut taken = Vec::new();
        let to = Address::Queue { name: "full".into() };
        let error = loop {
            let text = taken.len().to_string();
            match publish(&transport, &to, &text).await {
                Ok(()) => taken.push(text),
                Err(error) => break error,
            }
            assert!(taken.len() < 1_000, "a {kind} queue never fills");
        };
        assert_eq!((error.kind(), error.executed()), (ErrorKind::Refused, executed), "{kind}: {error}");
        let mut listener = subscribe(&transport, &queue("full")).await;
        let had = take(listener.as_mut(), taken.len()).await;
        assert_eq!(texts(&had), taken, "{kind}");
        for message in had {
            message.acknowledge().await.expect("an acknowledgement");
        }
        assert_quiet(listener.as_mut()).await;
    }
}
