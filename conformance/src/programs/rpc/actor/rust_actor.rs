//! Actors that use this library, within the process of the test.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use oslo_messaging::{
    Bus, Context, Deadline, Endpoint, Error, ErrorKind, Exception, Executed, Failure, Result, RpcClient, RpcServer,
    Target,
};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};

use super::{Actor, ActorSource, Command};
use crate::programs::rpc::history::{Event, Log, Outcome, Run};
use crate::programs::rpc::program::Interface;
use crate::programs::rpc::request::{Kind, Method, Request};
use crate::programs::rpc::{Server, program};
use crate::{Budget, Failed, Stage};

/// Creates actors in this process, each with its own bus.
#[derive(Debug)]
pub(crate) struct RustActors;

/// One server or sender. It keeps its bus over all lives of its server.
#[derive(Debug)]
struct RustActor {
    bus: Bus,
    log: Log,
    budget: Budget,
    /// `None` for a sender, and for a server that was not started or was stopped.
    server: Mutex<Option<RpcServer>>,
}

#[async_trait]
impl ActorSource for RustActors {
    async fn hire(&self, stage: &Stage, log: &Log) -> Result<Arc<dyn Actor>, Failed> {
        let (bus, budget) = (stage.bus().await?, stage.budget());
        Ok(Arc::new(RustActor { bus, log: log.clone(), budget, server: Mutex::new(None) }))
    }
}

#[async_trait]
impl Actor for RustActor {
    async fn perform(&self, command: Command) -> Outcome {
        let outcome = match command {
            Command::Start { place, server } => self.start(place, &server).await,
            Command::Stop => self.stop(self.budget.arrive).await,
            Command::Hurry { within_ms } => self.stop(Duration::from_millis(within_ms)).await,
            Command::Kill => {
                drop(self.server.lock().await.take());
                Ok(Outcome::Done)
            }
            // Executions are recorded synchronously.
            Command::Tell => Ok(Outcome::Done),
            Command::Send { number, request, nap_ms, timeout_ms, give_up_ms } => {
                let sending = self.send(Arguments { number, nap_ms }, &request, Duration::from_millis(timeout_ms));
                match give_up_ms.map(Duration::from_millis) {
                    None => sending.await,
                    Some(patience) => timeout(patience, sending).await.unwrap_or(Ok(Outcome::GivenUp)),
                }
            }
        };
        outcome.unwrap_or_else(|error| outcome_of(&error))
    }
}

impl RustActor {
    /// Fails if the server cannot subscribe within [`Budget::arrive`].
    async fn start(&self, place: usize, server: &Server) -> Result<Outcome> {
        let mut target = Target::topic(&server.topic).server(&server.name);
        target.exchange.clone_from(&server.exchange);
        let mut builder = RpcServer::builder(&self.bus, target).concurrency(server.concurrency);
        if server.at_least_once {
            builder = builder.at_least_once();
        }
        for interface in &server.interfaces {
            builder = builder.endpoint(endpoint(place, interface, &self.log));
        }
        let started = builder.start(Deadline::after(self.budget.arrive)).await?;
        *self.server.lock().await = Some(started);
        Ok(Outcome::Done)
    }

    /// Stops the server, with `within` until its methods are aborted. Succeeds if there is none.
    async fn stop(&self, within: Duration) -> Result<Outcome> {
        if let Some(server) = self.server.lock().await.take() {
            server.shutdown(Deadline::after(within)).await?;
        }
        Ok(Outcome::Done)
    }

