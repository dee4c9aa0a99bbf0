//! Runs work items until each event is settled:
//! every endpoint in turn, then another attempt, a requeue or the dead-letter queue.
//!
//! A work item passes the endpoints in order. When an endpoint fails, the item waits and continues at that endpoint,
//! so the earlier ones do not see the event twice. A waiting item holds no handler, but a share of the window.
//!
//! The window of unsettled events has three shares: half of it at most waits for another attempt or a requeue
//! ([`Runner::room`]), a quarter at most is moved ([`Mover`]), and the rest is always left to events that run.
//!
//! Two semaphores bound a listener. `permits` bounds the handlers that run; `room` bounds the events that wait.
//! Always acquire `room` while holding a permit,
//! and release `room` before waiting for a permit: the other order can block both.

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

use super::given_up::EventIdentity;
use super::invoke::{HandlerOutcome, invoke};
use super::mover::{Mover, PendingMove};
use super::requeue_backoff::RequeueBackoff;
use super::shutdown::{ShutdownCause, ShutdownSignal};
use super::unhandled::{NextAction, Unhandled};
use super::work_item::{HandlerGroup, PendingEvent, WorkItem, groups};
use crate::delivery::Delivery;
use crate::notify::dead_letter::info::{DeadLetterInfo, DeadReason};
use crate::notify::endpoint::HandlerTable;
use crate::notify::{Event, FailurePolicy};
use crate::{Error, Failure};

/// Shared by all work items of a listener: the endpoints, the limits, and the ways of events that fail.
#[derive(Debug)]
pub(super) struct Runner {
    /// In the order in which they were added, which is the order in which an event passes them.
    pub(super) endpoints: Vec<HandlerTable>,
    /// How many attempts an endpoint has and how long to wait between two.
    pub(super) policy: FailurePolicy,
    /// Takes the events that were given up. Shared with the task that declares dead-letter queues.
    pub(super) mover: Arc<Mover>,
    /// The wait before an event that its handler requeued goes back to its queue.
    pub(super) requeues: Mutex<RequeueBackoff>,
    /// Handlers that may run at once.
    pub(super) permits: Arc<Semaphore>,
    /// Events that may wait, for their next attempt or to be requeued: half of the window.
    pub(super) room: Arc<Semaphore>,
    /// Ends every wait: the listener is stopping, or its queues were lost.
    pub(super) shutdown: ShutdownSignal,
}

/// What is done next with events that are not settled yet.
enum Step {
    /// They get room to wait in.
    FindRoom(Vec<Unhandled>, OwnedSemaphorePermit),
    /// They wait in the room that they hold, without a permit.
    Wait(Unhandled, OwnedSemaphorePermit),
    /// They are given up. The mover keeps its own share of the window, so this step needs neither permit nor room.
    Move(PendingMove),
}

impl Runner {
    /// A permit to run one handler; it ends with the handler.
    ///
    /// Waits while as many handlers run as the concurrency of the listener allows.
    pub(super) async fn permit(&self) -> OwnedSemaphorePermit {
        Arc::clone(&self.permits).acquire_owned().await.expect("the semaphore is never closed")
    }

    /// How many handlers may be started now, and 1 at least.
    ///
    /// Only a hint for the size of the next poll: the number may change before the next await.
    pub(super) fn free(&self) -> NonZeroUsize {
        NonZeroUsize::new(self.permits.available_permits()).unwrap_or(NonZeroUsize::MIN)
    }

    /// Works on the events until each is settled.
    ///
    /// Returns when every event was acknowledged, requeued, moved or dropped. The events of one item may take
    /// different ways, so their steps run concurrently.
    ///
    /// Cancellation: unsettled events are dropped with the future, and the broker delivers them again.
    pub(super) async fn run(self: Arc<Self>, work: WorkItem, permit: OwnedSemaphorePermit) {
        let unhandled = self.attempt(work).await;
        // Each step may yield further steps; the item is done when none is left.
        let mut steps: FuturesUnordered<_> =
            next_steps(unhandled, permit).into_iter().map(|step| self.go_on(step)).collect();
        while let Some(next) = steps.next().await {
            steps.extend(next.into_iter().map(|step| self.go_on(step)));
        }
    }

    /// Moves a message that does not decode into the dead-letter queue.
    ///
    /// No handler runs. The event is counted in `oslo_messaging_undecodable_total` and logged with its queue.
    pub(super) async fn run_undecodable(self: Arc<Self>, delivery: Delivery, error: Error) {
        counter!("oslo_messaging_undecodable_total").increment(1);
        warn!(%error, queue = ?delivery.message().queue, "a notification that cannot be read");
        let info = DeadLetterInfo::of_error(delivery.message(), DeadReason::Undecodable, 0, &error);
        self.run_given_up(pending_move(delivery, info)).await;
    }

