//! Who hurts connections and the node, one thing after the other, and waits each time until everything works again.

use std::time::Duration;

use tokio::time::{sleep, timeout};
use xtask::broker::Node;

use super::client::Client;
use super::party::Parties;
use super::plan::Plan;
use super::progress::Progress;
use testkit::proxy;
use testkit::stage::blocking;
use testkit::workload::dice::Dice;
use testkit::workload::journal::Journal;
use testkit::workload::record::{Fault, Hurt, Record, Whose};

/// How long everything may take to work again: twice the heartbeat and the longest pause between two tries to connect, with
/// room for a machine under load.
pub(crate) const RECOVERY: Duration = Duration::from_secs(30);
/// How long to go on trying after that.
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
const WHOSE: &[Whose] = &[Whose::Client, Whose::First, Whose::Second, Whose::Everybody];

#[derive(Debug)]
pub(crate) struct Nemesis<'a> {
    pub(crate) node: Node,
    pub(crate) parties: &'a Parties,
    pub(crate) client: &'a Client,
    pub(crate) journal: &'a Journal,
    pub(crate) progress: &'a Progress,
    pub(crate) dice: Dice,
}

impl Nemesis<'_> {
    /// Goes on until the time of `plan` is nearly over, or, if that is short, until each kind of fault has come once. Gives
    /// the node back, whole.
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
                let hurt = self.throw(kind);
                self = self.hurt(hurt, plan).await;
            }
            if plan.is_short() {
                return self.node;
            }
        }
    }

    fn throw(&mut self, kind: usize) -> Hurt {
        match kind {
            0 => Hurt::Cut(self.dice.one_of(WHOSE)),
            1 => Hurt::Reset(self.dice.one_of(WHOSE)),
            2 => Hurt::Kill,
            3 => Hurt::Freeze,
            4 => Hurt::Alarm,
            _ => Hurt::CloseAll,
        }
    }

    /// Does one thing, undoes it, and waits until everything works.
    async fn hurt(mut self, hurt: Hurt, plan: &Plan) -> Self {
        let begun = self.journal.now();
        self.progress.note(&format!("{hurt}"));
        let (whose, lasting) = (loses(hurt), self.lasting(hurt, plan));
        let before = whose.map(|whose| self.parties.losses(whose));
        self = self.strike(hurt, lasting).await;
        let over = self.journal.now();
        if let (Some(whose), Some(before)) = (whose, before) {
            self.noticed(hurt, whose, &before).await;
        }
        let recovered = timeout(GIVE_UP, self.everything_works()).await.is_ok();
        let closed = self.journal.now();
        let fault = Fault { hurt, begun, over, closed, recovered };
        self.progress.note(&format!("{hurt}: works again {:.1} s after", fault.recovery().as_secs_f64()));
        self.journal.write(Record::Fault(fault));
        self
    }

    async fn strike(mut self, hurt: Hurt, lasting: Duration) -> Self {
        match hurt {
            Hurt::Cut(whose) => self.parties.strike(whose, proxy::Fault::Cut),
            Hurt::Reset(whose) => self.parties.strike(whose, proxy::Fault::Reset),
            Hurt::Kill => {
                let mut node = self.node;
                let restarting = blocking(move || {
                    node.kill().expect("it is dead");
                    node.restart().expect("it is back");
                    node
                });
                self.node = restarting.await;
            }
            Hurt::Freeze => {
                let attached = self.node.attached().clone();
                let frozen = blocking(move || attached.pause().expect("it is frozen")).await;
                sleep(lasting).await;
                drop(frozen);
            }
            Hurt::Alarm => {
                let attached = self.node.attached().clone();
                let alarm = blocking(move || attached.memory_alarm().expect("an alarm")).await;
                sleep(lasting).await;
                blocking(move || drop(alarm)).await;
            }
            Hurt::CloseAll => {
                let attached = self.node.attached().clone();
                blocking(move || attached.close_all_connections("a soak").expect("they are closed")).await;
            }
        }
        self
    }

    /// How long what has a length lasts.
    fn lasting(&mut self, hurt: Hurt, plan: &Plan) -> Duration {
        let (least, more) = match hurt {
            Hurt::Freeze => (3_000, 5_000),
            Hurt::Alarm => (1_000, 4_000),
            _ => return Duration::ZERO,
        };
        let more = if plan.is_short() { 0 } else { self.dice.below(more) as u64 };
        Duration::from_millis(least + more)
    }

    /// Waits until everybody who has lost a connection has seen it: until then what is asked may be answered as before.
    async fn noticed(&self, hurt: Hurt, whose: Whose, before: &[u64]) {
        let seen = async {
            while self.parties.losses(whose).iter().zip(before).any(|(now, before)| now == before) {
                sleep(PAUSE / 5).await;
            }
        };
        if timeout(NOTICED, seen).await.is_err() {
            self.journal.trouble(format!("{hurt}: not everybody has seen it within {NOTICED:?}"));
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

/// Whose connections certainly do not survive it.
fn loses(hurt: Hurt) -> Option<Whose> {
    match hurt {
        Hurt::Cut(whose) | Hurt::Reset(whose) => Some(whose),
        Hurt::Kill | Hurt::CloseAll => Some(Whose::Everybody),
        Hurt::Freeze | Hurt::Alarm => None,
    }
}
