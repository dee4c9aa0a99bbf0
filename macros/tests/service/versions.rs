//! Which version a call carries, and what the version cap does to it.

use oslo_messaging::{Context, ErrorKind, Executed, Target};

use crate::compute::{Compute, ComputeClient, ComputeEndpoint, Host, no_reason};
use crate::fleet::Fleet;

async fn fleet() -> (Fleet, ComputeClient) {
    let fleet = Fleet::of(ComputeEndpoint::new(Host::default())).await;
    let client = ComputeClient::new(&fleet.bus, Target::topic("compute"));
    (fleet, client)
}

#[tokio::test(start_paused = true)]
async fn a_call_carries_the_lowest_version_that_has_every_argument_that_is_not_its_default() {
    let (fleet, compute) = fleet().await;
    let context = Context::new().with("user", "alice");
    for (hard, reason, version, arguments) in [
        (false, no_reason(), "1.0", r#"{"id":1}"#),
        (true, no_reason(), "1.2", r#"{"id":1,"hard":true}"#),
        (false, "a test".to_owned(), "1.3", r#"{"id":1,"why":"a test"}"#),
        (true, "a test".to_owned(), "1.3", r#"{"id":1,"hard":true,"why":"a test"}"#),
    ] {
        let done = compute.reboot(&context, 1, hard, reason.clone()).await.unwrap();
        assert_eq!(done, format!("{} reboot of 1 for alice: {reason}", if hard { "hard" } else { "soft" }));
        assert_eq!(fleet.last(), (version.to_owned(), "reboot".to_owned(), arguments.to_owned()));
    }
    assert_eq!(compute.done(&context).await.unwrap().len(), 4);
    assert_eq!(fleet.last(), ("1.1".to_owned(), "timeout".to_owned(), "{}".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn over_the_cap_nothing_is_sent_and_an_argument_that_may_be_dropped_is() {
    let (fleet, compute) = fleet().await;
    let compute = compute.version_cap("1.1");
    let done = compute.reboot(&Context::new(), 1, false, "a test".to_owned()).await.unwrap();
    assert_eq!(done, "soft reboot of 1 for : none given");
    assert_eq!(fleet.last(), ("1.0".to_owned(), "reboot".to_owned(), r#"{"id":1}"#.to_owned()));

    let error = compute.reboot(&Context::new(), 1, true, no_reason()).await.unwrap_err();
    assert_eq!((error.error().kind(), error.executed()), (ErrorKind::VersionCap, Executed::No));
    assert_eq!(compute.done(&Context::new()).await.unwrap().len(), 1, "the call over the cap was not sent");
}

#[tokio::test(start_paused = true)]
async fn a_client_says_which_methods_its_cap_permits() {
    let (_fleet, compute) = fleet().await;
    for (cap, reboot, done) in [("1.0", true, false), ("1.1", true, true), ("2.0", false, false), ("one", false, false)]
    {
        let compute = compute.version_cap(cap);
        assert_eq!((compute.can_reboot(), compute.can_done()), (reboot, done), "below {cap}");
    }
    assert!(compute.can_reboot() && compute.can_done(), "without a cap");
}

#[tokio::test(start_paused = true)]
async fn a_target_with_a_namespace_or_a_version_is_refused_before_anything_is_sent() {
    let (fleet, _) = fleet().await;
    for target in [Target::topic("compute").namespace("base"), Target::topic("compute").version("1.0")] {
        let compute = ComputeClient::new(&fleet.bus, target);
        let error = compute.done(&Context::new()).await.unwrap_err();
        assert_eq!(error.error().kind(), ErrorKind::InvalidTarget);
        let error = compute.tidy(&Context::new()).await.unwrap_err();
        assert_eq!((error.kind(), error.executed()), (ErrorKind::InvalidTarget, Executed::No));
    }
}

#[tokio::test(start_paused = true)]
async fn settings_are_copies_under_the_names_of_the_client_below() {
    let (fleet, compute) = fleet().await;
    let second = std::time::Duration::from_secs(1);
    let context = Context::new();
    let one = compute.server("host-1").timeout(second);
    one.reboot(&context, 7, false, no_reason()).await.unwrap();
    compute.fanout().tidy(&context).await.unwrap();
    let error = compute.server("host-2").timeout(second).done(&context).await.unwrap_err();
    assert_eq!(error.error().kind(), ErrorKind::Undeliverable);
    assert_eq!(compute.target(), &Target::topic("compute"), "the client itself has not changed");
    assert_eq!(one.rpc().target(), &Target::topic("compute").server("host-1"));
    // The fanout has been handed to the server before, since the broker keeps the order of one publisher.
    assert_eq!(compute.done(&context).await.unwrap(), ["soft reboot of 7 for : none given", "tidy"]);
    drop(fleet);
}

#[tokio::test]
async fn the_trait_is_a_bound_and_a_host_is_called_without_a_bus() {
    async fn twice(host: &impl Compute) -> usize {
        host.tidy(Context::new()).await.unwrap();
        host.tidy(Context::new()).await.unwrap();
        host.done(Context::new()).await.unwrap().len()
    }
    assert_eq!(twice(&Host::default()).await, 2);
}
