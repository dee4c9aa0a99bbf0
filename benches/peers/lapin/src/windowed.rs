//! Consumers that take what is ready at once and acknowledge it in batches.

use std::pin::Pin;
use std::time::Duration;

use futures_util::{FutureExt as _, StreamExt as _};
use lapin::message::Delivery;
use lapin::options::BasicAckOptions;
use lapin::{Channel, Consumer};
use tokio::time::{Instant, timeout_at};

/// How many messages are acknowledged together.
const BATCH: u64 = 32;

/// How long the first of a batch waits for the others.
const DELAY: Duration = Duration::from_millis(5);

/// Waits for one message and takes what else is ready, at most `most`.
pub async fn ready(consumer: &mut Consumer, most: usize) -> Vec<Delivery> {
    let Some(Ok(first)) = consumer.next().await else { return std::future::pending().await };
    let mut all = vec![first];
    while all.len() < most {
        match Pin::new(&mut *consumer).next().now_or_never() {
            Some(Some(Ok(delivery))) => all.push(delivery),
            _ => break,
        }
    }
    all
}

/// Passes every message to `handle` and acknowledges afterwards, by 32 or after 5 ms.
pub async fn handle_all(
    channel: Channel,
    mut consumer: Consumer,
    acknowledged: bool,
    mut handle: impl FnMut(&Delivery),
) {
    let mut batch = Batch { channel, last: 0, size: 0, due: None };
    loop {
        let all = match batch.due {
            Some(due) => match timeout_at(due, ready(&mut consumer, 256)).await {
                Ok(all) => all,
                Err(_) => {
                    batch.acknowledge().await;
                    continue;
                }
            },
            None => ready(&mut consumer, 256).await,
        };
        for delivery in all {
            handle(&delivery);
            if acknowledged {
                batch.add(delivery.delivery_tag).await;
            }
        }
    }
}

struct Batch {
    channel: Channel,
    last: u64,
    size: u64,
    due: Option<Instant>,
}

impl Batch {
    async fn add(&mut self, tag: u64) {
        self.last = tag;
        self.size += 1;
        if self.size == BATCH {
            self.acknowledge().await;
        } else if self.due.is_none() {
            self.due = Some(Instant::now() + DELAY);
        }
    }

    async fn acknowledge(&mut self) {
        let options = BasicAckOptions { multiple: self.size > 1 };
        self.channel.basic_ack(self.last, options).await.expect("the channel is open");
        (self.size, self.due) = (0, None);
    }
}
