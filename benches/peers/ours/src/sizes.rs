//! The bytes of the futures that a program awaits.

use load::{Arguments, Line};
use oslo_messaging::{Context, Notifier, RpcClient, Target};

use crate::PROGRAM;
use crate::bus::connect;
use crate::echo::Text;

/// Makes the futures and drops them: nothing is sent.
pub async fn run(arguments: &Arguments) -> Line {
    let bus = connect(arguments).await;
    let client = RpcClient::new(&bus, Target::topic(arguments.topic()));
    let notifier = Notifier::new(&bus, "bench.host");
    let (context, text) = (Context::new(), Text { s: arguments.payload() });
    Line::new(PROGRAM, arguments)
        .with("call_future_bytes", size_of_val(&client.call::<String>(&context, "echo", &text)))
        .with("cast_future_bytes", size_of_val(&client.cast(&context, "note", &text)))
        .with("notify_future_bytes", size_of_val(&notifier.info(&context, "bench.event", &text)))
}
