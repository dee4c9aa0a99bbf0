//! Works on events until each is settled: every endpoint in turn, then the next try or the end.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use metrics::counter;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;
use tracing::{debug, error, warn};

use super::halt::Halt;
use super::hand::{Left, hand};
use super::later::{Later, Then};
use super::requeues::Requeues;
use super::unit::{Group, Item, Unit, groups};
use crate::delivery::Delivery;
use crate::notify::dead_letter::{DeadLetterInfo, DeadReason};
use crate::notify::dead_letter_writer::DeadLetterWriter;
use crate::notify::endpoint::Table;
use crate::notify::{Event, FailurePolicy, GiveUp};
use crate::text::Excerpt;
use crate::{Error, Failure};

/// What all events of a listener are worked on with.
#[derive(Debug)]
pub(super) struct Runner {
    pub(super) endpoints: Vec<Table>,
    pub(super) policy: FailurePolicy,
    /// `None`: what is given up is dropped, because the queue goes with its reader.
    pub(super) dead_letters: Option<DeadLetterWriter>,
    pub(super) requeues: Mutex<Requeues>,
    /// Handlers that may run at once.
    pub(super) permits: Arc<Semaphore>,
    /// Events that may wait, for their next try or to be given back: half of the window, so that the other half goes on.
    pub(super) room: Arc<Semaphore>,
    pub(super) halt: Halt,
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
        self.finish(later, permit).await;
    }

    /// Moves a message that is no notification out of the way.
    pub(super) async fn run_undecodable(
        self: Arc<Self>,
        delivery: Delivery,
        error: Error,
        permit: OwnedSemaphorePermit,
    ) {
        counter!("oslo_messaging_undecodable_total").increment(1);
        warn!(%error, queue = ?delivery.message().queue, "a notification that cannot be read");
        let info = DeadLetterInfo::of_error(delivery.message(), DeadReason::Undecodable, 0, &error);
        let later = self.give_up(delivery, &info).await;
        self.finish(later.into_iter().collect(), permit).await;
    }

    /// Lets each of `later` wait on its own, and what fails again wait again, until every event is settled.
    async fn finish(&self, later: Vec<Later>, permit: OwnedSemaphorePermit) {
        let wait = |(later, room)| self.wait(later, room);
        let mut waiting: FuturesUnordered<_> = self.make_room(later, permit).await.into_iter().map(wait).collect();
        while let Some(again) = waiting.next().await {
            waiting.extend(again.into_iter().map(wait));
        }
    }

    /// Gets `later` room to wait in; gives them back instead if the listener takes no more events. The permit is held
    /// until there is room: when half of the window waits, nothing new is begun.
    async fn make_room(&self, later: Vec<Later>, permit: OwnedSemaphorePermit) -> Vec<(Later, OwnedSemaphorePermit)> {
        let events: usize = later.iter().map(Later::len).sum();
        if events == 0 {
            return Vec::new();
        }
        let events = u32::try_from(events).expect("a window has 16 bits");
        let mut room = tokio::select! {
            biased;
            halted = self.halt.halted() => {
                join_all(later.into_iter().map(|later| halted.give_back(later))).await;
                return Vec::new();
            }
            room = Arc::clone(&self.room).acquire_many_owned(events) => room.expect("the semaphore is never closed"),
        };
        drop(permit);
        let split = later.into_iter().map(|later| {
            let own = room.split(later.len()).expect("there is room for all of them");
            (later, own)
        });
        split.collect()
    }

    /// Waits, then works on the events once more or gives them back; that at once if the listener takes no more events.
    /// What fails again is returned, with room to wait in.
    async fn wait(&self, later: Later, room: OwnedSemaphorePermit) -> Vec<(Later, OwnedSemaphorePermit)> {
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
                halted.give_back(later).await;
                return Vec::new();
            }
            permit = turn => permit,
        };
        match (later.then, permit) {
            (Then::TryAgain(unit), Some(permit)) => {
                let later = self.attempt(unit).await;
                self.make_room(later, permit).await
            }
            (then, _) => {
                Later { then, ..later }.give_back().await;
                Vec::new()
            }
        }
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
                    later.extend(self.give_up(delivery, &info).await);
                }
                match handed.left {
                    Left::Handled => {}
                    Left::Requeued => later.extend(take(&mut items, &group).map(|item| self.give_back(item.delivery))),
                    Left::Failed(failure) => {
                        let failed: Vec<Item> = take(&mut items, &group).collect();
                        later.extend(self.failed(Unit { items: failed, endpoint: place, attempt }, &failure).await);
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
    async fn failed(&self, unit: Unit, failure: &Failure) -> Vec<Later> {
        let attempts = unit.attempt;
        if let Some(wait) = self.policy.wait_after(attempts) {
            counter!("oslo_messaging_notifications_failed_total").increment(unit.items.len() as u64);
            debug!(%failure, attempts, "a handler failed; its events will be tried again");
            return vec![Later { wait, then: Then::TryAgain(unit.next_attempt()) }];
        }
        error!(%failure, attempts, events = unit.items.len(), "a handler failed as often as it may; its events are given up");
        let given_up = unit.items.into_iter().map(|Item { delivery, .. }| async move {
            let info = DeadLetterInfo::of_failure(delivery.message(), attempts, failure);
            self.give_up(delivery, &info).await
        });
        join_all(given_up).await.into_iter().flatten().collect()
    }

    /// Moves the message to the dead-letter queue, or drops it. One that cannot be moved is given back: nothing that
    /// failed is acknowledged in silence.
    async fn give_up(&self, mut delivery: Delivery, info: &DeadLetterInfo) -> Option<Later> {
        if self.halt.is_lost() {
            // It comes again, to be given up then: a copy now would be one too many.
            return None;
        }
        let writer = self.dead_letters.as_ref().filter(|_| self.policy.give_up == GiveUp::DeadLetter);
        let outcome = if let Some(writer) = writer {
            delivery.let_go();
            if let Err(error) = writer.write(delivery.message(), info).await {
                error!(%error, queue = info.queue, "an event could not be moved to the dead-letter queue and is given back");
                return Some(self.give_back(delivery));
            }
            "dead_letter"
        } else {
            warn!(reason = %info.reason, detail = %Excerpt(&info.detail), queue = info.queue, "an event is dropped");
            "dropped"
        };
        counter!("oslo_messaging_notifications_total", "outcome" => outcome).increment(1);
        delivery.acknowledge().await;
        None
    }

    fn give_back(&self, delivery: Delivery) -> Later {
        counter!("oslo_messaging_notifications_total", "outcome" => "requeued").increment(1);
        let wait = self.requeues.lock().unwrap_or_else(PoisonError::into_inner).wait(delivery.key());
        Later { wait, then: Then::GiveBack(delivery) }
    }
}

fn take<'a>(items: &'a mut [Option<Item>], group: &'a Group) -> impl Iterator<Item = Item> + use<'a> {
    group.places.iter().filter_map(|place| items[*place].take())
}

/// The events of `group` for its handler, on its try number `attempt`.
fn events(items: &[Option<Item>], group: &Group, attempt: u32) -> Vec<Event> {
    let items = group.places.iter().filter_map(|place| items[*place].as_ref());
    items.map(|item| Event { attempt, ..item.event.clone() }).collect()
}
