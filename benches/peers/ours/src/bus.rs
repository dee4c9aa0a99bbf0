//! The bus and the servers on it.

use std::time::Duration;

use load::Arguments;
use oslo_messaging::{Bus, Deadline, Registry, Result, RpcServer, Target};
use oslo_messaging_amqp::AmqpConnector;
use oslo_messaging_fake::FakeBroker;

use crate::echo::Echo;

/// A bus to the broker that the arguments name, or to one in memory.
pub async fn connect(arguments: &Arguments) -> Bus {
    let broker = arguments.text("broker", "");
    if broker.is_empty() {
        return Bus::new(FakeBroker::new().transport());
    }
    let registry = Registry::new().register(AmqpConnector::default());
    let url = format!("rabbit://guest:guest@{broker}/{}", arguments.text("query", ""));
    Bus::connect(&url, &registry, soon()).await.expect("the broker is reachable")
}

/// Starts a server of `echo` at the topic of the arguments.
pub async fn server(bus: &Bus, arguments: &Arguments, name: &str, echo: &Echo) -> RpcServer {
    server_at(bus, arguments.topic(), name, echo).await.expect("the server starts")
}

/// Starts a server of `echo` at `topic`.
///
/// # Errors
/// Those of the start.
pub async fn server_at(bus: &Bus, topic: String, name: &str, echo: &Echo) -> Result<RpcServer> {
    let builder = RpcServer::builder(bus, Target::topic(topic).server(name)).endpoint(echo.endpoint());
    builder.start(soon()).await
}

/// Enough for a step of the preparation.
pub fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(120))
}
