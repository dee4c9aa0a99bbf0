//! The kinds of work, with the guarantees that a program gives.

use std::sync::Arc;

use lapin::ExchangeKind;
use lapin::types::ShortString;
use load::{Arguments, Arrivals, Line, Operation};
use tokio::sync::{mpsc, oneshot};

use crate::guarantees::Guarantees;
use crate::messages::{Event, event, id, open, properties, request};
use crate::publisher::{self, Outgoing};
use crate::replies::Call;
use crate::server::serve;
use crate::topology::{EXCHANGE, bind, connect, consume, private_queue, publishing, shared_queue};
use crate::windowed;

/// The window of a server.
const WINDOW: u16 = 128;

/// The window of a listener.
const EVENTS: u16 = 200;

/// Does the work that the arguments name.
pub async fn run(program: &str, guarantees: Guarantees, arguments: &Arguments) -> Line {
    let guarantees = guarantees.chosen(arguments);
    match arguments.work() {
        "call" => {
            let call = call(guarantees, arguments).await;
            load::drive(program, arguments, call.clone()).await.with("reply_mode", call.reply_mode())
        }
        "count" => load::counted(program, arguments, call(guarantees, arguments).await).await,
        "cast" => cast(program, guarantees, arguments).await,
        "notify" => notify(program, guarantees, arguments).await,
        "fanout" => fanout(program, guarantees, arguments).await,
        other => panic!("there is no work {other:?}"),
    }
}

/// Starts a server, unless `--role client` says that there is one, and returns a call to it: on two connections, one for
/// publishing and one for the rest.
async fn call(guarantees: Guarantees, arguments: &Arguments) -> Call {
    let (outbound, inbound) = (connect(arguments).await, connect(arguments).await);
    if arguments.text("role", "both") != "client" {
        for _ in 0..arguments.number("servers", 1) {
            let channel = inbound.create_channel().await.expect("a channel opens");
            shared_queue(&channel, &arguments.topic()).await;
            let consumer = consume(&channel, &arguments.topic(), WINDOW, guarantees).await;
            let replies = publisher::start(publishing(outbound, guarantees).await, guarantees.mandatory);
            tokio::spawn(serve(channel, consumer, Some(replies), guarantees, Arrivals::default()));
        }
    }
    let requests = publisher::start(publishing(outbound, guarantees).await, guarantees.mandatory);
    Call::new(inbound, requests, guarantees, arguments).await
}

async fn cast(program: &str, guarantees: Guarantees, arguments: &Arguments) -> Line {
    let (outbound, inbound) = (connect(arguments).await, connect(arguments).await);
    let arrivals = Arrivals::default();
    let channel = inbound.create_channel().await.expect("a channel opens");
    shared_queue(&channel, &arguments.topic()).await;
    let consumer = consume(&channel, &arguments.topic(), WINDOW, guarantees).await;
    tokio::spawn(serve(channel, consumer, None, guarantees, arrivals.clone()));
    let casts = publisher::start(publishing(outbound, guarantees).await, false);
    let send = Send::new(casts, EXCHANGE, &arguments.topic(), Kind::Cast, arguments);
    load::consumed(program, arguments, &arrivals, 1, send).await
}

async fn notify(program: &str, guarantees: Guarantees, arguments: &Arguments) -> Line {
    let (outbound, inbound) = (connect(arguments).await, connect(arguments).await);
    let arrivals = Arrivals::default();
    let queue = format!("{}.info", arguments.topic());
    let channel = inbound.create_channel().await.expect("a channel opens");
    shared_queue(&channel, &queue).await;
    let consumer = consume(&channel, &queue, EVENTS, guarantees).await;
    let counted = arrivals.clone();
    tokio::spawn(windowed::handle_all(channel, consumer, guarantees.acknowledged, move |delivery| {
        let inner = open(&delivery.data);
        let event: Event<'_> = serde_json::from_str(&inner).expect("it is an event");
        assert!(!event.payload.s.is_empty());
        counted.note();
    }));
    let events = publisher::start(publishing(outbound, guarantees).await, guarantees.mandatory);
    let send = Send::new(events, EXCHANGE, &queue, Kind::Event, arguments);
    load::consumed(program, arguments, &arrivals, 1, send).await
}

async fn fanout(program: &str, guarantees: Guarantees, arguments: &Arguments) -> Line {
    let (outbound, inbound) = (connect(arguments).await, connect(arguments).await);
    let (arrivals, copies) = (Arrivals::default(), arguments.number("servers", 50));
    let exchange = format!("{}_fanout", arguments.topic());
    for _ in 0..copies {
        let channel = inbound.create_channel().await.expect("a channel opens");
        let queue = format!("{exchange}_{}", id());
        private_queue(&channel, &queue).await;
        bind(&channel, &exchange, ExchangeKind::Fanout, &queue, &arguments.topic()).await;
        let consumer = consume(&channel, &queue, WINDOW, guarantees).await;
        tokio::spawn(serve(channel, consumer, None, guarantees, arrivals.clone()));
    }
    let casts = publisher::start(publishing(outbound, guarantees).await, false);
    let send = Send::new(casts, &exchange, "", Kind::Cast, arguments);
    load::consumed(program, arguments, &arrivals, copies, send).await
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Cast,
    Event,
}

/// A message that nothing answers; it succeeds when the broker has confirmed it.
#[derive(Debug, Clone)]
struct Send {
    publisher: mpsc::Sender<Outgoing>,
    exchange: ShortString,
    key: ShortString,
    kind: Kind,
    text: Arc<str>,
}

impl Send {
    fn new(publisher: mpsc::Sender<Outgoing>, exchange: &str, key: &str, kind: Kind, arguments: &Arguments) -> Self {
        Self { publisher, exchange: exchange.into(), key: key.into(), kind, text: arguments.payload().into() }
    }
}

impl Operation for Send {
    async fn run(&self) -> bool {
        let (sender, confirmed) = oneshot::channel();
        let outgoing = Outgoing {
            exchange: self.exchange.clone(),
            key: self.key.clone(),
            body: match self.kind {
                Kind::Cast => request(&self.text, None),
                Kind::Event => event(&self.text),
            },
            properties: properties(2, false),
            confirmed: Some(sender),
        };
        self.publisher.send(outgoing).await.expect("the publisher runs");
        confirmed.await.expect("the publisher answers")
    }
}
