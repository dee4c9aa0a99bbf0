//! Limits that an operator sets: of queues, connections, channels, rights, time and retention. What fits goes on, and what
//! does not fit is named.

use oslo_messaging::driver::{Address, Listener, Message, Settle, Source, Subscription, Transport, UnhealthyPart};
use oslo_messaging::{Deadline, ErrorKind, State};
use oslo_messaging_amqp::{AmqpConfig, AmqpTransport};
use tokio::time::{Instant, sleep};
use xtask::broker::Release;

use crate::traffic::a_hundred;
use testkit::stage::{
    ARRIVE, BorrowedNode, QUIET, SLACK, Stage, all, back, blocking, fanout, options, publish, refusal, server, soon,
    subscribe, take, text, texts, topic, unique, until, url, within,
};

/// A handler takes longer than the broker lets a consumer hold a message. From 4.3 on the consumer of a replicated queue is
/// ended, before that its channel is closed.
pub(crate) async fn a_consumer_that_timed_out_comes_back_and_nothing_else_is_disturbed() {
    let (mut node, stage) = Stage::own().await;
    node.spoil();
    let short =
        "application:set_env(rabbit, consumer_timeout, 3000), application:set_env(rabbit, channel_tick_interval, 500).";
    stage.control(move |stage| stage.node.rabbitmqctl(&["eval", short]).expect("it is set")).await;
    let transport = stage.connect_with(AmqpConfig::quorum()).await;
    let mut slow = subscribe(&transport, &server("slow")).await;
    let mut other = subscribe(&transport, &server("other")).await;
    publish(&transport, &topic("slow"), "held").await.expect("a publish");
    let mut held = take(slow.as_mut(), 1).await;
    for times in 1..=2 {
        let again = take_while_back(&transport, slow.as_mut(), times).await;
        assert!(again.iter().all(|message| text(message.as_ref()) == "held"), "{:?}", texts(&again));
        held.extend(again);
        a_hundred(&transport, &topic("other"), other.as_mut()).await;
    }
    let last = held.pop().expect("one");
    for late in held {
        // It is another reader's by now, whatever the broker makes of that.
        let _ = late.acknowledge().await;
    }
    last.acknowledge().await.expect("it is in time");
    a_hundred(&transport, &topic("slow"), slow.as_mut()).await;
    let counters = transport.counters();
    assert_eq!((counters.losses, counters.reconnects), (0, 0));
    assert_eq!(transport.health().borrow().unhealthy, []);
}

/// Polls until the listener was put back so many times, and then until something comes.
async fn take_while_back(
    transport: &AmqpTransport,
    listener: &mut dyn Listener,
    times: u64,
) -> Vec<Box<dyn oslo_messaging::driver::IncomingMessage>> {
    let mut taken = Vec::new();
    let polling = async {
        while transport.counters().recoveries < times || taken.is_empty() {
            taken.extend(listener.poll(all()).await.expect("messages").expect("not the end"));
        }
    };
    within(ARRIVE, "the consumer to be back", polling).await;
    taken
}

