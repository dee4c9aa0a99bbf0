//! A task that owns a publishing channel and keeps a window of unconfirmed messages.

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use lapin::options::BasicPublishOptions;
use lapin::types::ShortString;
use lapin::{BasicProperties, Channel, Confirmation};
use tokio::sync::{mpsc, oneshot};

/// How many messages wait for the task.
const QUEUED: usize = 256;

/// How many messages wait for their confirms.
const UNCONFIRMED: usize = 512;

/// A message on its way.
#[derive(Debug)]
pub struct Outgoing {
    pub exchange: ShortString,
    pub key: ShortString,
    pub body: Vec<u8>,
    pub properties: BasicProperties,
    /// Receives whether the broker took the message and had a queue for it.
    pub confirmed: Option<oneshot::Sender<bool>>,
}

/// Starts the task. It ends when the last sender is dropped.
pub fn start(channel: Channel, mandatory: bool) -> mpsc::Sender<Outgoing> {
    let (sender, queue) = mpsc::channel(QUEUED);
    tokio::spawn(publish(channel, mandatory, queue));
    sender
}

async fn publish(channel: Channel, mandatory: bool, mut queue: mpsc::Receiver<Outgoing>) {
    let options = BasicPublishOptions { mandatory, ..BasicPublishOptions::default() };
    let mut unconfirmed = FuturesUnordered::new();
    loop {
        tokio::select! {
            biased;
            Some(()) = unconfirmed.next(), if !unconfirmed.is_empty() => {}
            outgoing = queue.recv(), if unconfirmed.len() < UNCONFIRMED => {
                let Some(outgoing) = outgoing else { return };
                let mut sending = Box::pin(send(channel.clone(), options, outgoing));
                // Polled in order: the frames are written now.
                if futures_util::poll!(sending.as_mut()).is_pending() {
                    unconfirmed.push(sending);
                }
            }
        }
    }
}

async fn send(channel: Channel, options: BasicPublishOptions, outgoing: Outgoing) {
    let Outgoing { exchange, key, body, properties, confirmed } = outgoing;
    let publish = channel.basic_publish(exchange, key, options, &body, properties).await.expect("it is sent");
    let taken = match publish.await.expect("the channel is open") {
        Confirmation::Ack(returned) => returned.is_none(),
        Confirmation::Nack(_) => false,
        Confirmation::NotRequested => true,
    };
    if let Some(confirmed) = confirmed {
        // A sender that does not wait is none of our business.
        let _ = confirmed.send(taken);
    }
}
