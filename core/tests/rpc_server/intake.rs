//! What a server takes, how much of it at once, and what it skips.

use std::sync::Arc;

use bytes::Bytes;
use oslo_messaging::{Bus, Context};
use oslo_messaging_fake::FakeBroker;
use serde_json::{Value, json};

use crate::common::{Shop, builder, bus_server_and_shop, secs, soon};
use crate::support::{client, request, send};

#[tokio::test(start_paused = true)]
async fn no_more_methods_run_at_once_than_there_are_permits_and_requests_start_in_order() {
    let bus = Bus::new(FakeBroker::new().transport());
    let shop = Arc::new(Shop::default());
    let server = builder(&bus, &shop).concurrency(4).reserve(2).start(soon()).await.unwrap();
    for number in 0..20 {
        client(&bus).cast(&Context::new(), "gated", &json!({ "arg": number })).await.unwrap();
    }
    for started in 1..=5 {
        shop.entered(4).await;
        assert_eq!(shop.logged().len(), started * 4, "four run, and no fifth");
        shop.release.add_permits(4);
    }
    server.shutdown(soon()).await.unwrap();
    assert_eq!(shop.logged(), (0..20).map(|number| json!(number)).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_saturated_server_acknowledges_in_batches() {
    let broker = FakeBroker::new();
    let bus = Bus::new(broker.transport());
    let shop = Arc::new(Shop::default());
    let server = builder(&bus, &shop).concurrency(64).start(soon()).await.unwrap();
    let requests = 2_000_usize;
    for number in 0..requests {
        client(&bus).cast(&Context::new(), "gated", &json!({ "arg": number })).await.unwrap();
    }
    let before = broker.counters().acknowledgement_writes;
    for _ in 0..requests {
        shop.entered(1).await;
        shop.release.add_permits(1);
    }
    server.shutdown(soon()).await.unwrap();
    let writes = broker.counters().acknowledgement_writes - before;
    assert!(writes * 10 <= requests as u64, "{writes} acknowledgement writes for {requests} requests");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_comes_twice_runs_once_and_a_second_server_has_its_own_memory() {
    let broker = FakeBroker::new();
    let (bus, server, shop) = bus_server_and_shop(&broker).await;
    let body = request("note", "twin").encode();
    send(&bus, &broker, vec![body.clone(), body]).await;
    assert_eq!(shop.logged(), [json!("twin")]);
    server.shutdown(soon()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_is_dropped_and_disturbs_nothing() {
    let broker = FakeBroker::new();
    let (bus, server, shop) = bus_server_and_shop(&broker).await;
    let bodies = [&b""[..], b"\xff\xfe", b"[]", b"{\"oslo.version\":\"9.0\",\"oslo.message\":\"{}\"}", b"{}"];
    send(&bus, &broker, bodies.into_iter().map(Bytes::from_static).collect()).await;
    send(&bus, &broker, vec![request("note", "after").encode()]).await;
    assert_eq!(shop.logged(), [json!("after")]);
    server.shutdown(soon()).await.unwrap();
    bus.close(soon()).await.unwrap();
    broker.assert_idle();
}

#[tokio::test(start_paused = true)]
async fn a_request_long_past_its_deadline_is_skipped_and_an_absurd_deadline_is_ignored() {
    let broker = FakeBroker::new();
    let (bus, server, shop) = bus_server_and_shop(&broker).await;
    let now = u64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
    let with = |unique_id: &str, deadline| request("note", unique_id).with_deadline(deadline).encode();
    let bodies = vec![
        with("six seconds late", Some(now - 6_000)),
        with("a little late", Some(now - 1_000)),
        with("years late", Some(1)),
        with("in time", Some(now + 60_000)),
    ];
    send(&bus, &broker, bodies).await;
    assert_eq!(shop.logged(), [json!("a little late"), json!("years late"), json!("in time")]);
    server.shutdown(soon()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_request_that_became_stale_in_the_reserve_is_skipped() {
    for at_least_once in [false, true] {
        let broker = FakeBroker::new();
        let bus = Bus::new(broker.transport());
        let shop = Arc::new(Shop::default());
        let settings = builder(&bus, &shop).concurrency(1).reserve(8);
        let settings = if at_least_once { settings.at_least_once() } else { settings };
        let server = settings.start(soon()).await.unwrap();
        client(&bus).cast(&Context::new(), "gated", &json!({"arg": "first"})).await.unwrap();
        shop.entered(1).await;
        // Both wait half a minute behind the first: the one for much longer than its caller does, the other just not.
        for (unique_id, timeout) in [("gives up", 20), ("waits", 34)] {
            let patient = client(&bus).timeout(secs(timeout));
            let args = json!({ "arg": unique_id });
            let context = Context::new();
            let answer = patient.call::<Value>(&context, "note", &args);
            assert!(tokio::time::timeout(secs(1), answer).await.is_err(), "it waits in the reserve");
        }
        tokio::time::advance(secs(30)).await;
        shop.release.add_permits(1);
        let _: Value = client(&bus).call(&Context::new(), "note", &json!({"arg": "fence"})).await.unwrap();
        assert_eq!(shop.logged(), [json!("first"), json!("waits"), json!("fence")]);
        server.shutdown(soon()).await.unwrap();
        bus.close(soon()).await.unwrap();
        broker.assert_idle();
    }
}
