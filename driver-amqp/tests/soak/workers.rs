//! Tasks that keep the client busy, at full speed or at a pace.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::client::SoakClient;
use testkit::workload::dice::Dice;
use testkit::workload::journal::Journal;
use testkit::workload::record::{Kind, Paced};

/// How many operations are under way at once, at most: while all wait for a broker that is frozen, none begins.
const WORKERS: u32 = 64;
/// How many of them only cast, each to one server, so that its order can be seen.
const ORDERED: u32 = 8;
/// What the others do, so often in a hundred.
const MIX: &[(Kind, usize)] = &[
    (Kind::Call, 24),
    (Kind::Hasty, 10),
    (Kind::Once, 34),
    (Kind::Cast, 6),
    (Kind::Fanout, 4),
    (Kind::Notification, 20),
    (Kind::Undeliverable, 2),
];
/// The longest that a method takes, in milliseconds.
const LONGEST: usize = 10;
/// How far past its deadline an operation may end before the run goes on without it.
const LATE: Duration = Duration::from_secs(10);

/// How fast each of them is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    Full,
    Every(Duration),
    Stop,
}

/// The workers, at work. Dropping it aborts them.
#[derive(Debug)]
pub(crate) struct Workers {
    client: Arc<SoakClient>,
    pace: watch::Sender<Pace>,
    tasks: JoinSet<()>,
}

impl Workers {
    /// Has them start at full speed.
    pub(crate) fn start(client: &Arc<SoakClient>, dice: &mut Dice) -> Self {
        let (pace, paces) = watch::channel(Pace::Full);
        let mut tasks = JoinSet::new();
        for number in 0..WORKERS {
            let dice = Dice::new(dice.below(usize::MAX) as u64);
            tasks.spawn(work(number, Arc::clone(client), paces.clone(), dice));
        }
        Self { client: Arc::clone(client), pace, tasks }
    }

    /// Measures how much they do in `measuring`, and has them do half of it from then on.
    pub(crate) async fn measure(&self, measuring: Duration) -> Paced {
        // The first calls open what the later ones use.
        tokio::time::sleep(measuring / 4).await;
        let (begun, before) = (Instant::now(), self.client.attempted());
        tokio::time::sleep(measuring * 3 / 4).await;
        let done = f64::from(self.client.attempted() - before);
        let each = begun.elapsed().mul_f64(f64::from(WORKERS) * 2.0 / done.max(1.0));
        self.pace.send_replace(Pace::Every(each));
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some hundreds, and never negative")]
        let capacity = (done / begun.elapsed().as_secs_f64()) as u32;
        Paced { workers: WORKERS, capacity, pace: capacity / 2 }
    }

    /// Stops the workers once each has finished its operation; the journal names those that do not.
    pub(crate) async fn stop(mut self, timeout_of_each: Duration, journal: &Journal) {
        self.pace.send_replace(Pace::Stop);
        let ending = async {
            while let Some(ended) = self.tasks.join_next().await {
                if let Err(panic) = ended {
                    journal.trouble(format!("a worker panicked: {panic}"));
                }
            }
        };
        if timeout(timeout_of_each + LATE, ending).await.is_err() {
            journal.trouble(format!("{} workers do something that does not end", self.tasks.len()));
        }
    }
}

async fn work(number: u32, client: Arc<SoakClient>, mut paces: watch::Receiver<Pace>, mut dice: Dice) {
    let (mut next, mut sequence) = (None, 0);
    loop {
        let pace = *paces.borrow_and_update();
        match pace {
            Pace::Stop => return,
            Pace::Full => {}
            Pace::Every(each) => {
                // The first time they are spread over one interval; later, what was missed is not made up for.
                let turn = next.map_or_else(|| Instant::now() + each * number / WORKERS, |next| next + each);
                next = Some(turn.max(Instant::now()));
                tokio::select! {
                    () = sleep_until(turn) => {}
                    _ = paces.changed() => continue,
                }
            }
        }
        if number < ORDERED {
            client.cast_in_order(u8::from(number % 2 == 1), (number, sequence)).await;
            sequence += 1;
        } else {
            client.act(kind(dice.below(100)), dice.below(LONGEST + 1) as u64).await;
        }
    }
}

/// What a throw of `0..100` stands for.
fn kind(mut throw: usize) -> Kind {
    for (kind, share) in MIX {
        match throw.checked_sub(*share) {
            Some(rest) => throw = rest,
            None => return *kind,
        }
    }
    Kind::Call
}
