//! Plays a program: creates its actors, runs its acts, lets everything end, and returns the history.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};
use tokio::time::Instant;

use super::actor::rust_actor::RustActors;
use super::actor::{Actor, ActorSource, Command};
use super::history::{Event, History, Log, Outcome};
use super::program::{Act, Program, Server, Step};
use super::request::{Kind, Request};
use super::timeline::Timeline;
use crate::{Failed, Stage};

/// Actors share nothing but the history: each one has a connection of its own.
#[derive(Debug)]
struct Play<'a> {
    stage: &'a Stage,
    program: &'a Program,
    /// Shared by all actors: its order is the order of the history.
    log: Log,
    /// By index of the server; each keeps its actor over all of its lives.
    servers: Vec<Arc<dyn Actor>>,
    /// By index of the sender.
    senders: Vec<Arc<dyn Actor>>,
}

/// Plays `program`. After its last act it starts every server once more, so
/// that waiting requests run, and stops all of them.
///
/// Fails if an actor cannot be created. Failed steps are part of the history.
pub(crate) async fn play(stage: &Stage, program: &Program) -> Result<History, Failed> {
    let log = Log::default();
    let (mut servers, mut senders) = (Vec::new(), Vec::new());
    for server in &program.servers {
        servers.push(hire(stage, server.foreign, &log).await?);
    }
    for sender in 0..program.senders() {
        senders.push(hire(stage, program.foreign_senders.contains(&sender), &log).await?);
    }
    let play = Play { stage, program, log, servers, senders };
    for act in &program.acts {
        play.act(act).await;
    }
    play.end().await;
    Ok(play.log.history())
}

/// Takes the actor from this library, or from the processes of the harness if it is `foreign`.
///
/// Fails if a connection cannot be opened, or there is no foreign process.
async fn hire(stage: &Stage, foreign: bool, log: &Log) -> Result<Arc<dyn Actor>, Failed> {
    if foreign { stage.foreign()?.hire(stage, log).await } else { RustActors.hire(stage, log).await }
}

