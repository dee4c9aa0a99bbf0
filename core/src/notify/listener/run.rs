//! Works on events until each is settled: every endpoint in turn, then the next try or the end.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use metrics::counter;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;
use tracing::{debug, error, warn};

use super::given_up::Identity;
use super::halt::{Halt, Halted};
use super::hand::{Left, hand};
use super::later::{Later, Then};
use super::mover::{Mover, PendingMove};
use super::requeues::Requeues;
use super::unit::{Group, Item, Unit, groups};
use crate::delivery::Delivery;
use crate::notify::dead_letter::{DeadLetterInfo, DeadReason};
use crate::notify::endpoint::Table;
use crate::notify::{Event, FailurePolicy};
use crate::{Error, Failure};

/// What all events of a listener are worked on with.
#[derive(Debug)]
pub(super) struct Runner {
    pub(super) endpoints: Vec<Table>,
    pub(super) policy: FailurePolicy,
    pub(super) mover: Arc<Mover>,
    pub(super) requeues: Mutex<Requeues>,
    /// Handlers that may run at once.
    pub(super) permits: Arc<Semaphore>,
    /// Events that may wait, for their next try or to be given back: half of the window, so that the other half goes on.
    pub(super) room: Arc<Semaphore>,
    pub(super) halt: Halt,
}

/// What is done next with events that are not settled yet.
enum Step {
    /// They get room to wait in.
    Crowd(Vec<Later>, OwnedSemaphorePermit),
    /// They wait, in their room.
    Wait(Later, OwnedSemaphorePermit),
    Move(PendingMove),
}

impl Runner {
    /// A permit to run one handler; it ends with the handler.
    pub(super) async fn permit(&self) -> OwnedSemaphorePermit {
        Arc::clone(&self.permits).acquire_owned().await.expect("the semaphore is never closed")
    }

    /// How many handlers may be started now, and 1 at least.
    pub(super) fn free(&self) -> NonZeroUsize {
        NonZeroUsize::new(self.permits.available_permits()).unwrap_or(NonZeroUsize::MIN)
    }

    /// Works on the events until each is settled.
    pub(super) async fn run(self: Arc<Self>, unit: Unit, permit: OwnedSemaphorePermit) {
        let later = self.attempt(unit).await;
        let mut steps: FuturesUnordered<_> =
            next_steps(later, permit).into_iter().map(|step| self.go_on(step)).collect();
        while let Some(next) = steps.next().await {
            steps.extend(next.into_iter().map(|step| self.go_on(step)));
        }
    }

    /// Moves a message that is no notification out of the way.
    pub(super) async fn run_undecodable(self: Arc<Self>, delivery: Delivery, error: Error) {
        counter!("oslo_messaging_undecodable_total").increment(1);
        warn!(%error, queue = ?delivery.message().queue, "a notification that cannot be read");
        let info = DeadLetterInfo::of_error(delivery.message(), DeadReason::Undecodable, 0, &error);
        self.run_given_up(given_up(delivery, info)).await;
    }

    /// Moves an event that the broker would drop if its handler failed once more.
    pub(super) async fn run_last(self: Arc<Self>, delivery: Delivery) {
        warn!(
            queue = ?delivery.message().queue, count = ?delivery.delivery_count(),
            "an event has reached the delivery limit of its queue and is given up"
        );
        let info = DeadLetterInfo::of_limit(&delivery);
        self.run_given_up(given_up(delivery, info)).await;
    }

    /// Moves an event that was given up before.
    pub(super) async fn run_given_up(&self, event: PendingMove) {
        self.mover.run(event).await;
    }

    /// Goes one step on with events that are not settled; what is left of them then is returned.
    async fn go_on(&self, step: Step) -> Vec<Step> {
        match step {
            Step::Crowd(later, permit) => self.make_room(later, permit).await,
            Step::Wait(later, room) => self.wait(later, room).await,
            Step::Move(event) => {
                self.mover.run(event).await;
                Vec::new()
            }
        }
    }

    /// Gets `later` room to wait in; gives them back instead if the listener takes no more events. The permit is held
    /// until there is room: when half of the window waits, nothing new is begun.
    async fn make_room(&self, later: Vec<Later>, permit: OwnedSemaphorePermit) -> Vec<Step> {
        let events: usize = later.iter().map(Later::len).sum();
        let events = u32::try_from(events).expect("a window has 16 bits");
        let mut room = tokio::select! {
            biased;
            halted = self.halt.halted() => {
                join_all(later.into_iter().map(|later| self.surrender(later, halted))).await;
                return Vec::new();
            }
            room = Arc::clone(&self.room).acquire_many_owned(events) => room.expect("the semaphore is never closed"),
        };
        drop(permit);
        let split = later.into_iter().map(|later| {
            let own = room.split(later.len()).expect("there is room for all of them");
            Step::Wait(later, own)
        });
        split.collect()
    }

    /// Waits, then works on the events once more or gives them back; that at once if the listener takes no more events.
    async fn wait(&self, later: Later, room: OwnedSemaphorePermit) -> Vec<Step> {
        let (wait, runs) = (later.wait, matches!(later.then, Then::TryAgain(_)));
        let turn = async {
            sleep(wait).await;
            // In this order: a handler that holds the permit may be waiting for our room.
            drop(room);
            if runs { Some(self.permit().await) } else { None }
        };
        let permit = tokio::select! {
            biased;
            halted = self.halt.halted() => {
                self.surrender(later, halted).await;
                return Vec::new();
            }
            permit = turn => permit,
        };
        match (later.then, permit) {
            (Then::TryAgain(unit), Some(permit)) => next_steps(self.attempt(unit).await, permit),
            (then, _) => {
                self.surrender(Later { then, ..later }, Halted::Stopped).await;
                Vec::new()
            }
        }
    }

