//! The servers and the listener, and what they write down when something starts.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use oslo_messaging::{
    Bus, Context, Endpoint, Event, NotificationEndpoint, NotificationListener, Priority, Result, RpcServer, Target,
};
use serde::{Deserialize, Serialize};

use testkit::stage::soon;
use testkit::workload::journal::Journal;
use testkit::workload::record::{Record, Start};

/// The method that every server has.
pub(crate) const METHOD: &str = "work";
/// Served by two that run what the broker hands over a second time, and say so.
pub(crate) const TOPIC: &str = "work";
/// Served by two that refuse it.
pub(crate) const ONCE: &str = "once";
/// Served by nobody.
pub(crate) const NOBODY: &str = "nobody";
pub(crate) const EVENTS: &str = "events";

/// What a request or an event says.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Work {
    pub(crate) number: u32,
    /// How long it takes.
    pub(crate) ms: u64,
}

/// What the servers of one connection share.
type Desk = (u8, Journal);

/// What server number `server` is called, on either topic.
pub(crate) fn name(server: u8) -> String {
    format!("s{server}")
}

/// The queues that outlive their readers.
pub(crate) fn shared_queues() -> Vec<String> {
    let of = |topic: &str| [topic.to_owned(), format!("{topic}.{}", name(0)), format!("{topic}.{}", name(1))];
    let events = [format!("{EVENTS}.info"), format!("{EVENTS}.info.dead")];
    of(TOPIC).into_iter().chain(of(ONCE)).chain(events).collect()
}

/// Starts server number `server` of both topics.
pub(crate) async fn serve(bus: &Bus, server: u8, journal: &Journal) -> Result<[RpcServer; 2]> {
    let builder = |topic: &str| {
        let desk: Desk = (server, journal.clone());
        let endpoint = Endpoint::new(desk).method(METHOD, async |desk: Arc<Desk>, context: Context, work: Work| {
            let redelivered = context.request().is_some_and(|request| request.redelivered);
            desk.1.write(Record::Ran(Start { number: work.number, server: desk.0, redelivered, at: desk.1.now() }));
            tokio::time::sleep(Duration::from_millis(work.ms)).await;
            Ok::<_, Infallible>(work.number)
        });
        RpcServer::builder(bus, Target::topic(topic).server(name(server))).endpoint(endpoint)
    };
    let running = builder(TOPIC).start(soon()).await?;
    Ok([running, builder(ONCE).refuse_redelivered().start(soon()).await?])
}

/// Starts the listener.
pub(crate) async fn listen(bus: &Bus, journal: &Journal) -> Result<NotificationListener> {
    let endpoint = NotificationEndpoint::new(journal.clone()).on(
        Priority::Info,
        "*",
        async |journal: Arc<Journal>, event: Event<Work>| {
            let (number, redelivered) = (event.payload.number, event.redelivered);
            journal.write(Record::Heard(Start { number, server: 0, redelivered, at: journal.now() }));
            Ok::<_, Infallible>(())
        },
    );
    NotificationListener::builder(bus).target(Target::topic(EVENTS)).endpoint(endpoint).start(soon()).await
}
