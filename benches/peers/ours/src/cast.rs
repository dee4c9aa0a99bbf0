//! Casts, until the server has run them all.

use std::sync::Arc;

use load::{Arguments, Line, Operation};
use oslo_messaging::{Bus, Context, RpcClient, Target};

use crate::PROGRAM;
use crate::bus::{connect, server};
use crate::echo::{Echo, Text};

/// A cast, which succeeds when the broker has confirmed it.
#[derive(Debug, Clone)]
pub struct Cast {
    client: RpcClient,
    text: Arc<Text>,
}

impl Cast {
    /// A cast to one server of the topic.
    pub fn new(bus: &Bus, arguments: &Arguments) -> Self {
        Self::with(RpcClient::new(bus, Target::topic(arguments.topic())), arguments)
    }

    /// A cast to all servers of the topic.
    pub fn fanout(bus: &Bus, arguments: &Arguments) -> Self {
        Self::with(RpcClient::new(bus, Target::topic(arguments.topic()).fanout()), arguments)
    }

    fn with(client: RpcClient, arguments: &Arguments) -> Self {
        Self { client, text: Arc::new(Text { s: arguments.payload() }) }
    }
}

impl Operation for Cast {
    async fn run(&self) -> bool {
        self.client.cast(&Context::new(), "note", &*self.text).await.is_ok()
    }
}

/// Casts `--operations` times.
pub async fn run(arguments: &Arguments) -> Line {
    let bus = connect(arguments).await;
    let echo = Echo::default();
    let _server = server(&bus, arguments, "s", &echo).await;
    load::consumed(PROGRAM, arguments, &echo.arrivals, 1, Cast::new(&bus, arguments)).await
}
