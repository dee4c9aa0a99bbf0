//! Behaviour when connections are cut, publishers are blocked and the bus restarts.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use oslo_messaging::driver::{Address, Message, PublishOptions, Source, Subscription};
use oslo_messaging::rpc::RpcServerBuilder;
use oslo_messaging::{Context, Deadline, ErrorKind, Executed, State, Target};
use serde_json::json;

use super::notify::{listener, notifier, recording, send_events};
use super::rpc::Group;
use crate::cases::cases;
use crate::reading::text;
use crate::{Disturbance, Failed, Outcome, Reading, Stage};

cases! { disturb;
    /// Transport::publish: The driver waits for a connection until the deadline.
    a_transport_is_ready_again_by_itself [] disturbs Cut;
    /// Settle::ByReceiver: what it never settles comes back. IncomingMessage::redelivered: handed over before.
    what_was_in_hand_comes_back_marked [Retention, RedeliveredFlag] disturbs Cut;
    /// Listener::poll: (fails) only (with) a loss that cannot be repaired.
    a_listener_misses_nothing_over_a_cut [Retention, RedeliveredFlag] disturbs Cut;
    /// RpcClient::call: Calls a method and waits for its answer (until the
    /// deadline, over a lost connection of either side).
    a_call_in_flight_is_answered_over_a_cut [] disturbs Cut;
    /// Capability::Fanout: A message reaches every server of a topic.
    a_fanout_reaches_every_server_after_a_cut [Fanout] disturbs Cut;
    /// RpcServerBuilder::refuse_redelivered: a request runs at most once, also if its connection is lost.
    casts_around_a_cut_run_at_most_once [RedeliveredFlag] disturbs Cut;
    /// NotificationListener: a notification is handled at least once, or is a dead letter.
    events_around_a_cut_are_all_handled [Retention, EnsureQueue, Confirms] disturbs Cut;
    /// Transport::publish: The driver waits for an alarm to end until the deadline; Blocked.
    a_blocked_publish_waits_until_its_deadline_and_did_not_happen [Confirms] disturbs Block;
    /// Transport::publish: The driver waits for an alarm to end. State::Blocked.
    a_blocked_publish_goes_on_when_the_block_ends [Confirms] disturbs Block;
    /// State::Blocked: the broker takes no publishes; consuming goes on.
    messages_are_read_and_settled_during_a_block [Retention] disturbs Block;
    /// Address::Queue: A durable queue of ours. Transport::publish: returns when the bus owns it.
    what_was_confirmed_outlives_a_restart [Retention, Confirms] disturbs Restart;
    /// Transport: a lost connection is made again, and its listeners are put back.
    calls_are_answered_again_after_a_restart [] disturbs Restart;
}

/// Long enough to see that a publish waits, and shorter than the restart of a bus.
const SHORT: Duration = Duration::from_secs(1);

/// Cuts three times, so a driver that repairs itself only once fails.
/// Publishes after the health is `Ready` again.
/// An older message may come first, because the cut may have lost its acknowledgement.
async fn a_transport_is_ready_again_by_itself(stage: &Stage) -> Outcome {
    let transport = stage.connect().await?;
    let mut server = stage.read(&transport, Subscription::new(stage.server("e", "t", "s"))).await?;
    for text in ["one", "two", "three"] {
        stage.disturb(Disturbance::Cut).await?;
        let mut health = transport.health();
        stage.soon().run("become ready", health.wait_for(|health| health.state == State::Ready)).await??;
        stage.publish(&transport, &stage.topic("e", "t"), [text]).await?;
        // A message that was acknowledged just before the cut may come again.
        while server.texts(1).await? != [text] {}
    }
    Ok(())
}

/// The settlement of the first delivery must fail with `Disconnected`.
/// An AMQP driver that sent it on the new connection could settle another message with the same delivery tag.
async fn what_was_in_hand_comes_back_marked(stage: &Stage) -> Outcome {
    let (_, mut reading) = full(stage, ["x"]).await?;
    let held = reading.next().await?;
    assert!(!held.redelivered(), "it was not delivered before");
    stage.disturb(Disturbance::Cut).await?;
    let again = reading.next().await?;
    assert!(again.redelivered() && text(again.as_ref()) == "x", "{again:?}");
    let error = held.acknowledge().await.expect_err("the broker has requeued it");
    assert_eq!(error.kind(), ErrorKind::Disconnected, "{error}");
    again.acknowledge().await?;
    reading.quiet().await
}

