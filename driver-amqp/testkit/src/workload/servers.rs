//! The servers and the listener of a workload, which write down what they start.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use oslo_messaging::{
    Bus, Context, Endpoint, Event, NotificationEndpoint, NotificationListener, Priority, Result, RpcServer, Target,
};
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use super::journal::Journal;
use super::record::{Record, Start};
use crate::stage::soon;

/// The method that answers with the number of its request.
pub const METHOD: &str = "work";
/// The method that answers after [`SILENCE`], when its caller has given up.
pub const MUTE: &str = "mute";
pub const SILENCE: Duration = Duration::from_secs(2);

/// The argument of a request, and the payload of an event.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Work {
    pub number: u32,
    /// How many milliseconds it takes.
    pub ms: u64,
}

/// What the methods of one server share.
#[derive(Debug)]
struct Server {
    number: u8,
    journal: Journal,
}

impl Server {
    fn start(&self, context: &Context, work: Work) {
        let redelivered = context.request().is_some_and(|request| request.redelivered);
        let start = Start { number: work.number, server: self.number, redelivered, at: self.journal.now() };
        self.journal.write(Record::MethodStarted(start));
    }
}

/// What server number `server` is called.
pub fn name(server: u8) -> String {
    format!("s{server}")
}

/// The queues of `topic` that outlive its two servers.
pub fn shared_queues(topic: &str) -> [String; 3] {
    [topic.to_owned(), format!("{topic}.{}", name(0)), format!("{topic}.{}", name(1))]
}

/// Starts server number `server` of `topic`; a `refusing` one refuses what the broker delivers a second time.
pub async fn serve(bus: &Bus, topic: &str, server: u8, refusing: bool, journal: &Journal) -> Result<RpcServer> {
    let endpoint = Endpoint::new(Server { number: server, journal: journal.clone() })
        .method(METHOD, async |server: Arc<Server>, context: Context, work: Work| {
            server.start(&context, work);
            sleep(Duration::from_millis(work.ms)).await;
            Ok::<_, Infallible>(work.number)
        })
        .method(MUTE, async |server: Arc<Server>, context: Context, work: Work| {
            server.start(&context, work);
            sleep(SILENCE).await;
            Ok::<_, Infallible>(work.number)
        });
    let builder = RpcServer::builder(bus, Target::topic(topic).server(name(server))).endpoint(endpoint);
    let builder = if refusing { builder.refuse_redelivered() } else { builder };
    builder.start(soon()).await
}

/// Starts the listener of `topic`.
pub async fn listen(bus: &Bus, topic: &str, journal: &Journal) -> Result<NotificationListener> {
    let endpoint = NotificationEndpoint::new(journal.clone()).on(
        Priority::Info,
        "*",
        async |journal: Arc<Journal>, event: Event<Work>| {
            let (number, redelivered) = (event.payload.number, event.redelivered);
            journal.write(Record::EventStarted(Start { number, server: 0, redelivered, at: journal.now() }));
            Ok::<_, Infallible>(())
        },
    );
    NotificationListener::builder(bus).target(Target::topic(topic)).endpoint(endpoint).start(soon()).await
}
