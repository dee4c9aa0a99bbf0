//! One run: it starts a node and a workload, causes faults, and checks at the end what is left in the queues.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use oslo_messaging::{NotificationListener, RpcServer};
use tokio::time::{interval, sleep, timeout};
use tokio_util::task::AbortOnDropHandle;
use xtask::broker::Node;

use super::client::{EVENTS, ONCE, SoakClient, TOPIC};
use super::gauge;
use super::nemesis::Nemesis;
use super::party::Parties;
use super::plan::Plan;
use super::progress::Progress;
use super::workers::Workers;
use testkit::stage::{Stage, blocking, soon};
use testkit::workload::dice::Dice;
use testkit::workload::journal::Journal;
use testkit::workload::queues::{Emptied, drain};
use testkit::workload::record::{Begun, Over, Record};
use testkit::workload::servers::{listen, serve, shared_queues};

/// How often the usage of the process is sampled.
const SAMPLING: Duration = Duration::from_secs(1);
/// How long everything that was confirmed may take to come out in the end.
const OUT: Duration = Duration::from_secs(60);

/// Runs as `plan` says, and records everything in the file that it names.
///
/// # Errors
/// When the file cannot be written.
///
/// # Panics
/// When there is no node, or it does not come back.
pub(crate) async fn run(plan: &Plan) -> io::Result<()> {
    let (journal, writing) = Journal::begin(&plan.history)?;
    let Plan { seed, length, queues, .. } = *plan;
    journal.write(Record::Begun(Begun { seed, seconds: length.as_secs(), queues }));
    let progress = Arc::new(Progress::new(length));
    soak(plan, &journal, &progress).await;
    drop(journal);
    writing.finish()
}

async fn soak(plan: &Plan, journal: &Journal, progress: &Arc<Progress>) {
    let node = blocking(|| Node::start().expect("a node")).await;
    let stage = Stage::on(node.attached().clone()).await;
    let parties = Parties::connect(&stage, plan).await.expect("a node that has just started");
    let [own, first, second] = parties.buses();
    let mut servers = Vec::new();
    for (topic, refusing) in [(TOPIC, false), (ONCE, true)] {
        for (number, bus) in [(0, first), (1, second)] {
            servers.push(serve(bus, topic, number, refusing, journal).await.expect("the queues are new"));
        }
    }
    let listener = listen(first, EVENTS, journal).await.expect("the queue is new");
    let client = Arc::new(SoakClient::new(own, plan.timeout(), journal));
    let mut dice = Dice::new(plan.seed);

    let sampling =
        AbortOnDropHandle::new(tokio::spawn(sample(journal.clone(), Arc::clone(&client), Arc::clone(progress))));
    let workers = Workers::start(&client, &mut dice);
    let paced = workers.measure(plan.measuring()).await;
    progress.note(&format!("{} operations a second at most, {} from now on", paced.capacity, paced.pace));
    journal.write(Record::Paced(paced));
    let nemesis = Nemesis { node, parties: &parties, client: &client, journal, progress, dice };
    let node = nemesis.rage(plan).await;
    sleep(plan.length.saturating_sub(journal.now()).max(plan.calm())).await;
    workers.stop(plan.timeout(), journal).await;
    drop(sampling);

    come_out(&stage, journal).await;
    end(servers, listener, &parties, journal).await;
    look(&stage, journal).await;
    let attempted = client.attempted();
    journal.write(Record::Over(Over { at: journal.now(), attempted }));
    put_away(node, journal).await;
}

/// Writes down what the process holds, again and again.
async fn sample(journal: Journal, client: Arc<SoakClient>, progress: Arc<Progress>) {
    let mut ticks = interval(SAMPLING);
    loop {
        ticks.tick().await;
        let now = journal.now();
        journal.write(Record::Sample(gauge::sample(now)));
        progress.at(now, client.attempted(), client.failed());
    }
}

/// Waits until no queue holds anything any more.
async fn come_out(stage: &Stage, journal: &Journal) {
    let held = |stage: &Stage| {
        let queues = stage.node.queues(&stage.vhost).expect("the node is whole");
        queues.iter().filter_map(|queue| queue["messages"].as_u64()).sum::<u64>()
    };
    let coming_out = async {
        while stage.control(held).await > 0 {
            sleep(Duration::from_millis(100)).await;
        }
    };
    if timeout(OUT, coming_out).await.is_err() {
        journal.trouble(format!("queues still hold something after {OUT:?}"));
    }
}

async fn end(servers: Vec<RpcServer>, listener: NotificationListener, parties: &Parties, journal: &Journal) {
    for server in servers {
        let target = server.target().to_string();
        if let Err(error) = server.shutdown(soon()).await {
            journal.trouble(format!("the server {target} did not end well: {error}"));
        }
    }
    if let Err(error) = listener.shutdown(soon()).await {
        journal.trouble(format!("the listener did not end well: {error}"));
    }
    for bus in parties.buses() {
        if let Err(error) = bus.close(soon()).await {
            journal.trouble(format!("a bus did not close well: {error}"));
        }
    }
}

/// Writes down what lies in the queues that outlive their readers.
async fn look(stage: &Stage, journal: &Journal) {
    let bare = stage.bare().await;
    let there = stage.queue_names().await;
    let events = [format!("{EVENTS}.info"), format!("{EVENTS}.info.dead")];
    let mut queues = [&shared_queues(TOPIC)[..], &shared_queues(ONCE), &events].concat();
    queues.retain(|queue| there.contains(queue));
    for number in drain(&bare, &queues, Emptied::Stays).await {
        match number {
            Some(number) => journal.write(Record::Left(number)),
            None => journal.trouble("a shared queue holds a message that no client sent"),
        }
    }
}

async fn put_away(node: Node, journal: &Journal) {
    if let Err(error) = blocking(move || node.stop()).await {
        journal.trouble(format!("the node did not stop: {error:#}"));
    }
}