/// Cuts after 5 of 20 messages. A message may come twice, but only if the second delivery is marked as redelivered.
async fn a_listener_misses_nothing_over_a_cut(stage: &Stage) -> Outcome {
    let texts: Vec<String> = (0..20).map(|number| number.to_string()).collect();
    let (_, mut reading) = full(stage, &texts).await?;
    let mut seen: BTreeSet<String> = reading.texts(5).await?.into_iter().collect();
    stage.disturb(Disturbance::Cut).await?;
    while seen.len() < texts.len() {
        let message = reading.next().await?;
        let new = seen.insert(text(message.as_ref()));
        assert!(new || message.redelivered(), "{message:?} came twice, and the second does not say so");
        match message.acknowledge().await {
            // The message was handed over before the cut, so the bus delivers it again.
            Err(error) if error.kind() == ErrorKind::Disconnected => {}
            settled => settled?,
        }
    }
    Ok(())
}

/// The gate opens only after the cut, so the reply always travels over new connections.
/// The method must run once.
async fn a_call_in_flight_is_answered_over_a_cut(stage: &Stage) -> Outcome {
    let group = Group::start(stage, &["s"]).await?;
    let (context, nothing) = (Context::new(), json!({}));
    let call = group.client.call::<String>(&context, "hold", &nothing);
    let cutting = async {
        group.recorder.wait(1).await?;
        stage.disturb(Disturbance::Cut).await?;
        group.gate.add_permits(1);
        Ok::<_, Failed>(())
    };
    let (answer, cut) = tokio::join!(call, cutting);
    cut?;
    assert_eq!(answer?, "s");
    assert_eq!(group.recorder.at("s"), ["began", "ended"]);
    group.stop().await
}

/// Each server needs its private fanout queue and its binding again; a driver that restores only shared queues fails.
async fn a_fanout_reaches_every_server_after_a_cut(stage: &Stage) -> Outcome {
    let group = Group::start(stage, &["a", "b", "c"]).await?;
    stage.disturb(Disturbance::Cut).await?;
    let everybody = group.client.prepare().fanout();
    everybody.cast(&Context::new(), "append", &json!({ "text": "x" })).await?;
    group.recorder.wait(3).await?;
    for name in ["a", "b", "c"] {
        assert_eq!(group.recorder.at(name), ["x"], "{name}");
    }
    group.stop().await
}

/// A cast whose error says `Executed::No` must not run at all. Every other cast may run once.
/// The last cast is sent after the cut and must run, which shows that the server still takes requests.
async fn casts_around_a_cut_run_at_most_once(stage: &Stage) -> Outcome {
    /// Enough that the cut falls between some of them.
    const CASTS: usize = 40;
    let target = Target::topic(stage.name("t")).exchange(stage.name("e"));
    let group = Group::with(stage, target, &["s"], RpcServerBuilder::refuse_redelivered).await?;
    let cast = async |number: usize| {
        group.client.cast(&Context::new(), "append", &json!({ "text": format!("({number})") })).await
    };
    let (results, cut) = tokio::join!(join_all((0..CASTS).map(&cast)), stage.disturb(Disturbance::Cut));
    cut?;
    // Any of those casts may be lost; one that is sent after the cut must run.
    let last = CASTS + 1;
    cast(last).await?;
    let ran = async || group.recorder.at("s");
    while !ran().await.contains(&format!("({last})")) {
        group.recorder.wait(ran().await.len() + 1).await?;
    }
    let ran = group.recorder.quiet().await?;
    for (number, result) in results.into_iter().enumerate() {
        let runs = ran.iter().filter(|event| event.what == format!("({number})")).count();
        let most = usize::from(!matches!(&result, Err(error) if error.executed() == Executed::No));
        assert!(runs <= most, "cast {number} ran {runs} times, and its sender got {result:?}");
    }
    group.stop().await
}

/// Sends ten events before the cut and twenty around it. Compares sets, since a handler may see an event twice.
async fn events_around_a_cut_are_all_handled(stage: &Stage) -> Outcome {
    let recorder = stage.recorder();
    let listener = listener(stage, &["t"]).await?.endpoint(recording("l", &recorder)).start(stage.soon()).await?;
    let notifier = notifier(stage, &["t"]).await?;
    send_events(&notifier, 0..10).await?;
    let (sent, cut) = tokio::join!(send_events(&notifier, 10..30), stage.disturb(Disturbance::Cut));
    cut?;
    sent?;
    let heard = || recorder.at("l").into_iter().collect::<BTreeSet<_>>();
    while heard().len() < 30 {
        recorder.wait(recorder.at("l").len() + 1).await?;
    }
    listener.shutdown(stage.soon()).await?;
    Ok(())
}