    /// Gives `later` to the broker at once. What the broker would drop is moved instead.
    async fn surrender(&self, later: Later, halted: Halted) {
        let each = later.into_deliveries().into_iter().map(|delivery| async move {
            if delivery.is_last() {
                let info = DeadLetterInfo::of_limit(&delivery);
                self.mover.run(given_up(delivery, info)).await;
            } else if halted == Halted::Stopped {
                delivery.requeue().await;
            }
            // Nothing can be settled where the queues are gone: what is dropped comes again.
        });
        join_all(each).await;
    }

    /// Gives the events to each endpoint whose turn it is, and settles those that are through. The others are returned.
    async fn attempt(&self, unit: Unit) -> Vec<Later> {
        let (first, attempt) = (unit.endpoint, unit.attempt);
        let mut items: Vec<Option<Item>> = unit.items.into_iter().map(Some).collect();
        let mut later = Vec::new();
        for (place, endpoint) in self.endpoints.iter().enumerate().skip(first) {
            // Each endpoint has its own tries.
            let attempt = if place == first { attempt } else { 1 };
            for group in groups(endpoint, &items) {
                let handed = hand(endpoint, group.handler, events(&items, &group, attempt), attempt).await;
                for (unreadable, error) in handed.unreadable {
                    let Some(Item { delivery, .. }) = items[group.places[unreadable]].take() else { continue };
                    let info = DeadLetterInfo::of_error(delivery.message(), DeadReason::Payload, attempt, &error);
                    later.push(give_up(delivery, info));
                }
                match handed.left {
                    Left::Handled => {}
                    Left::Requeued => later.extend(take(&mut items, &group).map(|item| self.give_back(item.delivery))),
                    Left::Failed(failure) => {
                        let failed: Vec<Item> = take(&mut items, &group).collect();
                        later.extend(self.failed(Unit { items: failed, endpoint: place, attempt }, &failure));
                    }
                }
            }
        }
        for item in items.into_iter().flatten() {
            counter!("oslo_messaging_notifications_total", "outcome" => "handled").increment(1);
            item.delivery.acknowledge().await;
        }
        later
    }

    /// Decides whether events whose handler failed are tried again.
    fn failed(&self, unit: Unit, failure: &Failure) -> Vec<Later> {
        let attempts = unit.attempt;
        if let Some(wait) = self.policy.wait_after(attempts) {
            counter!("oslo_messaging_notifications_failed_total").increment(unit.items.len() as u64);
            debug!(%failure, attempts, "a handler failed; its events will be tried again");
            return vec![Later { wait, then: Then::TryAgain(unit.next_attempt()) }];
        }
        error!(%failure, attempts, events = unit.items.len(), "a handler failed as often as it may; its events are given up");
        let given_up = unit.items.into_iter().map(|Item { delivery, .. }| {
            let info = DeadLetterInfo::of_failure(delivery.message(), attempts, failure);
            give_up(delivery, info)
        });
        given_up.collect()
    }

    fn give_back(&self, delivery: Delivery) -> Later {
        if delivery.is_last() {
            let info = DeadLetterInfo::of_limit(&delivery);
            return give_up(delivery, info);
        }
        counter!("oslo_messaging_notifications_total", "outcome" => "requeued").increment(1);
        let key = Identity::of(delivery.key(), delivery.message()).key();
        let wait = self.requeues.lock().unwrap_or_else(PoisonError::into_inner).wait(Some(key));
        Later { wait, then: Then::GiveBack(delivery) }
    }
}

/// What is done with events that a handler did not settle. What is given up needs no room and no permit.
fn next_steps(later: Vec<Later>, permit: OwnedSemaphorePermit) -> Vec<Step> {
    let (mut steps, mut waiting) = (Vec::new(), Vec::new());
    for later in later {
        match later.then {
            Then::Move(event) => steps.push(Step::Move(event)),
            then => waiting.push(Later { then, ..later }),
        }
    }
    if !waiting.is_empty() {
        steps.push(Step::Crowd(waiting, permit));
    }
    steps
}

fn take<'a>(items: &'a mut [Option<Item>], group: &'a Group) -> impl Iterator<Item = Item> + use<'a> {
    group.places.iter().filter_map(|place| items[*place].take())
}

/// The events of `group` for its handler, on its try number `attempt`.
fn events(items: &[Option<Item>], group: &Group, attempt: u32) -> Vec<Event> {
    let items = group.places.iter().filter_map(|place| items[*place].as_ref());
    items.map(|item| Event { attempt, ..item.event.clone() }).collect()
}

/// The move of an event that is given up.
fn given_up(delivery: Delivery, info: DeadLetterInfo) -> PendingMove {
    let identity = Identity::of(delivery.key(), delivery.message());
    PendingMove::new(delivery, identity, info)
}

/// The next step for an event that is given up: its move.
fn give_up(delivery: Delivery, info: DeadLetterInfo) -> Later {
    Later { wait: Duration::ZERO, then: Then::Move(given_up(delivery, info)) }
}