    /// Moves an event that the broker would drop if its handler failed once more.
    ///
    /// No handler runs. The dead letter says how many deliveries were not acknowledged.
    pub(super) async fn run_last(self: Arc<Self>, delivery: Delivery) {
        warn!(
            queue = ?delivery.message().queue, count = ?delivery.delivery_count(),
            "an event has reached the delivery limit of its queue and is given up"
        );
        let info = DeadLetterInfo::of_limit(&delivery);
        self.run_given_up(pending_move(delivery, info)).await;
    }

    /// Moves an event that was given up before.
    ///
    /// Used when the broker delivers an event again whose move did not finish. Its handlers do not run.
    pub(super) async fn run_given_up(&self, event: PendingMove) {
        self.mover.run(event).await;
    }

    /// Goes one step on with events that are not settled; what is left of them then is returned.
    async fn go_on(&self, step: Step) -> Vec<Step> {
        match step {
            Step::FindRoom(unhandled, permit) => self.make_room(unhandled, permit).await,
            Step::Wait(unhandled, room) => self.wait(unhandled, room).await,
            Step::Move(event) => {
                self.mover.run(event).await;
                Vec::new()
            }
        }
    }

    /// Acquires room for `unhandled` to wait in, or releases them if the listener takes no more events.
    /// The handler's permit is held until there is room. When half of the window waits, each further event
    /// that fails keeps its permit, and no event starts once all permits are kept so.
    async fn make_room(&self, unhandled: Vec<Unhandled>, permit: OwnedSemaphorePermit) -> Vec<Step> {
        let events: usize = unhandled.iter().map(Unhandled::len).sum();
        let events = u32::try_from(events).expect("a window has 16 bits");
        let mut room = tokio::select! {
            biased;
            cause = self.shutdown.signalled() => {
                join_all(unhandled.into_iter().map(|unhandled| self.surrender(unhandled, cause))).await;
                return Vec::new();
            }
            room = Arc::clone(&self.room).acquire_many_owned(events) => room.expect("the semaphore is never closed"),
        };
        drop(permit);
        let split = unhandled.into_iter().map(|unhandled| {
            let own = room.split(unhandled.len()).expect("there is room for all of them");
            Step::Wait(unhandled, own)
        });
        split.collect()
    }

    /// Waits, then works on the events once more or gives them back; that at once if the listener takes no more events.
    ///
    /// While it waits it holds room but no permit. A second attempt needs a permit; a requeue needs none.
    async fn wait(&self, unhandled: Unhandled, room: OwnedSemaphorePermit) -> Vec<Step> {
        // Read before the `select!`, which moves `unhandled` in the arm of the shutdown.
        let (wait, runs) = (unhandled.wait, matches!(unhandled.then, NextAction::TryAgain(_)));
        let turn = async {
            sleep(wait).await;
            // In this order: a handler that holds the permit may be waiting for our room.
            drop(room);
            if runs { Some(self.permit().await) } else { None }
        };
        let permit = tokio::select! {
            biased;
            cause = self.shutdown.signalled() => {
                self.surrender(unhandled, cause).await;
                return Vec::new();
            }
            permit = turn => permit,
        };
        match (unhandled.then, permit) {
            (NextAction::TryAgain(work), Some(permit)) => next_steps(self.attempt(work).await, permit),
            (then, _) => {
                // A requeue whose wait is over goes the way of one that a stop cut short.
                self.surrender(Unhandled { then, ..unhandled }, ShutdownCause::Stopped).await;
                Vec::new()
            }
        }
    }

    /// Requeues `unhandled` at once. Events that the broker would drop are moved to the dead-letter queue instead.
    ///
    /// If the queues were lost, nothing is sent: the broker delivers every unsettled event again.
    async fn surrender(&self, unhandled: Unhandled, cause: ShutdownCause) {
        let each = unhandled.into_deliveries().into_iter().map(|delivery| async move {
            if delivery.is_last() {
                let info = DeadLetterInfo::of_limit(&delivery);
                self.mover.run(pending_move(delivery, info)).await;
            } else if cause == ShutdownCause::Stopped {
                delivery.requeue().await;
            }
            // Nothing can be settled where the queues are gone: what is dropped comes again.
        });
        join_all(each).await;
    }

