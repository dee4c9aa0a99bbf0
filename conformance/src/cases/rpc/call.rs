//! Calls: which server runs them, and what the caller gets.

use std::collections::BTreeSet;
use std::time::Duration;

use oslo_messaging::{Context, Error, ErrorKind, Executed, RpcClient, Target};
use serde_json::{Value, json};

use super::Group;
use crate::cases::cases;
use crate::{Outcome, Stage};

cases! { rpc_call;
    /// oslo.messaging CallTestCase.test_specific_server: one server of three runs
    /// every call and answers with its running value.
    reaches_only_the_named_server [ServerAddress];
    /// oslo.messaging CallTestCase.test_server_in_group: every server has a share, the
    /// shares are the whole, and each is in send order.
    spreads_over_the_group_in_send_order [];
    /// oslo.messaging CallTestCase.test_different_exchanges: a call reaches
    /// the group of its own exchange and topic alone.
    groups_in_other_exchanges_hear_nothing [ServerAddress];
    /// oslo.messaging CallTestCase.test_mandatory_call: with at_least_once a missing
    /// queue fails at once, even with a timeout of 60 s.
    nobody_listening_is_undeliverable [Mandatory];
    /// oslo.messaging CallTestCase.test_timeout: a call to a topic without a server is a timeout.
    nobody_listening_times_out_without_mandatory [];
    /// oslo.messaging CallTestCase.test_mandatory_call: with at_least_once a missing
    /// queue fails at once, even with a timeout of 60 s.
    a_missing_server_is_undeliverable [Mandatory, ServerAddress];
    /// oslo.messaging CallTestCase.test_mandatory_call: without at_least_once a missing queue is a timeout.
    a_missing_server_times_out_without_mandatory [ServerAddress];
    /// oslo.messaging CallTestCase.test_exception: a remote ValueError arrives as a ValueError.
    a_failure_arrives_with_its_class_and_message [];
    /// oslo.messaging CallTestCase.test_timeout_with_concurrently_queues: a long call times
    /// out while short ones of the same client succeed.
    one_that_times_out_disturbs_no_other [];
    /// oslo.messaging CallTestCase.test_monitor_long_call: with call_monitor_timeout a method may run longer than that.
    signs_of_life_keep_a_monitored_call_waiting [];
    /// oslo.messaging TestRPCServer.test_call: None, 0, False, [] and {} round-trip between two transports.
    values_travel_there_and_back_unchanged [];
}

/// The answers are running values, so a call at another server would return another sum or text.
async fn reaches_only_the_named_server(stage: &Stage) -> Outcome {
    let group = Group::start(stage, &["a", "b", "c"]).await?;
    let (client, context) = (group.client.prepare().server("b"), Context::new());
    let mut answers = Vec::new();
    for (method, args) in [
        ("append", json!({"text": "open"})),
        ("append", json!({"text": "stack"})),
        ("add", json!({"increment": 2})),
        ("add", json!({"increment": 10})),
        ("subtract", json!({"increment": 3})),
    ] {
        answers.push(client.call::<Value>(&context, method, &args).await?);
    }
    assert_eq!(answers, [json!("open"), json!("openstack"), json!(2), json!(12), json!(9)]);
    assert!(group.recorder.quiet().await?.iter().all(|event| event.place == "b"), "{:?}", group.recorder.events());
    group.stop().await
}

/// Fourteen calls, one after the other, each with the next letter.
/// Each server must run some, and must record its share in the order of the letters.
async fn spreads_over_the_group_in_send_order(stage: &Stage) -> Outcome {
    let group = Group::start(stage, &["a", "b", "c"]).await?;
    let sent: Vec<_> = ('a'..='n').map(String::from).collect();
    append_each(&group.client, &sent).await?;
    let mut all = Vec::new();
    for server in ["a", "b", "c"] {
        let share = group.recorder.at(server);
        assert!(!share.is_empty() && share.is_sorted(), "{server} ran {share:?}");
        all.extend(share);
    }
    all.sort();
    assert_eq!(all, sent);
    group.stop().await
}

/// Three groups with equal server names. Calls to the first name server `b`, those to the second name none.
/// The third group must record nothing.
async fn groups_in_other_exchanges_hear_nothing(stage: &Stage) -> Outcome {
    let target = |name: &str| Target::topic(stage.name(name)).exchange(stage.name(name));
    let one = Group::on(stage, target("one"), &["a", "b"]).await?;
    let two = Group::on(stage, target("two"), &["a", "b"]).await?;
    let three = Group::on(stage, target("three"), &["a", "b"]).await?;
    append_each(&one.client.prepare().server("b"), &["1", "2", "3"]).await?;
    append_each(&two.client, &["4", "5", "6", "7"]).await?;
    assert_eq!((one.recorder.at("a").len(), one.recorder.at("b")), (0, vec!["1".into(), "2".into(), "3".into()]));
    let shares = [two.recorder.at("a"), two.recorder.at("b")];
    assert!(shares.iter().all(|share| !share.is_empty()), "{shares:?}");
    assert_eq!(shares.concat().into_iter().collect::<BTreeSet<_>>(), ["4", "5", "6", "7"].map(String::from).into());
    assert_eq!(three.recorder.quiet().await?, []);
    for group in [one, two, three] {
        group.stop().await?;
    }
    Ok(())
}

/// Calls `append` for each text, one after the other.
async fn append_each<T: AsRef<str>>(client: &RpcClient, texts: &[T]) -> Result<(), Error> {
    for text in texts {
        client.call::<String>(&Context::new(), "append", &json!({"text": text.as_ref()})).await?;
    }
    Ok(())
}

