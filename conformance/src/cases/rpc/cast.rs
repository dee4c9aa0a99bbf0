//! Casts: which server runs them, and how often.

use oslo_messaging::driver::Capability;
use oslo_messaging::{Context, Error, ErrorKind, Executed, RpcClient, Target};
use serde_json::json;

use super::Group;
use crate::cases::cases;
use crate::{Outcome, Stage};

cases! { rpc_cast;
    /// oslo.messaging CastTestCase.test_specific_server: one server of three runs every cast, in any order.
    reaches_only_the_named_server [ServerAddress];
    /// oslo.messaging CastTestCase.test_server_in_group: each of three servers
    /// runs some of twenty casts, and twenty run in all.
    twenty_run_once_each_and_everywhere [];
    /// oslo.messaging CastTestCase.test_fanout: every server runs every message.
    a_fanout_runs_on_every_server [Fanout];
    /// RpcClient::cast: a cast without a server fails only with mandatory.
    nobody_listening_is_an_error_only_if_mandatory [Mandatory];
}

/// Casts `append` for each text, one after the other.
async fn cast_each(client: &RpcClient, texts: &[&str]) -> Result<(), Error> {
    for text in texts {
        client.cast(&Context::new(), "append", &json!({"text": text})).await?;
    }
    Ok(())
}

/// Three servers share the topic; the two others must record nothing.
async fn reaches_only_the_named_server(stage: &Stage) -> Outcome {
    let group = Group::start(stage, &["a", "b", "c"]).await?;
    cast_each(&group.client.prepare().server("b"), &["open", "stack"]).await?;
    group.recorder.wait(2).await?;
    let events = group.recorder.quiet().await?;
    assert!(events.iter().all(|event| event.place == "b"), "{events:?}");
    let mut ran = group.recorder.at("b");
    ran.sort();
    assert_eq!(ran, ["open", "stack"]);
    group.stop().await
}

/// Compares the sorted texts, since the servers run concurrently.
async fn twenty_run_once_each_and_everywhere(stage: &Stage) -> Outcome {
    let group = Group::start(stage, &["a", "b", "c"]).await?;
    let sent: Vec<_> = (0..20).map(|n| format!("{n:02}")).collect();
    cast_each(&group.client, &sent.iter().map(String::as_str).collect::<Vec<_>>()).await?;
    group.recorder.wait(20).await?;
    let mut ran: Vec<_> = group.recorder.quiet().await?.into_iter().map(|event| event.what).collect();
    ran.sort();
    assert_eq!(ran, sent);
    for server in ["a", "b", "c"] {
        assert!(!group.recorder.at(server).is_empty(), "{server} ran none: {:?}", group.recorder.events());
    }
    group.stop().await
}

/// Six executions in all, two at each server.
async fn a_fanout_runs_on_every_server(stage: &Stage) -> Outcome {
    let group = Group::start(stage, &["a", "b", "c"]).await?;
    cast_each(&group.client.prepare().fanout(), &["open", "stack"]).await?;
    group.recorder.wait(6).await?;
    group.recorder.quiet().await?;
    for server in ["a", "b", "c"] {
        let mut ran = group.recorder.at(server);
        ran.sort();
        assert_eq!(ran, ["open", "stack"], "{server}");
    }
    group.stop().await
}

/// A mandatory fanout without a server succeeds on drivers with `Capability::Fanout`.
async fn nobody_listening_is_an_error_only_if_mandatory(stage: &Stage) -> Outcome {
    let client = RpcClient::new(&stage.bus().await?, Target::topic(stage.name("unserved")).exchange(stage.name("e")));
    cast_each(&client, &["x", "y"]).await?;
    let error = cast_each(&client.prepare().mandatory(true), &["x"]).await.expect_err("no queue is bound");
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Undeliverable, Executed::No), "{error}");
    if stage.connect().await?.capabilities().has(Capability::Fanout) {
        cast_each(&client.prepare().fanout().mandatory(true), &["x"]).await?;
    }
    Ok(())
}