    /// Passes the events to each remaining endpoint and acknowledges those
    /// that all of them handled. Returns the others.
    ///
    /// Starts at the endpoint of the item with the attempt number of the item. Later endpoints start at attempt 1. An
    /// event that one endpoint did not handle is not passed to the endpoints after it in this attempt.
    async fn attempt(&self, work: WorkItem) -> Vec<Unhandled> {
        let (first, attempt) = (work.endpoint, work.attempt);
        // An event that one endpoint did not handle is taken out
        // and leaves `None` at its position, so that positions stay valid.
        let mut items: Vec<Option<PendingEvent>> = work.events.into_iter().map(Some).collect();
        let mut unhandled = Vec::new();
        for (index, endpoint) in self.endpoints.iter().enumerate().skip(first) {
            // Each endpoint counts its own attempts.
            let attempt = if index == first { attempt } else { 1 };
            for group in groups(endpoint, &items) {
                let invocation = invoke(endpoint, group.handler, events(&items, &group, attempt), attempt).await;
                for (unreadable, error) in invocation.unreadable {
                    let Some(PendingEvent { delivery, .. }) = items[group.positions[unreadable]].take() else {
                        continue;
                    };
                    let info = DeadLetterInfo::of_error(delivery.message(), DeadReason::Payload, attempt, &error);
                    unhandled.push(given_up(delivery, info));
                }
                match invocation.outcome {
                    HandlerOutcome::Handled => {}
                    HandlerOutcome::Requeued => {
                        unhandled.extend(take(&mut items, &group).map(|item| self.requeue_later(item.delivery)));
                    }
                    HandlerOutcome::Failed(failure) => {
                        let failed: Vec<PendingEvent> = take(&mut items, &group).collect();
                        unhandled.extend(self.failed(WorkItem { events: failed, endpoint: index, attempt }, &failure));
                    }
                }
            }
        }
        for item in items.into_iter().flatten() {
            counter!("oslo_messaging_notifications_total", "outcome" => "handled").increment(1);
            item.delivery.acknowledge().await;
        }
        unhandled
    }

    /// Decides whether events whose handler failed are tried again.
    ///
    /// Events with attempts left wait as one item and keep their batch.
    /// Without attempts left each event is given up on its own.
    fn failed(&self, work: WorkItem, failure: &Failure) -> Vec<Unhandled> {
        let attempts = work.attempt;
        if let Some(wait) = self.policy.wait_after(attempts) {
            counter!("oslo_messaging_notifications_failed_total").increment(work.events.len() as u64);
            debug!(%failure, attempts, "a handler failed; its events will be tried again");
            return vec![Unhandled { wait, then: NextAction::TryAgain(work.next_attempt()) }];
        }
        error!(%failure, attempts, events = work.events.len(), "a handler failed on its last attempt; its events go to the dead-letter queue or are dropped");
        let events = work.events.into_iter().map(|PendingEvent { delivery, .. }| {
            let info = DeadLetterInfo::of_failure(delivery.message(), attempts, failure);
            given_up(delivery, info)
        });
        events.collect()
    }

    /// Requeues an event after a growing wait; moves it instead if the broker would drop it.
    ///
    /// The wait depends on how often this event was requeued before, so that a requeue does not loop at full speed.
    /// It is counted as `requeued` here, before it happens.
    fn requeue_later(&self, delivery: Delivery) -> Unhandled {
        if delivery.is_last() {
            let info = DeadLetterInfo::of_limit(&delivery);
            return given_up(delivery, info);
        }
        counter!("oslo_messaging_notifications_total", "outcome" => "requeued").increment(1);
        let key = EventIdentity::of(delivery.key(), delivery.message()).key();
        let wait = self.requeues.lock().unwrap_or_else(PoisonError::into_inner).wait(Some(key));
        Unhandled { wait, then: NextAction::GiveBack(delivery) }
    }
}

/// What is done with events that a handler did not settle. What is given up needs no room and no permit.
///
/// All that wait share one step and keep the permit until they have room.
fn next_steps(unhandled: Vec<Unhandled>, permit: OwnedSemaphorePermit) -> Vec<Step> {
    let (mut steps, mut waiting) = (Vec::new(), Vec::new());
    for unhandled in unhandled {
        match unhandled.then {
            NextAction::Move(event) => steps.push(Step::Move(event)),
            then => waiting.push(Unhandled { then, ..unhandled }),
        }
    }
    if !waiting.is_empty() {
        steps.push(Step::FindRoom(waiting, permit));
    }
    steps
}

/// Takes the events of `group` out of `items`. The positions of the others stay valid.
///
/// Events that an earlier group took are skipped.
fn take<'a>(
    items: &'a mut [Option<PendingEvent>],
    group: &'a HandlerGroup,
) -> impl Iterator<Item = PendingEvent> + use<'a> {
    group.positions.iter().filter_map(|position| items[*position].take())
}

/// The events of `group` for its handler, on its attempt number `attempt`.
///
/// Clones the events: the originals stay for the next endpoint or attempt.
fn events(items: &[Option<PendingEvent>], group: &HandlerGroup, attempt: u32) -> Vec<Event> {
    let items = group.positions.iter().filter_map(|position| items[*position].as_ref());
    items.map(|item| Event { attempt, ..item.event.clone() }).collect()
}

/// For an event that is given up just now, which never went back to its queue.
fn pending_move(delivery: Delivery, info: DeadLetterInfo) -> PendingMove {
    let identity = EventIdentity::of(delivery.key(), delivery.message());
    PendingMove::new(delivery, identity, info)
}

/// For an event that is given up: its move needs no wait, no permit and no room, and the next step begins it.
fn given_up(delivery: Delivery, info: DeadLetterInfo) -> Unhandled {
    Unhandled { wait: Duration::ZERO, then: NextAction::Move(pending_move(delivery, info)) }
}
