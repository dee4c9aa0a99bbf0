//! Servers whose every effect is recorded, for the cases of RPC.

use std::convert::Infallible;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use libtest_mimic::Failed;
use oslo_messaging::{Context, Endpoint, Exception, Failure, RpcClient, RpcServer, RpcServerBuilder, Target};
use serde::Deserialize;
use serde_json::Value;

use crate::{Outcome, Recorder, Stage};

/// Servers of one topic, each on a connection of its own, and a client on another.
pub(super) struct Group<'a> {
    stage: &'a Stage,
    servers: Vec<RpcServer>,
    /// What ran, at which server.
    pub(super) recorder: Recorder,
    /// A client of the topic.
    pub(super) client: RpcClient,
}

impl<'a> Group<'a> {
    /// Starts servers called `names` on a topic of this case.
    pub(super) async fn start(stage: &'a Stage, names: &[&str]) -> Result<Self, Failed> {
        Self::on(stage, Target::topic(stage.name("t")).exchange(stage.name("e")), names).await
    }

    /// Starts servers called `names` on the topic and exchange of `target`.
    pub(super) async fn on(stage: &'a Stage, target: Target, names: &[&str]) -> Result<Self, Failed> {
        Self::with(stage, target, names, |server| server).await
    }

    /// As [`on`](Self::on), with what `change` adds to each server.
    pub(super) async fn with(
        stage: &'a Stage,
        target: Target,
        names: &[&str],
        change: impl Fn(RpcServerBuilder) -> RpcServerBuilder,
    ) -> Result<Self, Failed> {
        let recorder = stage.recorder();
        let mut servers = Vec::new();
        for name in names {
            let builder = RpcServer::builder(&stage.bus().await?, target.clone().server(*name));
            let builder = change(builder.endpoint(Counter::endpoint(name, &recorder)));
            servers.push(builder.start(stage.soon()).await?);
        }
        let client = RpcClient::new(&stage.bus().await?, target).timeout(stage.budget().arrive);
        Ok(Self { stage, servers, recorder, client })
    }

    /// Stops every server, waits for its methods and ends.
    pub(super) async fn stop(self) -> Outcome {
        for server in self.servers {
            server.wait(self.stage.soon()).await?;
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
pub(super) struct Counter {
    name: String,
    recorder: Recorder,
    state: Mutex<(i64, String)>,
}

/// What the reference's endpoint raises in its place.
struct Negative;

impl Exception for Negative {
    fn failure(&self) -> Failure {
        Failure::new("builtins", "ValueError", "it cannot be negative").expected()
    }
}

#[derive(Deserialize)]
struct By {
    increment: i64,
}

#[derive(Deserialize)]
struct Text {
    text: String,
}

#[derive(Deserialize)]
struct Wait {
    ms: u64,
}

#[derive(Deserialize)]
struct Echo {
    value: Value,
}

impl Counter {
    fn endpoint(name: &str, recorder: &Recorder) -> Endpoint<Self> {
        let state = Self { name: name.to_owned(), recorder: recorder.clone(), state: Mutex::default() };
        Endpoint::new(state)
            .method("add", async |counter: Arc<Self>, _: Context, args: By| Ok::<_, Infallible>(counter.add(&args)))
            .method("subtract", async |counter: Arc<Self>, _: Context, args: By| counter.subtract(&args))
            .method("append", async |counter: Arc<Self>, _: Context, args: Text| {
                Ok::<_, Infallible>(counter.append(&args))
            })
            .method("wait", Self::wait)
            .method("panic", async |_: Arc<Self>, _: Context, (): ()| -> Result<(), Infallible> {
                panic!("on request")
            })
            .method("echo", async |_: Arc<Self>, _: Context, args: Echo| Ok::<_, Infallible>(args.value))
            .method("user", async |_: Arc<Self>, context: Context, (): ()| {
                Ok::<_, Infallible>(context.get::<String>("user"))
            })
    }

    fn add(&self, By { increment }: &By) -> i64 {
        self.recorder.record(&self.name, increment);
        let mut state = self.state();
        state.0 += increment;
        state.0
    }

    fn subtract(&self, By { increment }: &By) -> Result<i64, Negative> {
        let mut state = self.state();
        if state.0 < *increment {
            return Err(Negative);
        }
        self.recorder.record(&self.name, -increment);
        state.0 -= increment;
        Ok(state.0)
    }

    fn append(&self, Text { text }: &Text) -> String {
        self.recorder.record(&self.name, text);
        let mut state = self.state();
        state.1.push_str(text);
        state.1.clone()
    }

    async fn wait(self: Arc<Self>, _: Context, Wait { ms }: Wait) -> Result<u64, Infallible> {
        tokio::time::sleep(Duration::from_millis(ms)).await;
        self.recorder.record(&self.name, "waited");
        Ok(ms)
    }

    fn state(&self) -> MutexGuard<'_, (i64, String)> {
        self.state.lock().expect("no panic while it is held")
    }
}
