//! One run: two servers, a listener and a client, each behind a relay of its own, and one place at which they are cut.

use std::sync::Arc;
use std::time::Duration;

use oslo_messaging::Bus;
use oslo_messaging_amqp::{AmqpConfig, AmqpTransport};
use tokio::time::{Instant, sleep, timeout};

use super::points::{Party, Point, Reach, Stream};
use crate::wire::{Concern, Kind, frame_at, frames};
use testkit::proxy::{Direction, Proxy, Trip};
use testkit::stage::{soon, unique, until, url};
use testkit::workload::history::History;
use testkit::workload::journal::Journal;
use testkit::workload::queues::{Emptied, drain};
use testkit::workload::rules;
use testkit::workload::script::ScriptedClient;
use testkit::workload::servers::{listen, serve, shared_queues};

/// How long what was confirmed may take to come out.
const OUT: Duration = Duration::from_secs(10);

/// Where runs take place: a virtual host that they share, each with names of its own.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) port: u16,
    pub(crate) vhost: String,
    /// A client that looks into queues.
    pub(crate) bare: lapin::Connection,
}

/// How the client of a run behaves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manner {
    /// What it calls.
    pub(crate) method: &'static str,
    /// How long it waits each time.
    pub(crate) timeout: Duration,
    /// How long it gives everything to work again.
    pub(crate) recovery: Duration,
}

/// The result of a run.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) history: History,
    /// Everything that should not be.
    pub(crate) violations: Vec<String>,
    pub(crate) trip: Option<Trip>,
    /// The frame that was torn, if the cut came where it should.
    pub(crate) torn: Option<(Kind, Concern)>,
    /// From the cut until everything had worked again.
    pub(crate) recovery: Duration,
    /// What went over the first connections until the client was done with what it does meanwhile.
    pub(crate) streams: Vec<Stream>,
}

/// Plays the scenario once, cut at `point`.
pub(crate) async fn run(field: Arc<Field>, point: Option<Point>, manner: Manner) -> Outcome {
    let proxies = [Proxy::to(field.port).await, Proxy::to(field.port).await, Proxy::to(field.port).await];
    if let Some(point) = point {
        arm(&proxies, point);
    }
    let mut violations = Vec::new();
    let (topic, events) = (unique("t"), unique("e"));
    let (journal, records) = Journal::in_memory();
    let refusing = point.is_some_and(|point| point.refusing);
    let [client_proxy, first_proxy, second_proxy] = &proxies;
    let connect = async |proxy, violations: &mut _| Peer::connect(proxy, &proxies, &field.vhost, violations).await;
    let first = connect(first_proxy, &mut violations).await;
    let second = connect(second_proxy, &mut violations).await;
    let one = serve(&first.bus, &topic, 0, refusing, &journal).await.expect("the first server");
    let two = serve(&second.bus, &topic, 1, refusing, &journal).await.expect("the second server");
    let listener = listen(&first.bus, &events, &journal).await.expect("the listener");
    let own = connect(client_proxy, &mut violations).await;
    let client = ScriptedClient::new(&own.bus, &topic, &events, manner.method, manner.timeout, &journal);

    Box::pin(client.during()).await;
    let streams = streams(&proxies);
    proxies.iter().for_each(Proxy::spring);
    noticed(point, &proxies, &[&own, &first, &second]).await;
    if timeout(manner.recovery, client.recovered()).await.is_err() {
        violations.push(format!("G8: it does not work again within {:?}", manner.recovery));
    }
    let trip = point.and_then(|point| proxies[point.party as usize].trip());
    let recovery = trip.map(|trip| trip.when.elapsed()).unwrap_or_default();
    Box::pin(client.afterwards()).await;

    let mut history = History::new(refusing, servers_hurt(point));
    history.add_all(&records);
    let arriving = async {
        while !history.is_complete() {
            sleep(Duration::from_millis(10)).await;
            history.add_all(&records);
        }
    };
    // The rules report what does not arrive.
    let _ = timeout(OUT, arriving).await;

    let ends = [
        ("the first server", one.shutdown(soon()).await),
        ("the second server", two.shutdown(soon()).await),
        ("the listener", listener.shutdown(soon()).await),
        ("the client's bus", own.bus.close(soon()).await),
        ("the first server's bus", first.bus.close(soon()).await),
        ("the second server's bus", second.bus.close(soon()).await),
    ];
    let failed = ends.into_iter().filter_map(|(what, end)| Some(format!("{what} did not end well: {}", end.err()?)));
    violations.extend(failed);
    history.add_all(&records);
    let queues = [&shared_queues(&topic)[..], &[format!("{events}.info")]].concat();
    let left = drain(&field.bare, &queues, Emptied::Deleted).await;
    history.left = left.into_iter().map(|number| number.expect("every message has a number")).collect();
    violations.extend(rules::sweep::violations(&history));
    let torn = point.and_then(|point| torn(&proxies, point, trip?));
    Outcome { history, violations, trip, torn, recovery, streams }
}