impl Play<'_> {
    /// Runs the steps of an act concurrently, those of one sender in order, and waits for all of them.
    /// A cut waits for events of the other steps, so it falls between them.
    async fn act(&self, act: &Act) {
        let mut parts: Vec<BoxFuture<'_, ()>> = Vec::new();
        let mut lines: BTreeMap<usize, Vec<&Request>> = BTreeMap::new();
        for step in &act.steps {
            match step {
                Step::Send { sender, message: request } => lines.entry(*sender).or_default().push(request),
                Step::Cut { after } => parts.push(Box::pin(self.cut(*after))),
                Step::Start { .. } | Step::Stop { .. } | Step::Hurry { .. } | Step::Kill { .. } => {
                    parts.push(Box::pin(self.perform(step.clone())));
                }
            }
        }
        parts.extend(lines.into_iter().map(|(sender, requests)| Box::pin(self.send_all(sender, requests)) as _));
        join_all(parts).await;
        if act.settle {
            self.settle().await;
        }
    }

    /// Sends the requests of one sender in an act: casts one after the other, calls concurrently.
    /// A request that is sent several times gets a number of its own each time.
    async fn send_all(&self, sender: usize, requests: Vec<&Request>) {
        let step = |request: &Request| Step::Send { sender, message: request.clone().times(1) };
        let each = requests.into_iter().flat_map(|request| std::iter::repeat_n(request, request.times));
        let (calls, casts): (Vec<_>, Vec<_>) = each.partition(|request| request.kind == Kind::Call);
        let casting = async {
            for request in casts {
                self.perform(step(request)).await;
            }
        };
        let calling = join_all(calls.into_iter().map(|request| self.perform(step(request))));
        futures_util::join!(casting, calling);
    }

    /// Cuts every connection after `after` more events of the history, or when no more come.
    /// Waits for these events for half of `Budget::quiet` at most, and cuts anyway.
    async fn cut(&self, after: usize) {
        let number = self.log.begin(&Step::Cut { after });
        let enough = self.log.history().events.len() + after;
        self.log.wait(self.stage.budget().quiet / 2, |history| history.events.len() >= enough).await;
        self.log.note(Event::Cutting(number));
        let begun = Instant::now();
        let cut = self.stage.cut().await;
        let outcome = cut.map_or_else(|error| Outcome::Broken { error }, |()| Outcome::Done);
        self.log.note(Event::Ended { step: number, outcome, took: begun.elapsed() });
    }

    /// Records the begin of a step, has its actor perform it, and records the outcome.
    /// Slow methods take a third of `Budget::quiet`, a hurried stop gets a sixth.
    /// A request that is given up is dropped after a twelfth.
    async fn perform(&self, step: Step) {
        let number = self.log.begin(&step);
        let (actor, command) = match &step {
            Step::Start { actor: server } => {
                let named = named_server(self.stage, &self.program.servers[*server]);
                (&self.servers[*server], Command::Start { place: *server, server: named })
            }
            Step::Stop { actor: server } => (&self.servers[*server], Command::Stop),
            // Shorter than one slow method.
            Step::Hurry { actor: server } => {
                (&self.servers[*server], Command::Hurry { within_ms: millis(self.stage.budget().quiet / 6) })
            }
            Step::Kill { actor: server } => (&self.servers[*server], Command::Kill),
            Step::Send { sender, message: request } => {
                let nap_ms = millis(self.stage.budget().quiet / 3);
                let timeout_ms = millis(patience(self.stage, request));
                let give_up_ms = request.given_up.then_some(nap_ms / 4);
                let request = named_request(self.stage, request);
                (&self.senders[*sender], Command::Send { number, request, nap_ms, timeout_ms, give_up_ms })
            }
            Step::Cut { .. } => unreachable!("cuts concern every connection"),
        };
        let begun = Instant::now();
        let outcome = actor.perform(command).await;
        let took = begun.elapsed();
        if matches!(outcome, Outcome::Returned { .. } | Outcome::Raised { .. }) {
            self.sync().await;
        }
        self.log.note(Event::Ended { step: number, outcome, took });
    }

    /// Waits until executions at foreign servers are recorded: an answer may arrive before the line of its server.
    async fn sync(&self) {
        let foreign = self.servers.iter().zip(&self.program.servers).filter(|(_, server)| server.foreign);
        join_all(foreign.map(|(actor, _)| actor.perform(Command::Tell))).await;
    }

    /// Waits until no request is due, or nothing has happened for [`Budget::arrive`](crate::Budget::arrive).
    /// Notes the point in the history, also if the time ran out.
    async fn settle(&self) {
        let due = |history: &History| Timeline::new(self.program, history).due().is_empty();
        self.log.settled(self.stage.budget().arrive, due).await;
        self.log.note(Event::Settled);
    }

    /// Starts the servers that are down, waits until nothing is due and nothing more happens, and stops all servers.
    /// Last it notes how many requests the library counted as dropped.
    async fn end(&self) {
        let running = Timeline::new(self.program, &self.log.history()).running();
        let all = 0..self.program.servers.len();
        let missing = all.clone().filter(|server| !running.contains(server));
        join_all(missing.map(|server| self.perform(Step::Start { actor: server }))).await;
        self.settle().await;
        self.log.quiet(self.stage.budget().quiet).await;
        join_all(all.map(|server| self.perform(Step::Stop { actor: server }))).await;
        self.log.note(Event::Dropped(self.stage.tally().of("oslo_messaging_requests_dropped_total")));
    }
}

/// The timeout: `Budget::quiet` if the request is impatient, else `Budget::arrive`.
pub(crate) fn patience(stage: &Stage, request: &Request) -> Duration {
    if request.impatient { stage.budget().quiet } else { stage.budget().arrive }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).expect("a budget fits into 64 bits of milliseconds")
}

/// The server with its unique names on the bus. The server name stays: it is scoped by the topic.
fn named_server(stage: &Stage, server: &Server) -> Server {
    let exchange = server.exchange.as_deref().map(|exchange| stage.name(exchange));
    Server { exchange, topic: stage.name(&server.topic), ..server.clone() }
}

/// The request with its unique names on the bus.
fn named_request(stage: &Stage, request: &Request) -> Request {
    let exchange = request.exchange.as_deref().map(|exchange| stage.name(exchange));
    Request { exchange, topic: stage.name(&request.topic), ..request.clone() }
}
