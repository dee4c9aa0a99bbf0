//! ruststream-lapin: replies over direct reply-to, which are confirmed and go with their connection.

use load::{Arguments, Line};
use ruststream_lapin::prelude::*;
use serde::{Deserialize, Serialize};

use crate::PROGRAM;
use crate::call::Call;
use crate::text::Text;

#[derive(Debug, Serialize, Deserialize, Outgoing)]
struct Answer {
    s: String,
}

#[subscriber(RabbitQueue::new("ruststream"), reply("ruststream.unrouted"), workers(64))]
async fn echo(ask: &Text) -> Answer {
    Answer { s: ask.s.clone() }
}

/// Calls for a time.
pub async fn calls(arguments: &Arguments) -> Line {
    let uri = format!("amqp://guest:guest@{}", arguments.broker());
    let broker = LapinBroker::new(uri.clone()).prefetch(nonzero!(128)).declare_topology(true);
    let app = RustStream::new(AppInfo::new("bench", "0.1.0")).with_broker(broker, |broker| {
        broker.include(echo).out_reply(Publish::default().confirms()).transform(DirectReplyTo);
    });
    let _running = app.start().await.expect("the application starts");
    let client = LapinBroker::new(uri).connect().await.expect("the broker is reachable");
    load::drive(PROGRAM, arguments, Call::new(client.requester(LapinRequest::default()), arguments)).await
}
