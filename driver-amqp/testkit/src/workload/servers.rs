//! The servers and the listener of a run, and the log in which they write what they start.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use oslo_messaging::{
    Bus, Context, Endpoint, Event, NotificationEndpoint, NotificationListener, Priority, Result, RpcServer, Target,
};
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use super::history::Started;
use crate::stage::soon;

/// The method that the servers have.
pub const METHOD: &str = "work";

/// The one that answers when every caller of it has given up.
pub const MUTE: &str = "mute";
/// How long that takes.
pub const SILENCE: Duration = Duration::from_secs(2);

/// What a request or an event says.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Work {
    pub number: u32,
    /// How long it takes.
    pub ms: u64,
}

/// What was started, in the order of first polls.
#[derive(Debug, Default)]
pub struct Log {
    methods: Mutex<Vec<Started>>,
    events: Mutex<Vec<Started>>,
}

impl Log {
    pub fn methods(&self) -> Vec<Started> {
        self.methods.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn events(&self) -> Vec<Started> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What the methods of one server know.
#[derive(Debug)]
struct Server {
    number: usize,
    log: Arc<Log>,
}

impl Server {
    /// Notes that a method starts.
    fn start(&self, context: &Context, work: Work) {
        let redelivered = context.request().is_some_and(|request| request.redelivered);
        let start = Started { number: work.number, server: self.number, redelivered };
        self.log.methods.lock().unwrap_or_else(PoisonError::into_inner).push(start);
    }
}

/// Starts server number `server` of `topic`.
pub async fn serve(bus: &Bus, topic: &str, server: usize, refusing: bool, log: &Arc<Log>) -> Result<RpcServer> {
    let endpoint = Endpoint::new(Server { number: server, log: Arc::clone(log) })
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

/// What server number `server` is called.
pub fn name(server: usize) -> String {
    format!("s{server}")
}

/// Starts the listener of `topic`.
pub async fn listen(bus: &Bus, topic: &str, log: &Arc<Log>) -> Result<NotificationListener> {
    let endpoint = NotificationEndpoint::shared(Arc::clone(log)).on(
        Priority::Info,
        "*",
        async |log: Arc<Log>, event: Event<Work>| {
            let start = Started { number: event.payload.number, server: 0, redelivered: event.redelivered };
            log.events.lock().unwrap_or_else(PoisonError::into_inner).push(start);
            Ok::<_, Infallible>(())
        },
    );
    NotificationListener::builder(bus).target(Target::topic(topic)).endpoint(endpoint).start(soon()).await
}
