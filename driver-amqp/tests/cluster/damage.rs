//! Faults of the members of a cluster while workloads run.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use xtask::broker::Cluster;

use crate::cluster_workload::ClusterWorkload;
use crate::verdict::Verdict;
use testkit::stage::{ARRIVE, blocking, unique, url, within};

/// How many nodes: the fewest of which one may be missing.
const MEMBERS: usize = 3;
/// How long members are hurt, one after the other, unless the environment sets the seconds.
const USUAL_DURATION: Duration = Duration::from_secs(20);
const SECONDS: &str = "OSLO_TEST_CLUSTER_SECONDS";
/// How long the workloads run before, between and after the blows.
const UNHURT: Duration = Duration::from_secs(2);
/// How long the workloads may take to recover without a member, and again once it is back: ten times the usual and more.
const RECOVERY: Duration = Duration::from_secs(60);

/// The one cluster of this process: starting three nodes takes longer than what is done to them.
static CLUSTER: Mutex<Option<Cluster>> = Mutex::new(None);

/// Ends the cluster, if one runs, and removes its directories.
pub(crate) fn stop() {
    drop(CLUSTER.lock().unwrap_or_else(PoisonError::into_inner).take());
}

/// Kills the leader of the topic's queue, and starts it again once everything works without it.
pub(crate) async fn leaders_are_killed() {
    let kill = |cluster: &mut Cluster, target: Target| {
        let leader = target.leader(cluster);
        cluster.kill(leader).expect("it is killed");
        leader
    };
    scene("leaders killed", Blow { strike: kill, heal: restart }).await;
}

/// Shuts each member down in turn, and starts it again once everything works without it.
pub(crate) async fn members_are_restarted() {
    let shut_down = |cluster: &mut Cluster, target: Target| {
        let member = target.hit % MEMBERS;
        cluster.shut_down(member).expect("it stops");
        member
    };
    scene("members restarted", Blow { strike: shut_down, heal: restart }).await;
}

/// Cuts the leader of the topic's queue off from the others, so that it pauses, and lets it back once everything works without
/// it.
pub(crate) async fn leaders_are_cut_off() {
    let isolate = |cluster: &mut Cluster, target: Target| {
        let leader = target.leader(cluster);
        cluster.isolate(leader).expect("it pauses");
        leader
    };
    let rejoin = |cluster: &mut Cluster, member: usize| cluster.rejoin(member).expect("it joins the others again");
    scene("leaders cut off", Blow { strike: isolate, heal: rejoin }).await;
}

/// A fault of one member, and its end.
struct Blow {
    /// Hurts a member, and returns its number.
    strike: fn(&mut Cluster, Target) -> usize,
    heal: fn(&mut Cluster, usize),
}

/// What a blow is aimed at.
struct Target {
    /// How many blows came before.
    hit: usize,
    vhost: String,
    /// The queue of one of the workloads, in turn.
    topic: String,
}

impl Target {
    fn leader(&self, cluster: &Cluster) -> usize {
        cluster.leader(self.hit % MEMBERS, &self.vhost, &self.topic).expect("a leader")
    }
}

fn restart(cluster: &mut Cluster, member: usize) {
    cluster.restart(member).expect("it comes back");
}

/// Whether there is time for each member to be hurt once.
pub(crate) fn is_long() -> bool {
    duration() > USUAL_DURATION
}

/// How long members are hurt in each scenario.
pub(crate) fn duration() -> Duration {
    let seconds = std::env::var(SECONDS).ok();
    seconds.map_or(USUAL_DURATION, |seconds| Duration::from_secs(seconds.parse().expect("a number of seconds")))
}

/// Runs two workloads while members are hurt one after the other, and checks the verdict.
async fn scene(what: &'static str, blow: Blow) {
    let vhost = unique("v");
    let name = vhost.clone();
    let address = with(move |cluster| {
        cluster.node(0).add_vhost(&name).expect("a virtual host");
        url(&cluster.url(&name))
    })
    .await;
    let workloads = [ClusterWorkload::start(&address, true).await, ClusterWorkload::start(&address, false).await];
    let begun = Instant::now();
    let (done, mut verdict) = (AtomicBool::new(false), Verdict::default());
    let damage = async {
        sleep(UNHURT).await;
        while begun.elapsed() < duration() {
            let hit = verdict.with.len();
            let target = Target { hit, vhost: vhost.clone(), topic: workloads[hit % 2].topic().to_owned() };
            let struck_at = Instant::now();
            let member = with(move |cluster| (blow.strike)(cluster, target)).await;
            let hurt_at = Instant::now();
            tokio::join!(workloads[0].recovered(RECOVERY), workloads[1].recovered(RECOVERY));
            verdict.without.push(hurt_at.elapsed());
            with(move |cluster| (blow.heal)(cluster, member)).await;
            let back_at = Instant::now();
            tokio::join!(workloads[0].recovered(RECOVERY), workloads[1].recovered(RECOVERY));
            verdict.with.push(back_at.elapsed());
            // The next begins as soon as everything works without the member: it is one window until it is back.
            verdict.windows.push((struck_at, Instant::now()));
            sleep(UNHURT).await;
        }
        done.store(true, Ordering::Release);
    };
    tokio::join!(damage, workloads[0].work(&done), workloads[1].work(&done));
    verdict.lasted = begun.elapsed();
    let bare = bare(&vhost).await;
    for workload in workloads {
        workload.recovered(RECOVERY).await;
        let (workload_start, history) = workload.end(&bare).await;
        verdict.add(workload_start, &history);
    }
    eprintln!("{what}: {verdict}");
    verdict.check();
}

/// A client that sees what is in queues.
async fn bare(vhost: &str) -> lapin::Connection {
    let port = with(|cluster| cluster.node(0).port()).await;
    let address = format!("amqp://guest:guest@127.0.0.1:{port}/{vhost}");
    let connecting = lapin::Connection::connect(&address, lapin::ConnectionProperties::default());
    within(ARRIVE, "connect", connecting).await.expect("a bare connection")
}

/// Calls `act` with the cluster, which it starts if there is none.
async fn with<T: Send + 'static>(act: impl FnOnce(&mut Cluster) -> T + Send + 'static) -> T {
    blocking(|| {
        let mut cluster = CLUSTER.lock().unwrap_or_else(PoisonError::into_inner);
        act(cluster.get_or_insert_with(|| Cluster::start(MEMBERS).expect("a cluster")))
    })
    .await
}
