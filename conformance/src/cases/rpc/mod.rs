//! Helpers for the cases of RPC: servers that record every call.

pub(super) mod call;
pub(super) mod cast;
pub(super) mod life;
pub(super) mod reply;
pub(super) mod request;
pub(super) mod server;
pub(super) mod target;
pub(super) mod time;

use std::convert::Infallible;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use oslo_messaging::rpc::RpcServerBuilder;
use oslo_messaging::{Context, Endpoint, Exception, Failure, RpcClient, RpcServer, Target};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::{Failed, Outcome, Recorder, Stage};

/// Servers of one topic and a client, each on its own connection.
pub(super) struct Group<'a> {
    stage: &'a Stage,
    /// In the order of the names.
    pub(super) servers: Vec<RpcServer>,
    /// Each server records its calls under its own name.
    pub(super) recorder: Recorder,
    /// Its target names no server; its calls time out after `Budget::arrive`.
    pub(super) client: RpcClient,
    /// Gates the method `hold`: one permit releases one call.
    pub(super) gate: Arc<Semaphore>,
}

impl<'a> Group<'a> {
    /// Starts a server for each of `names` on topic `t` of exchange `e`, both made unique.
    pub(super) async fn start(stage: &'a Stage, names: &[&str]) -> Result<Self, Failed> {
        Self::on(stage, Target::topic(stage.name("t")).exchange(stage.name("e")), names).await
    }

    /// Starts the servers one after the other; all of them take requests when this returns.
    pub(super) async fn on(stage: &'a Stage, target: Target, names: &[&str]) -> Result<Self, Failed> {
        Self::with(stage, target, names, |server| server).await
    }

    /// [`on`](Self::on), with each builder changed by `change`.
    pub(super) async fn with(
        stage: &'a Stage,
        target: Target,
        names: &[&str],
        change: impl Fn(RpcServerBuilder) -> RpcServerBuilder,
    ) -> Result<Self, Failed> {
        let (recorder, gate) = (stage.recorder(), Arc::new(Semaphore::new(0)));
        let mut servers = Vec::new();
        for name in names {
            let builder = RpcServer::builder(&stage.bus().await?, target.clone().server(*name));
            let builder = change(builder.endpoint(Counter::endpoint(name, &recorder, &gate)));
            servers.push(builder.start(stage.soon()).await?);
        }
        let client = RpcClient::new(&stage.bus().await?, target).timeout(stage.budget().arrive);
        Ok(Self { stage, servers, recorder, client, gate })
    }

    /// Stops one server after the other; each has `Budget::arrive` to end its methods.
    pub(super) async fn stop(self) -> Outcome {
        for server in self.servers {
            server.shutdown(self.stage.soon()).await?;
        }
        Ok(())
    }
}

impl fmt::Debug for Group<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group").field("servers", &self.servers).finish_non_exhaustive()
    }
}

/// The endpoint of the reference's functional tests: a number, a text, and a method that takes its time.
/// Each server has its own state, so a result shows which server ran the method.
pub(super) struct Counter {
    /// The name under which the recorder lists the calls of this server.
    name: String,
    recorder: Recorder,
    /// Has no permit at first, so that `hold` waits until the case adds one.
    gate: Arc<Semaphore>,
    /// The number of `add` and `subtract`, and the text of `append`.
    state: Mutex<(i64, String)>,
}

/// Records that a method was aborted, unless the method marks it as ended.
struct Abort<'a> {
    counter: &'a Counter,
    /// Set by the method after its last await. If it is still false in `drop`, the future was dropped before its end.
    ended: bool,
}

impl Drop for Abort<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.counter.recorder.record(&self.counter.name, "aborted");
        }
    }
}

/// An expected `ValueError`, as the reference's endpoint raises it.
struct Negative;

impl Exception for Negative {
    fn failure(&self) -> Failure {
        Failure::new("builtins", "ValueError", "it cannot be negative").expected()
    }
}

