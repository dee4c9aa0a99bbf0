//! Faults of the connections and the node, one after the other, each until everything works again.

use std::time::Duration;

use tokio::time::{sleep, timeout};
use xtask::broker::Node;

use super::client::SoakClient;
use super::party::Parties;
use super::plan::Plan;
use super::progress::Progress;
use testkit::proxy;
use testkit::stage::blocking;
use testkit::workload::dice::Dice;
use testkit::workload::journal::Journal;
use testkit::workload::record::{Fault, FaultKind, FaultTarget, Record};

/// How long to wait until everything works before the fault counts as not recovered.
const GIVE_UP: Duration = Duration::from_secs(90);
/// How long a lost connection may take to be missed.
const NOTICED: Duration = Duration::from_secs(10);
/// How long to wait before everything is tried again.
const PAUSE: Duration = Duration::from_millis(100);
/// How often in a row everything must work.
const IN_A_ROW: usize = 3;
/// What a fault may take at most, so that none begins that would not be over in time.
const LONGEST: Duration = Duration::from_secs(30);

/// What a node can suffer, and the network to it.
const KINDS: usize = 6;
const TARGETS: &[FaultTarget] = &[FaultTarget::Client, FaultTarget::First, FaultTarget::Second, FaultTarget::All];

#[derive(Debug)]
pub(crate) struct Nemesis<'a> {
    pub(crate) node: Node,
    pub(crate) parties: &'a Parties,
    pub(crate) client: &'a SoakClient,
    pub(crate) journal: &'a Journal,
    pub(crate) progress: &'a Progress,
    pub(crate) dice: Dice,
}

impl Nemesis<'_> {
    /// Goes on until the time of `plan` is nearly over or, if `plan` is short, until each kind of fault has come once.
    /// Returns the node, whole.
    pub(crate) async fn rage(mut self, plan: &Plan) -> Node {
        let end = plan.length.saturating_sub(plan.calm());
        loop {
            // Every kind comes once before any comes again.
            let mut bag: Vec<usize> = (0..KINDS).collect();
            while !bag.is_empty() {
                let kind = bag.swap_remove(self.dice.below(bag.len()));
                let pause = if plan.is_short() { 300 } else { 5_000 + self.dice.below(15_000) as u64 };
                let pause = Duration::from_millis(pause);
                if !plan.is_short() && self.journal.now() + pause + LONGEST > end {
                    sleep(end.saturating_sub(self.journal.now())).await;
                    return self.node;
                }
                sleep(pause).await;
                let fault = self.throw(kind);
                self = self.hurt(fault, plan).await;
            }
            if plan.is_short() {
                return self.node;
            }
        }
    }

    fn throw(&mut self, kind: usize) -> FaultKind {
        match kind {
            0 => FaultKind::Cut(self.dice.one_of(TARGETS)),
            1 => FaultKind::Reset(self.dice.one_of(TARGETS)),
            2 => FaultKind::Kill,
            3 => FaultKind::Freeze,
            4 => FaultKind::Alarm,
            _ => FaultKind::CloseAll,
        }
    }

    /// Causes one fault, ends it, and waits until everything works.
    async fn hurt(mut self, kind: FaultKind, plan: &Plan) -> Self {
        let begun = self.journal.now();
        self.progress.note(&format!("{kind}"));
        let (target, duration) = (loses(kind), self.duration(kind, plan));
        let before = target.map(|target| self.parties.losses(target));
        self = self.strike(kind, duration).await;
        let over = self.journal.now();
        if let (Some(target), Some(before)) = (target, before) {
            self.noticed(kind, target, &before).await;
        }
        let recovered = timeout(GIVE_UP, self.everything_works()).await.is_ok();
        let closed = self.journal.now();
        let fault = Fault { kind, begun, over, closed, recovered };
        self.progress.note(&format!("{kind}: works again {:.1} s after", fault.recovery().as_secs_f64()));
        self.journal.write(Record::Fault(fault));
        self
    }

    async fn strike(mut self, kind: FaultKind, duration: Duration) -> Self {
        match kind {
            FaultKind::Cut(target) => self.parties.strike(target, proxy::Fault::Cut),
            FaultKind::Reset(target) => self.parties.strike(target, proxy::Fault::Reset),
            FaultKind::Kill => {
                let mut node = self.node;
                let restarting = blocking(move || {
                    node.kill().expect("it is dead");
                    node.restart().expect("it is back");
                    node
                });
                self.node = restarting.await;
            }
            FaultKind::Freeze => {
                let attached = self.node.attached().clone();
                let frozen = blocking(move || attached.pause().expect("it is frozen")).await;
                sleep(duration).await;
                drop(frozen);
            }
            FaultKind::Alarm => {
                let attached = self.node.attached().clone();
                let alarm = blocking(move || attached.memory_alarm().expect("an alarm")).await;
                sleep(duration).await;
                blocking(move || drop(alarm)).await;
            }
            FaultKind::CloseAll => {
                let attached = self.node.attached().clone();
                blocking(move || attached.close_all_connections("a soak").expect("they are closed")).await;
            }
        }
        self
    }

    /// How long a freeze or an alarm lasts.
    fn duration(&mut self, kind: FaultKind, plan: &Plan) -> Duration {
        let (least, more) = match kind {
            FaultKind::Freeze => (3_000, 5_000),
            FaultKind::Alarm => (1_000, 4_000),
            _ => return Duration::ZERO,
        };
        let more = if plan.is_short() { 0 } else { self.dice.below(more) as u64 };
        Duration::from_millis(least + more)
    }

    /// Waits until each party of `target` has noticed its loss: until then it may be answered as before.
    async fn noticed(&self, kind: FaultKind, target: FaultTarget, before: &[u64]) {
        let seen = async {
            while self.parties.losses(target).iter().zip(before).any(|(now, before)| now == before) {
                sleep(PAUSE / 5).await;
            }
        };
        if timeout(NOTICED, seen).await.is_err() {
            self.journal.trouble(format!("{kind}: not every loss was noticed within {NOTICED:?}"));
        }
    }

    async fn everything_works(&self) {
        let mut in_a_row = 0;
        while in_a_row < IN_A_ROW {
            in_a_row = if self.client.works().await { in_a_row + 1 } else { 0 };
            if in_a_row == 0 {
                sleep(PAUSE).await;
            }
        }
    }
}

/// The connections that certainly end.
fn loses(kind: FaultKind) -> Option<FaultTarget> {
    match kind {
        FaultKind::Cut(target) | FaultKind::Reset(target) => Some(target),
        FaultKind::Kill | FaultKind::CloseAll => Some(FaultTarget::All),
        FaultKind::Freeze | FaultKind::Alarm => None,
    }
}
