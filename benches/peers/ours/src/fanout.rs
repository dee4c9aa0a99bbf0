//! Casts to all servers of a topic, until each has run them all.

use load::{Arguments, Line};

use crate::PROGRAM;
use crate::bus::{connect, server};
use crate::cast::Cast;
use crate::echo::Echo;

/// Casts `--operations` times to `--servers` servers, by default 50.
pub async fn run(arguments: &Arguments) -> Line {
    let bus = connect(arguments).await;
    let echo = Echo::default();
    let copies = arguments.number("servers", 50);
    let mut servers = Vec::new();
    for n in 0..copies {
        servers.push(server(&bus, arguments, &format!("s{n}"), &echo).await);
    }
    load::consumed(PROGRAM, arguments, &echo.arrivals, copies, Cast::fanout(&bus, arguments)).await
}
