//! What an event is on the wire when it goes back to its queue.

use lapin::options::BasicGetOptions;
use oslo_messaging::notify::DeadLetters;
use oslo_messaging_amqp::AmqpConfig;

use crate::limit::{arrived, dead_letters};
use testkit::stage::{ARRIVE, Stage, soon, unique};

/// It was confirmed once, so it must outlive the broker whatever the setting for replies, which go to queues by their names too.
pub(crate) async fn an_event_is_written_to_the_disk() {
    let (stage, topic) = (Stage::shared().await, unique("events"));
    let config = AmqpConfig::durable().with_persistent_replies(false);
    let (bus, queue) = (dead_letters(&stage, &topic, config, 1).await, format!("{topic}.info"));
    let mut letters = DeadLetters::open(&bus, &queue, soon()).await.expect("they open");
    let letter = letters.next(ARRIVE).await.expect("letters").expect("one letter");
    letter.replay(soon()).await.expect("a replay");
    arrived(&stage, &queue, 1).await;
    let channel = stage.bare().await.create_channel().await.expect("a channel");
    let got = channel.basic_get(queue.as_str().into(), BasicGetOptions { no_ack: true }).await.expect("an answer");
    assert_eq!(*got.expect("the event").properties.delivery_mode(), Some(2));
    letters.close(soon()).await.expect("they close");
}