/// Arguments of `add` and `subtract`, which change the number of the endpoint.
#[derive(Deserialize)]
struct By {
    increment: i64,
}

/// Arguments of `append`, which adds a text to the state of the endpoint.
#[derive(Deserialize)]
struct Text {
    text: String,
}

/// Arguments of `wait`, which returns after a sleep.
#[derive(Deserialize)]
struct Wait {
    /// How long the method sleeps, in milliseconds.
    ms: u64,
}

/// Arguments of `echo`, which returns the value unchanged.
#[derive(Deserialize)]
struct Echo {
    value: Value,
}

impl Counter {
    /// Records calls under `name`; `hold` waits for a permit of `gate`.
    pub(super) fn endpoint(name: &str, recorder: &Recorder, gate: &Arc<Semaphore>) -> Endpoint<Self> {
        let state =
            Self { name: name.to_owned(), recorder: recorder.clone(), gate: Arc::clone(gate), state: Mutex::default() };
        Endpoint::new(state)
            .method("add", async |counter: Arc<Self>, _: Context, args: By| Ok::<_, Infallible>(counter.add(&args)))
            .method("subtract", async |counter: Arc<Self>, _: Context, args: By| counter.subtract(&args))
            .method("append", async |counter: Arc<Self>, _: Context, args: Text| {
                Ok::<_, Infallible>(counter.append(&args))
            })
            .method("wait", Self::wait)
            .method("hold", Self::hold)
            .method("panic", async |_: Arc<Self>, _: Context, (): ()| -> Result<(), Infallible> {
                panic!("on request")
            })
            .method("echo", async |_: Arc<Self>, _: Context, args: Echo| Ok::<_, Infallible>(args.value))
            .method("user", async |_: Arc<Self>, context: Context, (): ()| {
                Ok::<_, Infallible>(context.get::<String>("user"))
            })
            .method("redelivered", async |_: Arc<Self>, context: Context, (): ()| {
                Ok::<_, Infallible>(context.request().is_some_and(|request| request.redelivered))
            })
            .method("names", async |_: Arc<Self>, context: Context, (): ()| {
                Ok::<_, Infallible>(context.values().map(|(name, _)| name.to_owned()).collect::<Vec<_>>())
            })
    }

    /// Records the increment, and returns the new number.
    fn add(&self, By { increment }: &By) -> i64 {
        self.recorder.record(&self.name, increment);
        let mut state = self.state();
        state.0 += increment;
        state.0
    }

    /// Fails with `ValueError` if the result would be negative.
    fn subtract(&self, By { increment }: &By) -> Result<i64, Negative> {
        let mut state = self.state();
        if state.0 < *increment {
            return Err(Negative);
        }
        self.recorder.record(&self.name, -increment);
        state.0 -= increment;
        Ok(state.0)
    }

    /// Appends to the text of this server and returns the whole of it. Records what was appended.
    fn append(&self, Text { text }: &Text) -> String {
        self.recorder.record(&self.name, text);
        let mut state = self.state();
        state.1.push_str(text);
        state.1.clone()
    }

    /// Returns after `ms` milliseconds and records that.
    async fn wait(self: Arc<Self>, _: Context, Wait { ms }: Wait) -> Result<u64, Infallible> {
        tokio::time::sleep(Duration::from_millis(ms)).await;
        self.recorder.record(&self.name, "waited");
        Ok(ms)
    }

    /// Records its begin, waits for the gate, records its end and returns the name of its server.
    async fn hold(self: Arc<Self>, _: Context, (): ()) -> Result<String, Infallible> {
        self.recorder.record(&self.name, "began");
        let mut abort = Abort { counter: &self, ended: false };
        self.gate.acquire().await.expect("the gate is never closed").forget();
        abort.ended = true;
        self.recorder.record(&self.name, "ended");
        Ok(self.name.clone())
    }

    /// No method holds this lock over an await point.
    fn state(&self) -> MutexGuard<'_, (i64, String)> {
        self.state.lock().expect("no panic while it is held")
    }
}