/// The timeout is 60 s, far longer than a case may take: the error must come from the return, not from the clock.
async fn nobody_listening_is_undeliverable(stage: &Stage) -> Outcome {
    let client = RpcClient::new(&stage.bus().await?, Target::topic(stage.name("unserved")).exchange(stage.name("e")));
    let error = fail(&client.timeout(Duration::from_secs(60))).await;
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Undeliverable, Executed::No), "{error}");
    Ok(())
}

/// The error says `Executed::Maybe`: without a return, the caller cannot know that no queue was bound.
async fn nobody_listening_times_out_without_mandatory(stage: &Stage) -> Outcome {
    let client = RpcClient::new(&stage.bus().await?, Target::topic(stage.name("unserved")).exchange(stage.name("e")));
    let error = fail(&client.mandatory(false).timeout(stage.budget().quiet * 10)).await;
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Timeout, Executed::Maybe), "{error}");
    Ok(())
}

/// Another server of the topic is up, and must not run the call.
async fn a_missing_server_is_undeliverable(stage: &Stage) -> Outcome {
    let group = Group::start(stage, &["a"]).await?;
    let error = fail(&group.client.prepare().server("b").timeout(Duration::from_secs(60))).await;
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Undeliverable, Executed::No), "{error}");
    assert_eq!(group.recorder.quiet().await?, []);
    group.stop().await
}

/// As with `mandatory`, the other server of the topic must record nothing.
async fn a_missing_server_times_out_without_mandatory(stage: &Stage) -> Outcome {
    let group = Group::start(stage, &["a"]).await?;
    let error = fail(&group.client.prepare().server("b").mandatory(false).timeout(stage.budget().quiet * 10)).await;
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Timeout, Executed::Maybe), "{error}");
    assert_eq!(group.recorder.quiet().await?, []);
    group.stop().await
}

/// Calls `add` and panics if the call succeeds.
async fn fail(client: &RpcClient) -> Error {
    let outcome = client.call::<i64>(&Context::new(), "add", &json!({"increment": 1})).await;
    outcome.expect_err("no server can answer")
}

/// The state of the server must be as before the failed method: 2, and 3 after the next call.
async fn a_failure_arrives_with_its_class_and_message(stage: &Stage) -> Outcome {
    let group = Group::start(stage, &["a"]).await?;
    let context = Context::new();
    group.client.call::<i64>(&context, "add", &json!({"increment": 2})).await?;
    let outcome = group.client.call::<i64>(&context, "subtract", &json!({"increment": 3})).await;
    let error = outcome.expect_err("the method fails");
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Remote, Executed::Yes), "{error}");
    let remote = error.remote().ok_or("the error says how the method failed")?;
    assert_eq!((remote.module(), remote.class()), ("builtins", "ValueError"));
    assert!(remote.message().contains("it cannot be negative"), "{remote}");
    // The failed method must not have changed the state.
    assert_eq!(group.client.call::<i64>(&context, "add", &json!({"increment": 1})).await?, 3);
    group.stop().await
}

/// The long call gets half of the time that its method takes. Ten short calls of the same client run meanwhile.
async fn one_that_times_out_disturbs_no_other(stage: &Stage) -> Outcome {
    let group = Group::start(stage, &["a"]).await?;
    let quiet = stage.budget().quiet;
    // The first call of a bus opens its inbox, which must not be timed here.
    group.client.call::<i64>(&Context::new(), "add", &json!({"increment": 0})).await?;
    let long = async {
        let ms = u64::try_from(quiet.as_millis() * 10).expect("a budget is no age of the world");
        group.client.prepare().timeout(quiet * 5).call::<u64>(&Context::new(), "wait", &json!({"ms": ms})).await
    };
    let short = async {
        for n in 1..=10 {
            let sum = group.client.call::<i64>(&Context::new(), "add", &json!({"increment": 1})).await?;
            assert_eq!(sum, n);
            tokio::time::sleep(quiet).await;
        }
        Ok::<_, Error>(())
    };
    let (long, short) = tokio::join!(long, short);
    short?;
    let error = long.expect_err("it was given half of the time it needs");
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Timeout, Executed::Maybe), "{error}");
    group.stop().await
}

/// The method takes 7 s. The monitor of 3 s must not end the call, because heartbeats come meanwhile.
/// The unmonitored call with a timeout of 1 s must end.
async fn signs_of_life_keep_a_monitored_call_waiting(stage: &Stage) -> Outcome {
    let group = Group::start(stage, &["a"]).await?;
    let (args, context) = (json!({"ms": 7000}), Context::new());
    let impatient = group.client.prepare().timeout(Duration::from_secs(1));
    let monitored = group.client.prepare().timeout(Duration::from_secs(3600)).monitor(Duration::from_secs(3));
    let (impatient, monitored) =
        tokio::join!(impatient.call::<u64>(&context, "wait", &args), monitored.call::<u64>(&context, "wait", &args),);
    assert_eq!(impatient.expect_err("it waited for 1 s").kind(), ErrorKind::Timeout);
    assert_eq!(monitored?, 7000);
    group.stop().await
}

/// Includes the values that count as false in Python, the limits of 64-bit integers, and text beyond ASCII.
async fn values_travel_there_and_back_unchanged(stage: &Stage) -> Outcome {
    let group = Group::start(stage, &["a"]).await?;
    for value in [
        json!(null),
        json!(0),
        json!(false),
        json!([]),
        json!({}),
        json!(""),
        json!("dsdsfoo"),
        json!("\u{0}\u{e9}\u{1f980}\"\\"),
        json!([{"deep": [1, -2.5, i64::MIN, u64::MAX, true, null]}]),
    ] {
        let back: Value = group.client.call(&Context::new(), "echo", &json!({"value": value})).await?;
        assert_eq!(back, value);
    }
    group.stop().await
}
