//! The broker in memory.

use load::{Arguments, Line};
use ruststream::memory::prelude::*;
use ruststream::runtime::{Outgoing as View, PublishContext};
use serde::{Deserialize, Serialize};

use crate::PROGRAM;
use crate::call::Call;
use crate::text::Text;

#[derive(Debug, Serialize, Deserialize, Outgoing)]
struct Answer {
    s: String,
}

#[subscriber("ruststream", reply("ruststream.unrouted"))]
async fn echo(ask: &Text) -> Answer {
    Answer { s: ask.s.clone() }
}

/// Sends a reply to the address that its request names.
struct ReplyTo;

impl<C, Options> PublishTransform<ForReply<C>, Options> for ReplyTo {
    type Destination = Names;

    fn apply(&self, out: &mut View<'_>, _: &mut Option<Options>, context: &PublishContext<'_, C>) {
        if let Some(to) = context.headers().get_shared("reply-to")
            && let Ok(to) = Str::try_from(to)
        {
            out.set_name(to);
        }
    }
}

/// Calls for a time.
pub async fn calls(arguments: &Arguments) -> Line {
    let broker = MemoryBroker::new();
    let app = RustStream::new(AppInfo::new("bench", "0.1.0")).with_broker(broker.clone(), |broker| {
        broker.include(echo).out_reply(Publish).transform(ReplyTo);
    });
    let _running = app.start().await.expect("the application starts");
    load::drive(PROGRAM, arguments, Call::new(broker.requester(), arguments)).await
}