    /// Returns [`Outcome::Returned`] for a call, [`Outcome::Done`] for a cast that the bus confirmed.
    ///
    /// Fails with the error of the call or cast, which [`outcome_of`] turns into an outcome.
    async fn send(&self, args: Arguments, request: &Request, timeout: Duration) -> Result<Outcome> {
        let mut target = Target::topic(&request.topic);
        target.exchange.clone_from(&request.exchange);
        target.server.clone_from(&request.server);
        target.namespace.clone_from(&request.namespace);
        target.version.clone_from(&request.version);
        target.fanout = request.kind == Kind::Fanout;
        let client = RpcClient::new(&self.bus, target).timeout(timeout).mandatory(request.mandatory);
        let (context, method) = (Context::new(), request.method.name());
        if request.kind != Kind::Call {
            client.cast(&context, method, &args).await?;
            return Ok(Outcome::Done);
        }
        let Answer { server, number } = client.call(&context, method, &args).await?;
        Ok(Outcome::Returned { server, number })
    }
}

/// The arguments of every method. Only `slow` reads `nap_ms`.
#[derive(Debug, Serialize, Deserialize)]
struct Arguments {
    number: usize,
    nap_ms: u64,
}

/// The answer of every method: it identifies the execution.
#[derive(Debug, Serialize, Deserialize)]
struct Answer {
    server: usize,
    number: usize,
}

/// The state of every method: the index of its server, and the history.
struct Place {
    server: usize,
    log: Log,
}

/// The failure of a method; its text is the number of the request.
struct Refusal(usize);

impl Exception for Refusal {
    fn failure(&self) -> Failure {
        Failure::new("builtins", program::FAILURE, self.0.to_string()).expected()
    }
}

impl Place {
    /// Records the begin of an execution with its mark, and makes its answer.
    fn run(&self, method: Method, context: &Context, number: usize) -> Answer {
        let redelivered = context.request().is_some_and(|request| request.redelivered);
        let run = Run { server: self.server, number, method: method.name().to_owned(), redelivered };
        self.log.note(Event::Ran(run));
        Answer { server: self.server, number }
    }

    /// Records the end of an execution, before its answer is sent.
    fn finish(&self, answer: Answer) -> Answer {
        self.log.note(Event::Finished { server: answer.server, number: answer.number });
        answer
    }

    async fn answer(self: Arc<Self>, context: Context, args: Arguments) -> Result<Answer, Refusal> {
        let answer = self.run(Method::Answer, &context, args.number);
        Ok(self.finish(answer))
    }

    /// Sleeps between begin and end; a drop in between leaves the execution unfinished.
    async fn slow(self: Arc<Self>, context: Context, args: Arguments) -> Result<Answer, Refusal> {
        let answer = self.run(Method::Slow, &context, args.number);
        sleep(Duration::from_millis(args.nap_ms)).await;
        Ok(self.finish(answer))
    }

    /// Its end is recorded before its failure is sent, as that of an answer.
    async fn fail(self: Arc<Self>, context: Context, args: Arguments) -> Result<Answer, Refusal> {
        let answer = self.run(Method::Fail, &context, args.number);
        Err(Refusal(self.finish(answer).number))
    }
}

/// The methods of one interface. [`Method::Missing`] is not among them.
fn endpoint(server: usize, interface: &Interface, log: &Log) -> Endpoint<Place> {
    let endpoint = Endpoint::new(Place { server, log: log.clone() }).version(&interface.version);
    let endpoint = match &interface.namespace {
        Some(namespace) => endpoint.namespace(namespace),
        None => endpoint,
    };
    endpoint
        .method(Method::Answer.name(), Place::answer)
        .method(Method::Slow.name(), Place::slow)
        .method(Method::Fail.name(), Place::fail)
}

/// The outcome of a failed command. Unexpected errors become [`Outcome::Broken`] with their text.
fn outcome_of(error: &Error) -> Outcome {
    match (error.kind(), error.remote()) {
        (ErrorKind::Remote, Some(remote)) => {
            Outcome::Raised { class: remote.class().to_owned(), message: remote.message().to_owned() }
        }
        (ErrorKind::Undeliverable, _) => Outcome::Undeliverable,
        (ErrorKind::Timeout, _) => Outcome::TimedOut,
        (ErrorKind::Disconnected, _) => Outcome::Disconnected { perhaps_sent: error.executed() != Executed::No },
        _ => Outcome::Broken { error: error.to_string() },
    }
}
