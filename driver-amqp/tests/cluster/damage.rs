//! What happens to the members of a cluster while a bus is at work.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use xtask::broker::Cluster;

use crate::cluster_workload::Troupe;
use crate::verdict::Verdict;
use testkit::stage::{ARRIVE, blocking, unique, url, within};

/// How many nodes: the fewest of which one may be missing.
const MEMBERS: usize = 3;
/// How long members are hurt, one after the other, unless the environment says how many seconds.
const LASTING: Duration = Duration::from_secs(20);
const SECONDS: &str = "OSLO_TEST_CLUSTER_SECONDS";
/// How long everybody works before, between and after what happens.
const UNHURT: Duration = Duration::from_secs(2);
/// How long everything may take to work without a member, and again once it is back: far over ten times what it takes.
const RECOVERY: Duration = Duration::from_secs(60);

/// The one cluster of this process: starting three nodes takes longer than what is done to them.
static CLUSTER: Mutex<Option<Cluster>> = Mutex::new(None);

/// Has whatever runs end, and its directories removed.
pub(crate) fn stop() {
    drop(CLUSTER.lock().unwrap_or_else(PoisonError::into_inner).take());
}

/// Whoever leads the topic's queue is killed, and started again once everything works without it.
pub(crate) async fn leaders_are_killed() {
    let kill = |cluster: &mut Cluster, target: Target| {
        let leader = target.leader(cluster);
        cluster.kill(leader).expect("it is killed");
        leader
    };
    scene("leaders killed", Blow { strike: kill, heal: restart }).await;
}

/// Each member in turn is shut down, and started again once everything works without it.
pub(crate) async fn members_are_restarted() {
    let shut_down = |cluster: &mut Cluster, target: Target| {
        let member = target.hit % MEMBERS;
        cluster.shut_down(member).expect("it stops");
        member
    };
    scene("members restarted", Blow { strike: shut_down, heal: restart }).await;
}

/// Whoever leads the topic's queue is cut off from the others and pauses, and is let back once everything works without it.
pub(crate) async fn leaders_are_cut_off() {
    let isolate = |cluster: &mut Cluster, target: Target| {
        let leader = target.leader(cluster);
        cluster.isolate(leader).expect("it pauses");
        leader
    };
    let rejoin = |cluster: &mut Cluster, member: usize| cluster.rejoin(member).expect("it joins the others again");
    scene("leaders cut off", Blow { strike: isolate, heal: rejoin }).await;
}

/// What happens to one member at a time.
struct Blow {
    /// Hurts one, and says which.
    strike: fn(&mut Cluster, Target) -> usize,
    heal: fn(&mut Cluster, usize),
}

/// What a blow may be aimed at.
struct Target {
    /// How many blows there were.
    hit: usize,
    vhost: String,
    /// The queue of one of the troupes, by turns.
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

/// Whether everybody who is hurt in turn has a turn.
pub(crate) fn is_long() -> bool {
    lasting() > LASTING
}

/// How long members are hurt in each scenario.
pub(crate) fn lasting() -> Duration {
    let seconds = std::env::var(SECONDS).ok();
    seconds.map_or(LASTING, |seconds| Duration::from_secs(seconds.parse().expect("a number of seconds")))
}

/// Lets two troupes work while members are hurt one after the other, and judges.
async fn scene(what: &'static str, blow: Blow) {
    let vhost = unique("v");
    let name = vhost.clone();
    let address = with(move |cluster| {
        cluster.node(0).add_vhost(&name).expect("a virtual host");
        url(&cluster.url(&name))
    })
    .await;
    let troupes = [Troupe::start(&address, true).await, Troupe::start(&address, false).await];
    let begun = Instant::now();
    let (done, mut verdict) = (AtomicBool::new(false), Verdict::default());
    let damage = async {
        sleep(UNHURT).await;
        while begun.elapsed() < lasting() {
            let hit = verdict.with.len();
            let target = Target { hit, vhost: vhost.clone(), topic: troupes[hit % 2].topic().to_owned() };
            let struck_at = Instant::now();
            let member = with(move |cluster| (blow.strike)(cluster, target)).await;
            let hurt_at = Instant::now();
            tokio::join!(troupes[0].recovered(RECOVERY), troupes[1].recovered(RECOVERY));
            verdict.without.push(hurt_at.elapsed());
            with(move |cluster| (blow.heal)(cluster, member)).await;
            let back_at = Instant::now();
            tokio::join!(troupes[0].recovered(RECOVERY), troupes[1].recovered(RECOVERY));
            verdict.with.push(back_at.elapsed());
            // The next begins as soon as everything works without the member: it is one window until it is back.
            verdict.windows.push((struck_at, Instant::now()));
            sleep(UNHURT).await;
        }
        done.store(true, Ordering::Release);
    };
    tokio::join!(damage, troupes[0].work(&done), troupes[1].work(&done));
    verdict.lasted = begun.elapsed();
    let bare = bare(&vhost).await;
    for troupe in troupes {
        troupe.recovered(RECOVERY).await;
        verdict.add(&troupe.end(&bare).await);
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

/// Does something with the cluster, which it starts if there is none.
async fn with<T: Send + 'static>(act: impl FnOnce(&mut Cluster) -> T + Send + 'static) -> T {
    blocking(|| {
        let mut cluster = CLUSTER.lock().unwrap_or_else(PoisonError::into_inner);
        act(cluster.get_or_insert_with(|| Cluster::start(MEMBERS).expect("a cluster")))
    })
    .await
}
