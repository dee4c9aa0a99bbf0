//! The cases of the conformance suite that cut connections, block publishers and restart the bus, on a node of their own:
//! once where queues are durable and once where they are quorum queues, or in the profiles that `OSLO_TEST_PROFILES` names.

#[path = "../harness/profile.rs"]
mod profile;
#[path = "../harness/relayed.rs"]
mod relayed;

use std::collections::BTreeSet;
use std::env;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use libtest_mimic::{Completion, Trial};
use oslo_messaging::{Deadline, Result, Transport};
use oslo_messaging_conformance::{Arguments, Budget, Disturbance, Harness, async_trait, cases, run};
use xtask::broker::{MemoryAlarm, Node, RABBIT_URL, REQUIRE_LIVE};
use xtask::profile::Profile;

use profile::{config, driver};
use relayed::Relayed;

/// The cases that disturb the bus, so that none stops running in silence.
const PINNED: &str = include_str!("expected.txt");
const AREA: &str = "disturb::";

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.filter.get_or_insert_with(|| AREA.to_owned());
    // The node is everybody's.
    arguments.test_threads = Some(1);
    if env::var_os(RABBIT_URL).is_none() {
        return ignored(&arguments);
    }
    if arguments.list {
        // What there is to run needs no node.
        let trials = disturbing().map(|id| Trial::test(id, || Err("it is only listed".into())));
        return libtest_mimic::run(&arguments, trials.collect()).exit_code();
    }
    let pinned: Vec<&str> = PINNED.lines().collect();
    let mut code = ExitCode::SUCCESS;
    if !disturbing().eq(pinned.iter().copied()) {
        eprintln!("pinned are {pinned:#?}, and there are {:#?}", disturbing().collect::<Vec<_>>());
        code = ExitCode::FAILURE;
    }
    let node = Arc::new(Mutex::new(Node::start().expect("a node")));
    let all = arguments.filter.as_deref() == Some(AREA);
    for profile in Profile::from_env(&[Profile::Durable, Profile::Quorum]).expect("profiles") {
        let node = Arc::clone(&node);
        let report = run(move || Disturbed::new(profile, Arc::clone(&node)), "", &arguments);
        let report = report.expect("the node is there");
        let passed = report.conclusion.num_passed;
        if !report.conforms() || (all && passed != pinned.len() as u64) {
            eprintln!("{profile}: {passed} of {} cases passed", pinned.len());
            code = ExitCode::FAILURE;
        }
    }
    code
}

/// The ids of the cases of the area, sorted.
fn disturbing() -> impl Iterator<Item = &'static str> {
    let ids: BTreeSet<&str> = cases().map(|case| case.id).filter(|id| id.starts_with(AREA)).collect();
    ids.into_iter()
}

/// The node, reached through a relay that is this harness's own.
struct Disturbed {
    profile: Profile,
    node: Arc<Mutex<Node>>,
    relayed: Relayed,
    alarm: Mutex<Option<MemoryAlarm>>,
}

impl Disturbed {
    fn new(profile: Profile, node: Arc<Mutex<Node>>) -> Self {
        let relayed = Relayed::to(lock(&node).attached().port());
        Self { profile, node, relayed, alarm: Mutex::default() }
    }
}

#[async_trait]
impl Harness for Disturbed {
    async fn transport(&self) -> Result<Arc<dyn Transport>> {
        self.relayed.connect(config(self.profile), Deadline::after(self.budget().arrive)).await
    }

    fn budget(&self) -> Budget {
        Budget { arrive: Duration::from_secs(60), ..Budget::default() }
    }

    fn driver(&self) -> String {
        let broker = lock(&self.node).attached().broker();
        driver([Some(broker.as_str()), Some("disturbed"), self.profile.remark()])
    }

    fn disturbances(&self) -> &'static [Disturbance] {
        &[Disturbance::Cut, Disturbance::Block, Disturbance::Restart]
    }

    async fn disturb(&self, what: Disturbance) -> std::result::Result<(), String> {
        match what {
            Disturbance::Cut => self.relayed.cut().await,
            Disturbance::Block => {
                let node = lock(&self.node).attached().clone();
                let alarm = blocking(move || node.memory_alarm()).await.map_err(|error| error.to_string())?;
                *lock(&self.alarm) = Some(alarm);
                Ok(())
            }
            Disturbance::Restart => {
                let node = lock(&self.node).attached().clone();
                let restart = move || node.rabbitmqctl(&["stop_app"]).and_then(|_| node.rabbitmqctl(&["start_app"]));
                self.relayed.lose(async { drop(blocking(restart).await.expect("it starts again")) }).await
            }
            _ => Err(format!("nothing here can {what}")),
        }
    }

    async fn calm(&self) -> std::result::Result<(), String> {
        let alarm = lock(&self.alarm).take();
        blocking(move || drop(alarm)).await;
        Ok(())
    }
}

/// One trial that says what is missing; where nothing may be skipped, it fails.
fn ignored(arguments: &Arguments) -> ExitCode {
    let required = [("CI", "true"), (REQUIRE_LIVE, "1")];
    let strict = required.iter().any(|(variable, value)| env::var(variable).is_ok_and(|is| is == *value));
    let trial = Trial::ignorable_test(format!("{AREA}all"), move || {
        let reason = "it needs RabbitMQ: run `cargo xtask test`";
        if strict { Err(reason.into()) } else { Ok(Completion::ignored_with(reason)) }
    });
    let trial = trial.with_ignored_flag(!strict && arguments.list);
    libtest_mimic::run(arguments, vec![trial]).exit_code()
}

async fn blocking<T: Send + 'static>(act: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(act).await.expect("it does not panic")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
