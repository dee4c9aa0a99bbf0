//! What lies in queues after a run.

use lapin::options::{BasicGetOptions, QueueDeleteOptions};
use serde_json::Value;

use crate::stage::{ARRIVE, within};

/// What becomes of a queue that was emptied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Emptied {
    Stays,
    Deleted,
}

/// Empties `queues`, and returns the number of each message, or `None` for one that no client of a workload sent.
pub async fn drain(bare: &lapin::Connection, queues: &[String], then: Emptied) -> Vec<Option<u32>> {
    let draining = async {
        let channel = bare.create_channel().await?;
        let mut numbers = Vec::new();
        for queue in queues {
            let name = queue.as_str();
            while let Some(message) = channel.basic_get(name.into(), BasicGetOptions { no_ack: true }).await? {
                numbers.push(number(&message.delivery.data));
            }
            if then == Emptied::Deleted {
                channel.queue_delete(name.into(), QueueDeleteOptions::default()).await?;
            }
        }
        channel.close(200, "done".into()).await?;
        Ok::<_, lapin::Error>(numbers)
    };
    within(ARRIVE, "emptying the queues", draining).await.expect("the queues exist")
}

fn number(body: &[u8]) -> Option<u32> {
    let envelope: Value = serde_json::from_slice(body).ok()?;
    let message: Value = serde_json::from_str(envelope["oslo.message"].as_str()?).ok()?;
    let of = |part: &str| message[part]["number"].as_u64();
    u32::try_from(of("args").or_else(|| of("payload"))?).ok()
}