/// A virtual host that may have no more queues lets clients use those that exist.
pub(crate) async fn a_limit_of_queues_leaves_existing_queues_usable() {
    let stage = Stage::shared().await;
    let first = stage.connect().await;
    let queue = Address::Queue { name: "full".into() };
    let mut listener = subscribe(&first, &Subscription::new(Source::Queue { name: "full".into() })).await;
    limit_vhost(&stage, r#"{"max-queues": 1}"#).await;
    let second = stage.connect().await;
    a_hundred(&second, &queue, listener.as_mut()).await;
    let refused = refusal(second.subscribe(&server("new"), soon()).await);
    assert!(refused.to_string().contains("queue limit"), "{refused}");
    stage.close_connections("a loss").await;
    back(&first, 1).await;
    back(&second, 1).await;
    a_hundred(&second, &queue, listener.as_mut()).await;
}

/// Where the broker denies transient queues, and a user may not declare a queue of any name.
pub(crate) async fn rights_to_few_names_are_enough_to_learn_what_the_broker_denies() {
    let stage = Stage::shared().await;
    let denied = stage.node.release().is_some_and(Release::denies_transient);
    // With the first the question can be asked, with the second only the declaration answers it.
    for (name, configure, losses) in [
        ("shop", "^(x-shop.*|shop.*|openstack|reply_.*|notifications.*)$", 0),
        ("shop-2", "^(x-shop.*|shop.*)$", u64::from(denied)),
    ] {
        let transport = connect_as(&stage, &user_with(&stage, configure).await).await.expect("a connection");
        let mut listener = subscribe(&transport, &server(name)).await;
        a_hundred(&transport, &topic(name), listener.as_mut()).await;
        stage.close_connections("a loss").await;
        back(&transport, losses + 1).await;
        a_hundred(&transport, &topic(name), listener.as_mut()).await;
        assert_eq!(transport.counters().losses, losses + 1, "{configure}");
        listener.close(soon()).await.expect("a close");
        transport.close(soon()).await.expect("a close");
    }
}

pub(crate) async fn a_limit_of_connections_is_reported_in_the_broker_s_words_and_passes() {
    let stage = Stage::shared().await;
    let user = user_with(&stage, ".*").await;
    let of_user = async |limits: &'static str| limit_user(&stage, &user, limits).await;
    let of_vhost = async |limits: &'static str| limit_vhost(&stage, limits).await;
    of_user(r#"{"max-connections": 0}"#).await;
    let refused = refusal(connect_as(&stage, &user).await);
    assert_eq!((refused.kind(), refused.is_transient()), (ErrorKind::Disconnected, true), "{refused}");
    assert!(refused.to_string().contains("user connection limit (0) is reached"), "{refused}");
    of_user("{}").await;
    of_vhost(r#"{"max-connections": 0}"#).await;
    let refused = refusal(connect_as(&stage, &user).await);
    assert_eq!((refused.kind(), refused.is_transient()), (ErrorKind::Disconnected, true), "{refused}");
    assert!(refused.to_string().contains("connection limit (0) is reached"), "{refused}");
    of_vhost("{}").await;
    let transport = connect_as(&stage, &user).await.expect("the limit is lifted");
    let mut listener = subscribe(&transport, &server("limited")).await;
    of_vhost(r#"{"max-connections": 0}"#).await;
    stage.close_connections("a loss").await;
    let mut health = transport.health();
    let is_limited = |state: &State| matches!(state, State::Lost { reason } if reason.contains("connection limit"));
    within(ARRIVE, "the alarm", health.wait_for(|health| is_limited(&health.state))).await.expect("a state");
    of_vhost("{}").await;
    back(&transport, 1).await;
    a_hundred(&transport, &topic("limited"), listener.as_mut()).await;
}

/// The broker ends the connection that opens one channel too many. One such end shows how many there may be.
pub(crate) async fn one_channel_too_many_fails_the_last_listener_and_no_other() {
    let stage = Stage::shared().await;
    let (user, outside) = (user_with(&stage, ".*").await, stage.connect().await);
    let transport = connect_as(&stage, &user).await.expect("a connection");
    let mut first = subscribe(&transport, &server("first")).await;
    let mut second = subscribe(&transport, &server("second")).await;
    limit_user(&stage, &user, r#"{"max-channels": 1}"#).await;
    stage.close_connections("a loss").await;
    let mut health = transport.health();
    let is_sick = |parts: &[UnhealthyPart]| matches!(parts, [part] if part.part == "listener of topic second" && part.reason.contains("channels opened"));
    within(ARRIVE, "the alarm", health.wait_for(|health| is_sick(&health.unhealthy))).await.expect("a state");
    a_hundred(&outside, &topic("first"), first.as_mut()).await;
    // Not even by those who come later.
    let refused = refusal(transport.subscribe(&server("third"), soon()).await);
    assert!(refused.is_transient() && refused.to_string().contains("channels opened"), "{refused}");
    let losses = transport.counters().losses;
    assert!((1..=10).contains(&losses), "{losses}");
    sleep(2 * SLACK).await;
    a_hundred(&outside, &topic("first"), first.as_mut()).await;
    assert_eq!(transport.counters().losses, losses, "the link stays");
    assert!(is_sick(&transport.health().borrow().unhealthy), "{:?}", transport.health().borrow());
    // After another loss those that were here first are back first, and nothing costs the link again.
    stage.close_connections("another loss").await;
    until("the other loss", async || transport.counters().losses > losses).await;
    a_hundred(&outside, &topic("first"), first.as_mut()).await;
    let losses = transport.counters().losses;
    sleep(2 * SLACK).await;
    assert_eq!(transport.counters().losses, losses, "the link stays");
    limit_user(&stage, &user, "{}").await;
    let well = async { health.wait_for(|health| health.unhealthy.is_empty()).await.map(drop) };
    within(4 * ARRIVE, "the broker to be asked again", well).await.expect("a state");
    a_hundred(&transport, &topic("second"), second.as_mut()).await;
}

/// What a slow reader of a stream misses is counted: everything that was published either arrives or is missed.
pub(crate) async fn what_retention_takes_from_a_slow_reader_of_a_stream_is_counted() {
    const MESSAGES: u64 = 1_500;
    let stage = Stage::shared().await;
    let policy = r#"{"max-length-bytes": 400000, "stream-max-segment-size-bytes": 100000}"#;
    let set = move |stage: &Stage| {
        let arguments = ["set_policy", "-p", &stage.vhost, "short", "_fanout$", policy, "--apply-to", "queues"];
        stage.node.rabbitmqctl(&arguments).expect("a policy");
    };
    stage.control(set).await;
    let streams = AmqpConfig::quorum().with_option("rabbit_stream_fanout", "true").expect("an option");
    let transport = stage.connect_with(streams).await;
    let mut reader = subscribe(&transport, &server("short").with_settle(Settle::BeforeHandover)).await;
    let body = "x".repeat(4096);
    for _ in 0..MESSAGES {
        publish(&transport, &fanout("short"), &body).await.expect("a publish");
    }
    publish(&transport, &fanout("short"), "last").await.expect("a publish");
    let mut arrived = 0;
    loop {
        let messages = take(reader.as_mut(), 1).await;
        arrived += messages.len() as u64;
        if messages.iter().any(|message| text(message.as_ref()) == "last") {
            break;
        }
    }
    let missed = transport.counters().stream_messages_missed;
    assert!(missed > 0, "retention took nothing: all {arrived} arrived");
    // Segments of about 24 messages each begin with an entry of the broker's own.
    let accounted = arrived + missed;
    assert!((MESSAGES + 1..=MESSAGES + MESSAGES / 10).contains(&accounted), "{arrived} and {missed}");
}

/// A server that starts while the replica of its stream does: right after another server has made it, for one.
pub(crate) async fn a_stream_whose_replica_has_not_started_is_waited_for() {
    let stage = Stage::shared().await;
    let streams = AmqpConfig::quorum().with_option("rabbit_stream_fanout", "true").expect("an option");
    let transport = stage.connect_with(streams).await;
    let mut first = subscribe(&transport, &server("late")).await;
    let down = |stage: &Stage| {
        let down = format!(
            "Name = rabbit_misc:r(<<\"{}\">>, queue, <<\"late_fanout\">>), \
             spawn(fun() -> [begin {{ok, Q}} = rabbit_amqqueue:lookup(Name), catch exit(amqqueue:get_pid(Q), kill), \
             timer:sleep(20) end || _ <- lists:seq(1, 150)] end).",
            stage.vhost
        );
        stage.node.rabbitmqctl(&["eval", &down]).expect("it goes down for some seconds");
    };
    stage.control(down).await;
    let mut second = subscribe(&transport, &server("late").with_settle(Settle::BeforeHandover)).await;
    for listener in [&mut first, &mut second] {
        // What is published while the replica is down again need not arrive.
        let telling = async {
            loop {
                let _ = transport.publish(&fanout("late"), Message::new("to all"), &options()).await;
                sleep(QUIET).await;
            }
        };
        let taken = tokio::select! {
            taken = take(listener.as_mut(), 1) => taken,
            () = telling => Vec::new(),
        };
        assert_eq!(text(taken.first().expect("one").as_ref()), "to all");
    }
}

/// Callers wait for the connection, so the first other host is tried almost at once, and asked nothing twice.
pub(crate) async fn another_host_is_taken_at_once_when_one_is_killed() {
    let ((one, stage), (two, other)) = tokio::join!(Stage::own(), Stage::own());
    let vhost = stage.vhost.clone();
    other.control(move |other| other.node.add_vhost(&vhost).expect("a virtual host")).await;
    let (mut nodes, ports) = ([Some(one), Some(two)], [stage.node.port(), other.node.port()]);
    let hosts = ports.map(|port| format!("guest:guest@127.0.0.1:{port}")).join(",");
    let address = url(&format!("rabbit://{hosts}/{}", stage.vhost));
    let transport = AmqpTransport::connect(&address, AmqpConfig::default(), soon()).await.expect("a connection");
    let mut listener = subscribe(&transport, &server("two")).await;
    let connections = move |stage: &Stage| {
        let list = stage.node.rabbitmqctl(&["--no-table-headers", "list_connections", "pid"]).expect("a list");
        list.lines().filter(|line| line.starts_with('<')).count()
    };
    let connected = usize::from(stage.control(connections).await == 0);
    let victim = nodes[connected].take().expect("it is there");
    let killed = blocking(move || {
        let mut victim: BorrowedNode = victim;
        victim.kill().expect("it is dead");
        Instant::now()
    })
    .await;
    until("the listener to be back", async || transport.counters().recoveries == 1).await;
    let away = killed.elapsed();
    assert!(away < 5 * SLACK / 2, "{away:?}");
    a_hundred(&transport, &topic("two"), listener.as_mut()).await;
    // Each question about transient queues is a queue that is made and deleted.
    let survivor = if connected == 0 { other } else { stage };
    let deletions = async || {
        let count = "element(8, hd(ets:lookup(connection_churn_metrics, node()))).";
        let count = move |stage: &Stage| stage.node.rabbitmqctl(&["eval", count]).expect("a count");
        survivor.control(count).await.trim().parse::<u64>().expect("a number")
    };
    let before = deletions().await;
    for times in 2..=4 {
        let close = |stage: &Stage| stage.node.close_all_connections("a loss").expect("they are closed");
        survivor.control(close).await;
        back(&transport, times).await;
    }
    a_hundred(&transport, &topic("two"), listener.as_mut()).await;
    sleep(QUIET).await;
    assert_eq!(deletions().await, before, "the broker has answered before");
}

pub(crate) async fn limit_vhost(stage: &Stage, limits: &'static str) {
    let limit = move |stage: &Stage| {
        stage.node.rabbitmqctl(&["set_vhost_limits", "-p", &stage.vhost, limits]).expect("a limit");
    };
    stage.control(limit).await;
}

async fn limit_user(stage: &Stage, user: &str, limits: &'static str) {
    let user = user.to_owned();
    let limit = move |stage: &Stage| match limits {
        "{}" => stage.node.rabbitmqctl(&["clear_user_limits", &user, "all"]).expect("no limit"),
        limits => stage.node.rabbitmqctl(&["set_user_limits", &user, limits]).expect("a limit"),
    };
    stage.control(limit).await;
}

/// A user of the stage who may declare what `configure` matches.
async fn user_with(stage: &Stage, configure: &'static str) -> String {
    let user = unique("u");
    let name = user.clone();
    let allow = move |stage: &Stage| {
        stage.node.add_user(&name, "secret").expect("a user");
        stage.node.set_permissions(&name, &stage.vhost, configure, ".*", ".*").expect("permissions");
    };
    stage.control(allow).await;
    user
}

async fn connect_as(stage: &Stage, user: &str) -> oslo_messaging::Result<AmqpTransport> {
    let address = url(&stage.node.url_as(user, "secret", &stage.vhost));
    AmqpTransport::connect(&address, AmqpConfig::default(), Deadline::after(ARRIVE)).await
}
