//! Queues and exchanges that vanish without a notification.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use lapin::options::ExchangeDeleteOptions;
use oslo_messaging::driver::Transport;
use oslo_messaging::{Bus, Context, Endpoint, Error, ErrorKind, RpcClient, RpcServer, State, Target};
use oslo_messaging_amqp::{AmqpConfig, AmqpTransport};

use testkit::stage::{ARRIVE, Stage, refusal, soon, until, within};

/// How often listeners check that their queues exist.
const OFTEN: Duration = Duration::from_secs(1);
/// For calls that are to time out.
const SHORT: Duration = Duration::from_secs(5);

/// A bus with a transport that can be looked at.
struct Party {
    transport: Arc<AmqpTransport>,
    bus: Bus,
}

impl Party {
    async fn join(stage: &Stage, config: AmqpConfig) -> Self {
        let transport = Arc::new(stage.connect_with(config).await);
        Self { bus: Bus::new(Arc::clone(&transport)), transport }
    }

    async fn serve(&self) -> RpcServer {
        let endpoint = Endpoint::new(())
            .method("echo", async |_: Arc<()>, _: Context, arguments: BTreeMap<String, u32>| {
                Ok::<_, Infallible>(arguments["number"])
            })
            .method("hang", async |_: Arc<()>, _: Context, _: BTreeMap<String, u32>| {
                std::future::pending::<Result<u32, Infallible>>().await
            });
        let builder = RpcServer::builder(&self.bus, target().server("one")).endpoint(endpoint);
        builder.start(soon()).await.expect("a server")
    }

    fn client(&self, timeout: Duration) -> RpcClient {
        RpcClient::new(&self.bus, target()).timeout(timeout)
    }
}

fn often() -> AmqpConfig {
    AmqpConfig::default().with_queue_checks(OFTEN)
}

fn target() -> Target {
    Target::topic("vanish").exchange("x-vanish")
}

async fn call(client: &RpcClient, method: &str) -> Result<u32, Error> {
    Box::pin(client.call::<u32>(&Context::new(), method, &BTreeMap::from([("number", 7)]))).await
}

/// Removes a queue from the broker's records, of which its consumers get no notification.
async fn forget(stage: &Stage, queue: &str) {
    let expression = format!(
        "N = rabbit_misc:r(<<\"{}\">>, queue, <<\"{queue}\">>), {{ok, Q}} = rabbit_amqqueue:lookup(N), \
         try rabbit_amqqueue:internal_delete(N, <<\"test\">>) catch _:_ -> \
         rabbit_amqqueue:internal_delete(Q, <<\"test\">>) end.",
        stage.vhost
    );
    let forget = move |stage: &Stage| stage.node.rabbitmqctl(&["eval", &expression]).expect("it is forgotten");
    let output = stage.control(forget).await;
    assert!(!output.contains("error"), "{output}");
}

/// Calls until one is answered.
async fn answered_again(client: &RpcClient) {
    until("an answer", async || call(client, "echo").await.is_ok_and(|answer| answer == 7)).await;
}

pub(crate) async fn a_reply_queue_that_is_forgotten_is_put_back_by_a_call_that_times_out() {
    let stage = Stage::shared().await;
    let (serving, calling) =
        (Party::join(&stage, AmqpConfig::default()).await, Party::join(&stage, AmqpConfig::default()).await);
    let _server = serving.serve().await;
    let client = calling.client(SHORT);
    assert_eq!(call(&client, "echo").await.expect("an answer"), 7);
    let replies = stage.queue_names().await.into_iter().find(|name| name.starts_with("reply_")).expect("an inbox");
    forget(&stage, &replies).await;
    answered_again(&client).await;
    assert!(stage.queue_names().await.contains(&replies), "under its name");
    // The broker may stumble over what it has forgotten, and then drops the connection that declares it again.
    assert!(calling.transport.counters().losses <= 1, "{:?}", calling.transport.counters());
    assert_eq!(calling.transport.health().borrow().state, State::Ready);
}

pub(crate) async fn the_queues_of_a_server_that_are_forgotten_are_put_back_at_the_next_look() {
    let stage = Stage::shared().await;
    let serving = Party::join(&stage, often()).await;
    let calling = Party::join(&stage, AmqpConfig::default()).await;
    let _server = serving.serve().await;
    let client = calling.client(SHORT);
    assert_eq!(call(&client, "echo").await.expect("an answer"), 7);
    for queue in ["vanish", "vanish.one"] {
        forget(&stage, queue).await;
    }
    answered_again(&client).await;
    let alone = client.prepare().server("one");
    answered_again(&alone).await;
    assert_eq!(serving.transport.counters().losses, 0);
}

pub(crate) async fn a_topic_exchange_that_is_deleted_under_a_server_comes_back_with_its_bindings() {
    let stage = Stage::shared().await;
    let party = Party::join(&stage, AmqpConfig::default()).await;
    let _server = party.serve().await;
    let client = party.client(ARRIVE);
    assert_eq!(call(&client, "echo").await.expect("an answer"), 7);
    delete_exchange(&stage).await;
    // Its publish finds the exchange missing, and that is all that says so.
    let answer = within(ARRIVE, "the call", call(&client, "echo")).await;
    assert_eq!(answer.expect("the bindings are back"), 7);
    let elsewhere = Party::join(&stage, AmqpConfig::default()).await;
    assert_eq!(call(&elsewhere.client(SHORT), "echo").await.expect("an answer"), 7);
    assert_eq!(party.transport.counters().recoveries, 0, "its consumers were not disturbed");
}

pub(crate) async fn a_server_whose_exchange_is_deleted_by_others_binds_its_queues_at_the_next_look() {
    let stage = Stage::shared().await;
    let serving = Party::join(&stage, often()).await;
    let calling = Party::join(&stage, AmqpConfig::default()).await;
    let _server = serving.serve().await;
    let client = calling.client(SHORT);
    assert_eq!(call(&client, "echo").await.expect("an answer"), 7);
    delete_exchange(&stage).await;
    answered_again(&client).await;
    assert_eq!(serving.transport.counters().recoveries, 0, "its consumers were not disturbed");
}

pub(crate) async fn a_call_that_times_out_says_whether_the_queue_has_a_consumer() {
    let stage = Stage::shared().await;
    let (serving, calling) =
        (Party::join(&stage, AmqpConfig::default()).await, Party::join(&stage, AmqpConfig::default()).await);
    let server = serving.serve().await;
    let failure_of = async |method: &str| {
        let error = refusal(call(&calling.client(SHORT), method).await);
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
        error.to_string()
    };
    let slow = failure_of("hang").await;
    assert!(slow.contains("consumers: 1, ready: 0") && slow.contains("msg_id: "), "{slow}");
    drop(server);
    until("the consumers to go", async || {
        let list = |stage: &Stage| stage.node.rabbitmqctl(&["list_consumers", "-p", &stage.vhost]).expect("a list");
        !stage.control(list).await.contains("vanish")
    })
    .await;
    // Another bus, which has seen nothing lately.
    let elsewhere = Party::join(&stage, AmqpConfig::default()).await;
    let error = refusal(call(&elsewhere.client(SHORT), "echo").await);
    assert!(error.to_string().contains("consumers: 0, ready: "), "{error}");
}

async fn delete_exchange(stage: &Stage) {
    let bare = stage.bare().await;
    let channel = bare.create_channel().await.expect("a channel");
    channel.exchange_delete("x-vanish".into(), ExchangeDeleteOptions::default()).await.expect("a deletion");
}
