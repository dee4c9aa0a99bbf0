//! Generated programs on a node of their own with durable queues, in which the broker is restarted where other programs lose
//! connections: everything that was confirmed is there afterwards.

use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use oslo_messaging::Result;
use oslo_messaging::driver::Transport;
use oslo_messaging_conformance::programs::{self, Plan};
use oslo_messaging_conformance::{Budget, Disturbance, Harness, async_trait};
use xtask::broker::{Node, RABBIT_URL};
use xtask::profile::Profile;

use testkit::harness::disturbed::Disturbed;

/// How many programs of each kind. About every third has a restart, which takes some seconds.
const PROGRAMS: u64 = 8;

/// Started by the first program: listing the programs needs none.
static NODE: LazyLock<Arc<Mutex<Node>>> = LazyLock::new(|| Arc::new(Mutex::new(Node::start().expect("a node"))));
static RESTARTS: AtomicUsize = AtomicUsize::new(0);

fn main() -> ExitCode {
    // A restart affects every program on the node.
    let plan = Plan::from(PROGRAMS).one_at_a_time();
    if std::env::var_os(RABBIT_URL).is_none() {
        return programs::ignore_all(plan, &format!("{RABBIT_URL} is not set"));
    }
    let code = programs::main(|| Restarted(Disturbed::new(Profile::Durable, Arc::clone(&NODE))), plan);
    if std::env::args().len() == 1 && RESTARTS.load(Ordering::Relaxed) == 0 {
        eprintln!("no program had a restart");
        return ExitCode::FAILURE;
    }
    code
}

/// A node that ends and starts again where another harness only loses connections.
#[derive(Debug)]
struct Restarted(Disturbed);

#[async_trait]
impl Harness for Restarted {
    async fn transport(&self) -> Result<Arc<dyn Transport>> {
        self.0.transport().await
    }

    /// Longer than a link takes that is tried for after the longest pause, and a queue that is declared on it; but a program that
    /// has lost something waits that long for it, so not much longer.
    fn budget(&self) -> Budget {
        Budget { arrive: Duration::from_secs(30), ..self.0.budget() }
    }

    fn driver(&self) -> String {
        self.0.driver()
    }

    fn disturbances(&self) -> &'static [Disturbance] {
        &[Disturbance::Cut]
    }

    async fn disturb(&self, what: Disturbance) -> std::result::Result<(), String> {
        match what {
            Disturbance::Cut => {
                RESTARTS.fetch_add(1, Ordering::Relaxed);
                self.0.disturb(Disturbance::Restart).await
            }
            other => self.0.disturb(other).await,
        }
    }
}
