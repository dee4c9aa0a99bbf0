//! Many publishers and readers on several threads.

use std::collections::BTreeSet;
use std::sync::Arc;

use oslo_messaging::driver::{Listener, Settle};
use oslo_messaging_fake::FakeBroker;
use tokio::task::JoinSet;

use crate::support::*;

const PUBLISHERS: usize = 4;
const EACH: usize = 500;

/// Reads until `left` is closed; requeues every seventh message once.
async fn read(mut listener: Box<dyn Listener>, settle: Settle, left: Arc<tokio::sync::Semaphore>) -> Vec<String> {
    let mut received = Vec::new();
    loop {
        let messages = tokio::select! {
            messages = some(&mut listener, 5) => messages,
            _ = left.acquire_many(u32::try_from(PUBLISHERS * EACH).unwrap()) => break,
        };
        for (index, message) in messages.into_iter().enumerate() {
            if settle == Settle::ByReceiver && index == 3 && !message.redelivered() {
                message.requeue().await.unwrap();
                continue;
            }
            received.push(body(&*message).to_owned());
            message.acknowledge().await.unwrap();
            left.add_permits(1);
        }
    }
    listener.close(soon()).await.unwrap();
    received
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_message_reaches_one_reader_and_no_wake_up_is_lost() {
    let broker = FakeBroker::new();
    let transport = Arc::new(broker.transport());
    let done = Arc::new(tokio::sync::Semaphore::new(0));
    let mut readers = JoinSet::new();
    for settle in [Settle::ByReceiver, Settle::BeforeHandover, Settle::ByReceiver] {
        let listener = listen(&transport, &narrow(queue("q"), 7).with_settle(settle)).await;
        readers.spawn(read(listener, settle, Arc::clone(&done)));
    }
    let mut publishers = JoinSet::new();
    for publisher in 0..PUBLISHERS {
        let transport = Arc::clone(&transport);
        publishers.spawn(async move {
            for number in 0..EACH {
                send(&transport, &durable("q"), &format!("{publisher}/{number}")).await;
            }
        });
    }
    publishers.join_all().await;
    let received: Vec<String> = readers.join_all().await.into_iter().flatten().collect();
    assert_eq!(received.len(), PUBLISHERS * EACH);
    assert_eq!(received.iter().collect::<BTreeSet<_>>().len(), PUBLISHERS * EACH);
    broker.assert_idle();
}
