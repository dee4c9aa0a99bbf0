//! A caller's side: its reply queue, and the calls that wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use dashmap::DashMap;
use lapin::Connection;
use lapin::types::ShortString;
use load::{Arguments, Operation};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::guarantees::Guarantees;
use crate::messages::{Reply, id, open, properties, request};
use crate::publisher::Outgoing;
use crate::topology::{EXCHANGE, consume, private_queue};
use crate::windowed;

/// The window of the reply queue.
const WINDOW: u16 = 1_000;

/// How long a call waits.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Calls that wait, by their ids; each receives the length of its answer.
pub type Waiting = Arc<DashMap<String, oneshot::Sender<usize>>>;

/// A call through a publisher, which succeeds if it brings its argument back.
#[derive(Debug, Clone)]
pub struct Call {
    waiting: Waiting,
    requests: mpsc::Sender<Outgoing>,
    reply_queue: Arc<str>,
    exchange: ShortString,
    key: ShortString,
    text: Arc<str>,
    reply_mode: Arc<AtomicU8>,
}

impl Call {
    /// Reads replies from a queue of its own on `connection` and sends requests through `requests`.
    pub async fn new(
        connection: &Connection,
        requests: mpsc::Sender<Outgoing>,
        guarantees: Guarantees,
        arguments: &Arguments,
    ) -> Self {
        let (reply_queue, waiting) = (format!("reply_{}", id()), Waiting::default());
        let channel = connection.create_channel().await.expect("a channel opens");
        private_queue(&channel, &reply_queue).await;
        let consumer = consume(&channel, &reply_queue, WINDOW, guarantees).await;
        let (table, reply_mode) = (Arc::clone(&waiting), Arc::new(AtomicU8::new(0)));
        let seen = Arc::clone(&reply_mode);
        tokio::spawn(windowed::handle_all(channel, consumer, guarantees.acknowledged, move |delivery| {
            seen.store(delivery.properties.delivery_mode().unwrap_or(1), Ordering::Relaxed);
            resolve(&table, &delivery.data);
        }));
        Self {
            waiting,
            requests,
            reply_queue: reply_queue.into(),
            exchange: EXCHANGE.into(),
            key: arguments.topic().into(),
            text: arguments.payload().into(),
            reply_mode,
        }
    }

    /// The delivery mode of the last reply; 0 before the first.
    pub fn reply_mode(&self) -> u8 {
        self.reply_mode.load(Ordering::Relaxed)
    }
}

impl Operation for Call {
    async fn run(&self) -> bool {
        let (msg_id, (sender, answer)) = (id(), oneshot::channel());
        self.waiting.insert(msg_id.clone(), sender);
        let outgoing = Outgoing {
            exchange: self.exchange.clone(),
            key: self.key.clone(),
            body: request(&self.text, Some((&msg_id, &self.reply_queue))),
            properties: properties(2, true),
            confirmed: None,
        };
        self.requests.send(outgoing).await.expect("the publisher runs");
        matches!(timeout(TIMEOUT, answer).await, Ok(Ok(length)) if length == self.text.len())
    }
}

/// Hands a reply to the call that waits for it.
pub fn resolve(waiting: &Waiting, body: &[u8]) {
    let inner = open(body);
    let reply: Reply<'_> = serde_json::from_str(&inner).expect("it is a reply");
    if let Some((_, call)) = waiting.remove(&*reply._msg_id) {
        // The call may have timed out.
        let _ = call.send(reply.result.len());
    }
}
