//! A server: acknowledges what it takes, in batches, and answers.

use lapin::options::BasicAckOptions;
use lapin::{Channel, Consumer};
use load::Arrivals;
use tokio::sync::mpsc;

use crate::guarantees::Guarantees;
use crate::messages::{Request, open, properties, reply};
use crate::publisher::Outgoing;
use crate::windowed;

/// How many requests a server takes at once: as many as ours may run and hold.
const MOST: usize = 80;

/// Serves `echo`, whose replies go to `replies`, and `note`, which is counted.
pub async fn serve(
    channel: Channel,
    mut consumer: Consumer,
    replies: Option<mpsc::Sender<Outgoing>>,
    guarantees: Guarantees,
    arrivals: Arrivals,
) {
    loop {
        // What is ready to run goes first, so that a batch can grow.
        tokio::task::yield_now().await;
        let all = windowed::ready(&mut consumer, MOST).await;
        if let Some(last) = all.last().filter(|_| guarantees.acknowledged) {
            let options = BasicAckOptions { multiple: all.len() > 1 };
            channel.basic_ack(last.delivery_tag, options).await.expect("the channel is open");
        }
        for delivery in all {
            arrivals.note();
            let Some(outgoing) = answer(&delivery.data, guarantees) else { continue };
            let replies = replies.as_ref().expect("a server of calls has a publisher");
            replies.send(outgoing).await.expect("the publisher runs");
        }
    }
}

/// The reply to a call; `None` for a cast.
fn answer(body: &[u8], guarantees: Guarantees) -> Option<Outgoing> {
    let inner = open(body);
    let request: Request<'_> = serde_json::from_str(&inner).expect("it is a request");
    let (msg_id, queue) = (request._msg_id?, request._reply_q?);
    Some(Outgoing {
        exchange: "".into(),
        key: queue.into_owned().into(),
        body: reply(&request.args.s, &msg_id),
        properties: properties(guarantees.reply_mode, false),
        confirmed: None,
    })
}