/// Only the second publish must say `Blocked` and `Executed::No`.
/// The first one may be under way before the broker announces the block, so its fate is read from its error.
async fn a_blocked_publish_waits_until_its_deadline_and_did_not_happen(stage: &Stage) -> Outcome {
    let (to, mut reading) = full(stage, ["before"]).await?;
    assert_eq!(reading.texts(1).await?, ["before"]);
    let publisher = stage.connect().await?;
    stage.disturb(Disturbance::Block).await?;
    // The broker may take this one when the block ends, if it was on its way when the block began.
    let first = publisher.publish(&to, Message::new("first"), &PublishOptions::by(Deadline::after(SHORT))).await;
    let first = first.expect_err("the bus takes nothing");
    assert!(matches!(first.kind(), ErrorKind::Blocked | ErrorKind::Timeout), "{first}");
    let error = publisher.publish(&to, Message::new("x"), &PublishOptions::by(Deadline::after(SHORT))).await;
    let error = error.expect_err("the bus takes nothing");
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Blocked, Executed::No), "{error}");
    stage.calm().await?;
    stage.publish(&publisher, &to, ["after"]).await?;
    let mut came = Vec::new();
    while came.last().is_none_or(|text| text != "after") {
        came.extend(reading.texts(1).await?);
    }
    came.retain(|text| text != "first" || first.executed() == Executed::No);
    assert_eq!(came, ["after"]);
    reading.quiet().await
}

/// The health must become `Blocked`, then `Ready`; the publish must end without an error in between.
async fn a_blocked_publish_goes_on_when_the_block_ends(stage: &Stage) -> Outcome {
    let (to, mut reading) = full(stage, ["before"]).await?;
    assert_eq!(reading.texts(1).await?, ["before"]);
    let publisher = stage.connect().await?;
    stage.disturb(Disturbance::Block).await?;
    let mut health = publisher.health();
    let calming = async {
        let blocked = health.wait_for(|health| matches!(health.state, State::Blocked { .. }));
        stage.soon().run("become blocked", blocked).await??;
        stage.calm().await?;
        let ready = health.wait_for(|health| health.state == State::Ready);
        stage.soon().run("become ready", ready).await??;
        Ok::<_, Failed>(())
    };
    let (sent, calmed) = tokio::join!(stage.publish(&publisher, &to, ["x"]), calming);
    calmed?;
    sent?;
    assert_eq!(reading.texts(1).await?, ["x"]);
    Ok(())
}

/// Publishes before the block. A driver that pauses its whole connection, rather than its publishers, fails.
async fn messages_are_read_and_settled_during_a_block(stage: &Stage) -> Outcome {
    let (_, mut reading) = full(stage, ["a", "b", "c"]).await?;
    stage.disturb(Disturbance::Block).await?;
    assert_eq!(reading.texts(3).await?, ["a", "b", "c"]);
    stage.calm().await?;
    reading.quiet().await
}

/// The reader stays open over the restart. It may see a message twice, but must see all ten.
async fn what_was_confirmed_outlives_a_restart(stage: &Stage) -> Outcome {
    let texts: Vec<String> = (0..10).map(|number| number.to_string()).collect();
    let (_, mut reading) = full(stage, &texts).await?;
    stage.disturb(Disturbance::Restart).await?;
    let mut seen = BTreeSet::new();
    while seen.len() < texts.len() {
        seen.extend(reading.texts(1).await?);
    }
    Ok(())
}

/// Calls are tried until the deadline of the stage, since the queue of the server may be missing at first.
async fn calls_are_answered_again_after_a_restart(stage: &Stage) -> Outcome {
    let group = Group::start(stage, &["s"]).await?;
    stage.disturb(Disturbance::Restart).await?;
    let deadline = stage.soon();
    loop {
        // Until the server is back, there may be no queue.
        match group.client.call::<String>(&Context::new(), "append", &json!({ "text": "x" })).await {
            Ok(_) => break,
            Err(error) if deadline.has_passed() => return Err(error.into()),
            Err(_) => {}
        }
    }
    group.stop().await
}

/// Opens the reader of a durable queue first, then publishes `texts`; both stay on one connection.
async fn full<T: AsRef<str>>(stage: &Stage, texts: impl IntoIterator<Item = T>) -> Result<(Address, Reading), Failed> {
    let (transport, name) = (stage.connect().await?, stage.name("q"));
    let reading = stage.read(&transport, Subscription::new(Source::Queue { name: name.clone() })).await?;
    let to = Address::Queue { name };
    stage.publish(&transport, &to, texts).await?;
    Ok((to, reading))
}
