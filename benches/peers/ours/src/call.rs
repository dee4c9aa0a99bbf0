//! Calls: for a time, or so many.

use std::sync::Arc;

use load::{Arguments, Line, Operation};
use oslo_messaging::{Bus, Context, RpcClient, RpcServer, Target};

use crate::PROGRAM;
use crate::bus::{connect, server};
use crate::echo::{Echo, Text};

/// A call, which succeeds if it brings its argument back.
#[derive(Debug, Clone)]
pub struct Call {
    client: RpcClient,
    text: Arc<Text>,
}

impl Call {
    /// A call at the topic of the arguments.
    pub fn new(bus: &Bus, arguments: &Arguments) -> Self {
        Self::at(bus, arguments.topic(), arguments)
    }

    /// A call at `topic`.
    pub fn at(bus: &Bus, topic: String, arguments: &Arguments) -> Self {
        Self { client: RpcClient::new(bus, Target::topic(topic)), text: Arc::new(Text { s: arguments.payload() }) }
    }
}

impl Operation for Call {
    async fn run(&self) -> bool {
        match self.client.call::<String>(&Context::new(), "echo", &*self.text).await {
            Ok(back) => back.len() == self.text.s.len(),
            Err(error) => {
                eprintln!("{error}");
                false
            }
        }
    }
}

/// Calls for a time. With `--role client` a server elsewhere answers; `--servers` servers of this process share the topic.
pub async fn driven(arguments: &Arguments) -> Line {
    let bus = connect(arguments).await;
    let _servers = servers(&bus, arguments).await;
    load::drive(PROGRAM, arguments, Call::new(&bus, arguments)).await
}

/// A number of calls, for what is counted and not timed.
pub async fn counted(arguments: &Arguments) -> Line {
    let bus = connect(arguments).await;
    let _servers = servers(&bus, arguments).await;
    load::counted(PROGRAM, arguments, Call::new(&bus, arguments)).await
}

async fn servers(bus: &Bus, arguments: &Arguments) -> Vec<RpcServer> {
    let number = if arguments.text("role", "both") == "client" { 0 } else { arguments.number("servers", 1) };
    let echo = Echo::default();
    let mut servers = Vec::new();
    for n in 0..number {
        servers.push(server(bus, arguments, &format!("s{n}"), &echo).await);
    }
    servers
}
