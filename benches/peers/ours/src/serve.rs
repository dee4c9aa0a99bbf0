//! A server for a client in another process.

use load::{Arguments, Line};

use crate::PROGRAM;
use crate::bus::{connect, server};
use crate::echo::Echo;

/// Serves until standard input ends.
pub async fn run(arguments: &Arguments) -> Line {
    let bus = connect(arguments).await;
    let _server = server(&bus, arguments, "s", &Echo::default()).await;
    load::until_input_ends().await;
    Line::new(PROGRAM, arguments)
}
