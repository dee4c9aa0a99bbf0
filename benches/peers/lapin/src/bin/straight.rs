//! `straight call`: lapin alone, as one writes it first: each confirm is awaited, each message acknowledged by itself, each
//! request has a task.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicPublishOptions};
use lapin::types::ShortString;
use lapin::{BasicProperties, Channel};
use load::{Arguments, Line, Operation};
use peer_lapin::guarantees::Guarantees;
use peer_lapin::messages::{Request, id, open, properties, reply, request};
use peer_lapin::replies::{Waiting, resolve};
use peer_lapin::topology::{EXCHANGE, connect, consume, private_queue, publishing, shared_queue};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

/// How many requests run at once.
const RUNNING: usize = 64;

fn main() -> ExitCode {
    load::run(calls)
}

async fn calls(arguments: Arguments) -> Line {
    let server = connect(&arguments).await;
    let channel = server.create_channel().await.expect("a channel opens");
    shared_queue(&channel, &arguments.topic()).await;
    let mut requests = consume(&channel, &arguments.topic(), 128, Guarantees::ALL).await;
    let replies = publishing(server, Guarantees::ALL).await;
    let mode = arguments.number("reply-mode", 2);
    let permits = Arc::new(Semaphore::new(RUNNING));
    tokio::spawn(async move {
        while let Some(Ok(delivery)) = requests.next().await {
            let permit = Arc::clone(&permits).acquire_owned().await.expect("it is not closed");
            let replies = replies.clone();
            tokio::spawn(async move {
                answer(&replies, delivery, mode).await;
                drop(permit);
            });
        }
    });
    load::drive("straight", &arguments, Call::new(&arguments).await).await
}

async fn answer(replies: &Channel, delivery: Delivery, mode: u8) {
    delivery.ack(BasicAckOptions::default()).await.expect("the channel is open");
    let (body, queue) = {
        let inner = open(&delivery.data);
        let request: Request<'_> = serde_json::from_str(&inner).expect("it is a request");
        let (id, queue) = (request._msg_id.expect("it is a call"), request._reply_q.expect("it is a call"));
        (reply(&request.args.s, &id), ShortString::from(queue.into_owned()))
    };
    publish(replies, "".into(), queue, &body, properties(mode, false)).await;
}

async fn publish(channel: &Channel, exchange: ShortString, key: ShortString, body: &[u8], properties: BasicProperties) {
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let confirm = channel.basic_publish(exchange, key, options, body, properties).await.expect("it is sent");
    confirm.await.expect("the channel is open");
}

#[derive(Clone)]
struct Call {
    waiting: Waiting,
    channel: Channel,
    reply_queue: Arc<str>,
    topic: Arc<str>,
    text: Arc<str>,
}

impl Call {
    async fn new(arguments: &Arguments) -> Self {
        let (client, waiting) = (connect(arguments).await, Waiting::default());
        let (reply_queue, table) = (format!("reply_{}", id()), Arc::clone(&waiting));
        let channel = client.create_channel().await.expect("a channel opens");
        private_queue(&channel, &reply_queue).await;
        let mut replies = consume(&channel, &reply_queue, 1_000, Guarantees::ALL).await;
        tokio::spawn(async move {
            while let Some(Ok(delivery)) = replies.next().await {
                resolve(&table, &delivery.data);
                delivery.ack(BasicAckOptions::default()).await.expect("the channel is open");
            }
        });
        Self {
            waiting,
            channel: publishing(client, Guarantees::ALL).await,
            reply_queue: reply_queue.into(),
            topic: arguments.topic().into(),
            text: arguments.payload().into(),
        }
    }
}

impl Operation for Call {
    async fn run(&self) -> bool {
        let (msg_id, (sender, answer)) = (id(), oneshot::channel());
        self.waiting.insert(msg_id.clone(), sender);
        let body = request(&self.text, Some((&msg_id, &self.reply_queue)));
        publish(&self.channel, EXCHANGE.into(), (&*self.topic).into(), &body, properties(2, true)).await;
        let answer = timeout(Duration::from_secs(60), answer).await;
        matches!(answer, Ok(Ok(length)) if length == self.text.len())
    }
}
