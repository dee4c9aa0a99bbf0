//! Many callers at once over RabbitMQ, judged by counting frames and never by time.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::{Arguments, Trial};
use oslo_messaging::config::TransportUrl;
use oslo_messaging::{Bus, Context, Deadline, Endpoint, ErrorKind, RpcClient, RpcServer, Target};
use oslo_messaging_amqp::{AmqpConfig, AmqpTransport, Counters};
use serde::{Deserialize, Serialize};
use testkit::case::if_live;
use tokio::task::JoinSet;
use xtask::broker::RABBIT_URL;

type Test = fn(TransportUrl) -> Pin<Box<dyn Future<Output = ()>>>;

const TESTS: &[(&str, Test)] = &[
    ("sixty_four_callers_cost_few_acknowledgements", |url| Box::pin(few_acknowledgements(url, 64))),
    ("two_hundred_and_fifty_six_callers_cost_few_acknowledgements", |url| Box::pin(few_acknowledgements(url, 256))),
    ("one_caller_alone_is_answered_without_waiting_for_a_batch", |url| Box::pin(one_caller_alone(url))),
    ("a_call_that_times_out_and_one_that_is_dropped_disturb_no_other", |url| Box::pin(no_other_is_disturbed(url))),
    ("a_client_dropped_with_a_thousand_calls_in_flight_leaves_nothing", |url| Box::pin(a_thousand_dropped(url))),
];

fn main() -> ExitCode {
    let trial = |&(name, test): &(&'static str, Test)| {
        Trial::ignorable_test(name, move || {
            if_live(|| {
                let url = std::env::var(RABBIT_URL).map_err(|error| error.to_string())?;
                let url = TransportUrl::parse(&url).map_err(|error| error.to_string())?;
                runtime().block_on(test(url));
                Ok(())
            })
        })
    };
    libtest_mimic::run(&Arguments::from_args(), TESTS.iter().map(trial).collect()).exit_code()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads can be made")
}

#[derive(Debug, Serialize, Deserialize)]
struct Work {
    number: u32,
    ms: u64,
}

/// A server on a connection of its own and a client on another, with the counters of each.
struct Stage {
    serving: Arc<AmqpTransport>,
    calling: Arc<AmqpTransport>,
    server: RpcServer,
    bus: Bus,
    client: RpcClient,
}

impl Stage {
    async fn set(url: &TransportUrl) -> Self {
        let connect = || async {
            Arc::new(AmqpTransport::connect(url, AmqpConfig::default(), soon()).await.expect("the broker is there"))
        };
        let (serving, calling) = (connect().await, connect().await);
        let topic = format!("load_{}", uuid::Uuid::new_v4().simple());
        let endpoint = Endpoint::new(()).method("work", async |_: Arc<()>, _: Context, work: Work| {
            tokio::time::sleep(Duration::from_millis(work.ms)).await;
            Ok::<_, Infallible>(work.number)
        });
        let target = Target::topic(topic);
        let settings = RpcServer::builder(&Bus::new(Arc::clone(&serving)), target.clone().server("one"));
        let server = settings.endpoint(endpoint).concurrency(64).start(soon()).await.expect("the queues are new");
        let bus = Bus::new(Arc::clone(&calling));
        let client = RpcClient::new(&bus, target);
        Self { serving, calling, server, bus, client }
    }

    async fn clear(self) -> (Counters, Counters) {
        self.server.shutdown(soon()).await.expect("the server ends when it is asked to");
        self.bus.close(soon()).await.expect("the broker answers");
        (self.serving.counters(), self.calling.counters())
    }
}

async fn work(client: RpcClient, number: u32, ms: u64) -> oslo_messaging::Result<u32> {
    client.call(&Context::new(), "work", &Work { number, ms }).await
}

/// Each of `callers` makes calls one after the other, to a handler of a millisecond with 64 permits.
async fn few_acknowledgements(url: TransportUrl, callers: u32) {
    let stage = Stage::set(&url).await;
    let each = 12_800 / callers;
    let mut tasks = JoinSet::new();
    for caller in 0..callers {
        let client = stage.client.clone();
        tasks.spawn(async move {
            for round in 0..each {
                let number = caller * each + round;
                assert_eq!(work(client.clone(), number, 1).await.expect("the server answers"), number);
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("no caller panics");
    }
    let calls = u64::from(callers * each);
    let (server, client) = stage.clear().await;
    assert_eq!(server.handed_over_acknowledged, calls);
    assert_eq!((client.publishes, client.confirms, server.publishes), (calls, calls, calls));
    let frames = server.handover_acknowledgements;
    assert!(frames * 10 <= calls, "{frames} request acknowledgements for {calls} requests");
    let replies = client.receiver_acknowledgements;
    assert!(replies * 5 <= calls, "{replies} reply acknowledgements for {calls} replies");
}

async fn one_caller_alone(url: TransportUrl) {
    let stage = Stage::set(&url).await;
    for number in 0..20 {
        // Ten times what a round trip takes on a slow machine; a server that waited for a batch would never answer.
        let patient = stage.client.prepare().timeout(Duration::from_secs(5));
        assert_eq!(work(patient, number, 0).await.expect("it is answered at once"), number);
    }
    let (server, _) = stage.clear().await;
    assert_eq!(server.handover_acknowledgements, 20, "one request, one acknowledgement");
}

async fn no_other_is_disturbed(url: TransportUrl) {
    let stage = Stage::set(&url).await;
    let mut others = JoinSet::new();
    for number in 0..200 {
        others.spawn(work(stage.client.clone(), number, 50));
    }
    let impatient = stage.client.prepare().timeout(Duration::from_millis(10));
    let error = work(impatient, 1_000, 200).await.expect_err("it takes longer than that");
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    let dropped = tokio::time::timeout(Duration::from_millis(10), work(stage.client.clone(), 1_001, 200));
    dropped.await.expect_err("it is dropped in flight");
    let mut numbers = Vec::new();
    while let Some(done) = others.join_next().await {
        numbers.push(done.expect("no caller panics").expect("each is answered"));
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (0..200).collect::<Vec<_>>());
    assert_eq!(stage.bus.calls_in_flight(), 0);
    stage.clear().await;
}

async fn a_thousand_dropped(url: TransportUrl) {
    let stage = Stage::set(&url).await;
    {
        let calls = futures_util::future::join_all((0..1_000).map(|number| work(stage.client.clone(), number, 20)));
        tokio::time::timeout(Duration::from_millis(20), calls).await.expect_err("they are dropped in flight");
    }
    assert_eq!(stage.bus.calls_in_flight(), 0, "the guards took every call off the table");
    assert_eq!(work(stage.client.clone(), 7, 0).await.expect("the client still works"), 7);
    stage.clear().await;
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(20))
}
