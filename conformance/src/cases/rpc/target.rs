//! What is refused before anything is sent.

use std::time::Duration;

use oslo_messaging::{Context, Error, ErrorKind, Executed, NotificationListener, RpcClient, RpcServer, Target};
use serde_json::{Value, json};

use super::Group;
use crate::cases::cases;
use crate::cases::notify::recording;
use crate::{Outcome, Stage};

cases! { rpc_target;
    /// oslo.messaging TestCallFanout.test_call_fanout and
    /// TestRPCServer.test_no_server_topic: InvalidTarget, of a server at its start.
    what_cannot_be_reached_is_refused [];
    /// oslo.messaging TestVersionCap: the same major and no higher minor than the cap; no version fails under a cap; a
    /// lifted cap lets everything pass.
    a_version_over_the_cap_is_not_sent [];
    /// oslo.messaging TestCanSendVersion.test_invalid_version_type: '5', '5.a' and '5.5.a' are no versions.
    a_version_that_is_none_is_refused [];
    /// RpcClient::prepare: A copy to change for one message; this client stays as it is.
    a_prepared_client_is_a_copy [];
    /// RpcClient::call: Encode if args do not serialise to an object.
    arguments_are_an_object [];
}

/// The kind of the error of a call and of a cast of `add`, each of which must fail without being sent.
async fn refused(client: &RpcClient, args: &Value) -> Result<[ErrorKind; 2], Error> {
    let context = Context::new();
    let call = client.call::<Value>(&context, "add", args).await.expect_err("nothing can be called like that");
    let cast = client.cast(&context, "add", args).await.expect_err("nothing can be cast like that");
    assert_eq!([call.executed(), cast.executed()], [Executed::No; 2], "{call}; {cast}");
    Ok([call.kind(), cast.kind()])
}

/// Covers calls to a fanout, targets without a topic, servers without a name, and listeners without a topic.
/// No server may record anything.
async fn what_cannot_be_reached_is_refused(stage: &Stage) -> Outcome {
    let group = Group::start(stage, &["a"]).await?;
    let (bus, args) = (stage.bus().await?, json!({ "increment": 1 }));
    let everybody = group.client.prepare().fanout();
    let error = everybody.call::<i64>(&Context::new(), "add", &args).await.expect_err("a call has one answer");
    assert_eq!((error.kind(), error.executed()), (ErrorKind::InvalidTarget, Executed::No), "{error}");
    for target in [Target::default(), Target::topic(""), Target::default().server("a")] {
        assert_eq!(refused(&RpcClient::new(&bus, target), &args).await?, [ErrorKind::InvalidTarget; 2]);
    }
    for target in [Target::topic(stage.name("t")), Target::default().server("a")] {
        let outcome = RpcServer::builder(&bus, target).start(stage.soon()).await;
        assert_eq!(outcome.expect_err("a server needs a topic and a name").kind(), ErrorKind::InvalidTarget);
    }
    let listener =
        NotificationListener::builder(&bus).endpoint(recording("recording", &group.recorder)).target(Target::default());
    let error = listener.start(stage.soon()).await.expect_err("a listener's target needs a topic");
    assert_eq!(error.kind(), ErrorKind::InvalidTarget);
    assert_eq!(group.recorder.quiet().await?, []);
    group.stop().await
}

/// Under the cap 1.0, only version 1.0 is sent: 1.1, 2.0 and no version fail with `VersionCap`.
async fn a_version_over_the_cap_is_not_sent(stage: &Stage) -> Outcome {
    let (group, context) = (Group::start(stage, &["a"]).await?, Context::new());
    let args = json!({ "increment": 1 });
    let client = group.client.prepare().version_cap("1.0");
    for (version, fits) in [(Some("1.0"), true), (Some("1.1"), false), (Some("2.0"), false), (None, false)] {
        let asking = version.map_or(client.prepare(), |version| client.prepare().version(version));
        assert_eq!(asking.can_send_version(version)?, fits, "{version:?}");
        if fits {
            assert_eq!(asking.call::<i64>(&context, "add", &args).await?, 1);
        } else {
            assert_eq!(refused(&asking, &args).await?, [ErrorKind::VersionCap; 2], "{version:?}");
        }
        assert!(asking.without_version_cap().can_send_version(version)?, "nothing caps {version:?}");
    }
    assert_eq!(client.without_version_cap().call::<i64>(&context, "add", &args).await?, 2);
    assert_eq!(group.recorder.quiet().await?.len(), 2, "what was refused was not sent");
    group.stop().await
}

/// The empty text is tested as well. The error is `InvalidTarget`, and nothing is sent.
async fn a_version_that_is_none_is_refused(stage: &Stage) -> Outcome {
    let group = Group::start(stage, &["a"]).await?;
    for version in ["5", "5.a", "5.5.a", ""] {
        let kinds = refused(&group.client.prepare().version(version), &json!({ "increment": 1 })).await?;
        assert_eq!(kinds, [ErrorKind::InvalidTarget; 2], "{version:?}");
    }
    assert_eq!(group.recorder.quiet().await?, []);
    group.stop().await
}

/// Changes every attribute of a copy, calls the original, then undoes every change and calls the copy.
async fn a_prepared_client_is_a_copy(stage: &Stage) -> Outcome {
    let (group, context) = (Group::start(stage, &["a"]).await?, Context::new());
    let other = group.client.prepare().topic(stage.name("unserved")).exchange(stage.name("f")).version("9.9");
    let other = other.namespace("ns").server("b").timeout(Duration::ZERO).version_cap("1.0").mandatory(false);
    assert_eq!(refused(&other, &json!({})).await?, [ErrorKind::VersionCap; 2]);
    assert_eq!(group.client.call::<i64>(&context, "add", &json!({ "increment": 1 })).await?, 1);
    let back = other.topic(stage.name("t")).exchange(stage.name("e")).without_namespace().without_version();
    let back = back.without_server().without_version_cap().timeout(stage.budget().arrive);
    assert_eq!(back.target(), group.client.target());
    assert_eq!(back.call::<i64>(&context, "add", &json!({ "increment": 1 })).await?, 2);
    group.stop().await
}

/// A list, a number, a text and a boolean, none of which has names for the arguments.
async fn arguments_are_an_object(stage: &Stage) -> Outcome {
    let group = Group::start(stage, &["a"]).await?;
    for args in [json!([1]), json!(1), json!("increment"), json!(true)] {
        assert_eq!(refused(&group.client, &args).await?, [ErrorKind::Encode; 2], "{args}");
    }
    assert_eq!(group.recorder.quiet().await?, []);
    group.stop().await
}