fn arm(proxies: &[Proxy; 3], point: Point) {
    let (its, others): (Vec<_>, Vec<_>) = Party::ALL.iter().zip(proxies).partition(|(party, _)| **party == point.party);
    let others: Vec<&Proxy> = match point.reach {
        Reach::Alone => vec![],
        Reach::All => others.into_iter().map(|(_, proxy)| proxy).collect(),
    };
    its[0].1.arm(point.at, point.fault, &others);
}

fn servers_hurt(point: Option<Point>) -> [bool; 2] {
    [Party::FirstServer, Party::SecondServer].map(|party| point.is_some_and(|point| point.hurts(party)))
}

/// A bus behind a relay.
struct Peer {
    bus: Bus,
    transport: Arc<AmqpTransport>,
    connected: Instant,
}

impl Peer {
    /// Connects through `proxy`. If the cut comes while it connects, to this one or to `all`, it gets an error and tries again, as
    /// a program would.
    async fn connect(proxy: &Proxy, all: &[Proxy; 3], vhost: &str, violations: &mut Vec<String>) -> Self {
        let address = url(&format!("rabbit://guest:guest@127.0.0.1:{}/{vhost}", proxy.port()));
        let transport = loop {
            let tripped = || all.iter().any(|proxy| proxy.trip().is_some());
            let untouched = !tripped();
            match AmqpTransport::connect(&address, AmqpConfig::default(), soon()).await {
                Ok(transport) => break Arc::new(transport),
                Err(error) => {
                    let cut = untouched && tripped();
                    assert!(cut, "the relay let everything through, and {error}");
                    if !error.is_transient() {
                        violations.push(format!("a connection that was cut is reported as refused: {error}"));
                    }
                }
            }
        };
        Self { bus: Bus::new(Arc::clone(&transport)), transport, connected: Instant::now() }
    }
}

/// Waits until every party whose connections were cut has noticed: what is sent before is lost with them.
async fn noticed(point: Option<Point>, proxies: &[Proxy; 3], peers: &[&Peer; 3]) {
    let Some(trip) = point.and_then(|point| proxies[point.party as usize].trip()) else { return };
    for (party, peer) in Party::ALL.iter().zip(peers) {
        let hurt = point.is_some_and(|point| point.hurts(*party)) && trip.when > peer.connected;
        until("the loss", async || !hurt || peer.transport.counters().losses > 0).await;
    }
}

/// What went over the two connections of each party.
fn streams(proxies: &[Proxy; 3]) -> Vec<Stream> {
    let mut streams = Vec::new();
    for (&party, proxy) in Party::ALL.iter().zip(proxies) {
        for connection in 0..2 {
            for direction in [Direction::ToBroker, Direction::FromBroker] {
                let mut tape = proxy.tape(connection, direction);
                tape.sent.truncate(tape.passed);
                streams.push(Stream { party, connection, direction, bytes: tape.sent });
            }
        }
    }
    streams
}

/// The frame that the cut went through.
fn torn(proxies: &[Proxy; 3], point: Point, trip: Trip) -> Option<(Kind, Concern)> {
    let tape = proxies[point.party as usize].tape(point.at.connection, point.at.direction);
    let frames = frames(&tape.sent);
    let frame = frame_at(&frames, tape.passed).filter(|frame| trip.at_its_place && frame.is_torn_by(tape.passed))?;
    Some((frame.kind, frame.concern(point.at.direction)))
}
