//! The task that keeps a transport connected: it performs the phase of the [`StateMachine`], and feeds it with events.
//!
//! Except for the final `Closed` it is the only writer of the current link.
//! Decisions are in the state machine; this file performs them and reports what it observed.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::{BoxStream, SelectAll};
use oslo_messaging::{Deadline, State};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::{info, warn};

use crate::backoff::STABLE_AFTER;
use crate::connection::hosts::Hosts;
use crate::counters::count;
use crate::link::Link;
use crate::link::consuming::ConnectionEvents;
use crate::link::current::LinkState;
use crate::link::inner::Inner;
use crate::link::state_machine::{Event, Generation, Phase, StateMachine};

/// How often the state of a silent link is checked.
/// lapin does not report every end of a connection.
/// So a loss that lapin does not report is noticed within a second, and not only at the next heartbeat.
const STATUS_INTERVAL: Duration = Duration::from_secs(1);

/// Connects, watches the link, and reconnects, until the transport closes. The transport starts it and aborts it.
/// When its task ends for whatever reason, the link becomes `Closed`.
pub(crate) struct Supervisor {
    /// For the configuration, the current link, the barrier and the health.
    inner: Arc<Inner>,
    /// The next host of each attempt; the order continues across losses.
    hosts: Hosts,
    /// The phase, and the counts that determine the next backoff.
    machine: StateMachine,
    /// The watcher of the link, in the phases that have one.
    watcher: Option<LinkWatcher>,
}

/// Receives lapin's events of both connections of one link.
/// It exists from a successful connect to the loss of that link.
struct LinkWatcher {
    /// Keeps the link open while it is watched.
    link: Arc<Link>,
    /// The only one on which a broker reports an alarm.
    publishing: BoxStream<'static, lapin::Event>,
    /// Those of every consuming connection. The end of one is a loss of the whole link.
    consuming: SelectAll<ConnectionEvents>,
    /// The events of consuming connections that are opened meanwhile.
    opened: Option<UnboundedReceiver<ConnectionEvents>>,
    /// When the link counts as stable; `None` once that was reported.
    stable_at: Option<Instant>,
}

impl Supervisor {
    /// A supervisor of a transport whose first `link` is open.
    /// The machine skips to `Ready`: no listener exists yet that could resubscribe.
    pub(crate) fn new(inner: Arc<Inner>, hosts: Hosts, link: &Arc<Link>) -> Self {
        let mut machine = StateMachine::new(hosts.len());
        // The first link was opened by the caller of `connect`, and there is nothing to resubscribe.
        machine.apply(Event::Connected(link.generation));
        machine.apply(Event::Resubscribed(link.generation));
        Self { inner, hosts, machine, watcher: Some(LinkWatcher::of(link)) }
    }

    /// Runs until the transport is closed, and then ends by itself.
    /// A change is announced only if it changes the phase, so users are not woken for late events.
    pub(crate) async fn run(mut self) {
        let closing = self.inner.closing.clone();
        while *self.machine.phase() != Phase::Closed {
            let event = tokio::select! {
                biased;
                () = closing.cancelled() => Event::Closed,
                event = self.run_phase() => event,
            };
            // Compared by value: a second alarm with another reason is a change too.
            let before = self.machine.phase().clone();
            self.machine.apply(event);
            if *self.machine.phase() != before {
                self.announce();
            }
        }
    }

    /// Performs the current phase until the next event.
    /// May be dropped at any await: the phase starts again.
    /// In `Resubscribing` it waits at most `request_timeout` for the listeners.
    async fn run_phase(&mut self) -> Event {
        match self.machine.phase().clone() {
            Phase::Connecting(generation) => self.connect(generation).await,
            Phase::Resubscribing(generation) => {
                let complete = timeout(self.inner.config.request_timeout, self.inner.barrier.wait_for_all(generation));
                tokio::select! {
                    biased;
                    event = watch(self.watcher.as_mut(), generation) => event,
                    // A listener that takes longer has a problem of its own, and publishers have
                    // waited long enough.
                    _ = complete => Event::Resubscribed(generation),
                }
            }
            Phase::Ready(generation) | Phase::Blocked(generation, _) => watch(self.watcher.as_mut(), generation).await,
            Phase::Lost { backoff, .. } => {
                sleep(backoff.random_delay(&self.inner.config)).await;
                Event::RetryDue
            }
            Phase::Closed => Event::Closed,
        }
    }

    /// One attempt to connect, to the next host in turn, for at most `Link::patience`.
    /// An error that is not transient leads to long waits, and is never final.
    async fn connect(&mut self, generation: Generation) -> Event {
        let config = &self.inner.config;
        let deadline = Deadline::after(Link::patience(config));
        match Link::open(self.hosts.next(), config, generation, deadline).await {
            Ok(link) => {
                self.watcher = Some(LinkWatcher::of(&Arc::new(link)));
                Event::Connected(generation)
            }
            Err(error) => {
                let needs_operator = !error.is_transient();
                if needs_operator {
                    warn!(%error, "the driver cannot connect to the broker until its configuration is corrected; it retries slowly");
                } else {
                    warn!(%error, "the driver cannot connect to the broker; it retries");
                }
                Event::Failed { generation, reason: error.to_string(), needs_operator }
            }
        }
    }

    /// Publishes the new phase: first to the users of the link, then to the health.
    ///
    /// Users see the new state before a subscriber of the health does,
    /// so a caller that reacts to the health finds a link.
    /// The sockets of a lost link are shut before that.
    fn announce(&mut self) {
        let Inner { current, health, counts, .. } = &*self.inner;
        let link = || Arc::clone(&self.watcher.as_ref().expect("a phase with a link comes after connecting").link);
        let (link_state, state) = match self.machine.phase() {
            // The reason of the loss says more than that a connect is under way.
            Phase::Connecting(_) | Phase::Closed => return,
            Phase::Resubscribing(generation) => {
                count(&counts.reconnects, 1);
                info!(host = link().host, generation, "the driver reconnected to the broker; listeners resubscribe");
                (LinkState::Resubscribing(link()), State::Connecting)
            }
            Phase::Ready(_) => (LinkState::Ready(link()), State::Ready),
            Phase::Blocked(_, reason) => {
                (LinkState::Blocked(link(), reason.clone()), State::Blocked { reason: reason.clone() })
            }
            Phase::Lost { reason, .. } => {
                if let Some(watcher) = &self.watcher {
                    count(&counts.losses, 1);
                    warn!(
                        host = watcher.link.host,
                        reason, "the driver lost its connection to the broker; it reconnects"
                    );
                    watcher.link.abandon();
                }
                (LinkState::Lost { reason: reason.clone() }, State::Lost { reason: reason.clone() })
            }
        };
        if let LinkState::Lost { .. } = link_state {
            // Drops this task's reference; the link closes when its last user lets go.
            self.watcher = None;
        }
        // The health last: its subscribers may use the link at once.
        current.set(link_state);
        health.set_link_state(state);
    }
}

/// Also when the runtime aborts the task: the transport cannot work any more, and everything that waits must fail.
impl Drop for Supervisor {
    /// Callers that wait for a link fail with `Closed` at once, instead of at their deadlines.
    fn drop(&mut self) {
        self.inner.current.set(LinkState::Closed);
        self.inner.health.set_link_state(State::Closed);
    }
}

impl LinkWatcher {
    /// Subscribes to the events of every connection. Earlier events are missed, so `next` checks the state as well.
    fn of(link: &Arc<Link>) -> Self {
        Self {
            publishing: link.publishing.events(),
            consuming: SelectAll::new(),
            opened: link.take_consuming_events(),
            link: Arc::clone(link),
            stable_at: Some(Instant::now() + STABLE_AFTER),
        }
    }

    /// Waits for the next event of the link. A lost connection is reported once lapin has noted it.
    ///
    /// Cancellation loses no event, and at most the text of an error that preceded a loss.
    async fn next(&mut self) -> Event {
        let generation = self.link.generation;
        let mut reason = "the connection is closed".to_owned();
        // Events from before the subscription are lost, so the state is checked first.
        while self.link.is_connected() {
            let stable_at = self.stable_at;
            let event = tokio::select! {
                biased;
                event = self.publishing.next() => match event {
                    Some(lapin::Event::ConnectionBlocked(reason)) => return Event::Blocked(generation, reason),
                    Some(lapin::Event::ConnectionUnblocked) => return Event::Unblocked(generation),
                    event => event,
                },
                Some(events) = next_opened(&mut self.opened) => {
                    self.consuming.push(events);
                    continue;
                }
                Some(event) = self.consuming.next() => event,
                () = sleep_until(stable_at.unwrap_or_else(Instant::now)), if stable_at.is_some() => {
                    self.stable_at = None;
                    return Event::Stable(generation);
                }
                // lapin reports no event for some ends, such as a close with an unknown code.
                () = sleep(STATUS_INTERVAL) => continue,
            };
            match event {
                // lapin reports channel errors too, without naming the channel; its owner has the
                // error. It reports the end of a connection after it has noted it.
                Some(lapin::Event::Error(error)) if error.is_amqp_soft_error() => {}
                Some(lapin::Event::Error(error)) => reason = error.to_string(),
                Some(_) => {}
                None => break,
            }
        }
        Event::Lost(generation, format!("{}: {reason}", self.link.host))
    }
}

/// The events of the next consuming connection that is opened. It never ends without a receiver.
async fn next_opened(opened: &mut Option<UnboundedReceiver<ConnectionEvents>>) -> Option<ConnectionEvents> {
    match opened {
        Some(opened) => opened.recv().await,
        None => std::future::pending().await,
    }
}

/// Waits as [`LinkWatcher::next`] does, if there is a watcher.
/// Without one the link of this generation counts as lost,
/// so that the supervisor connects again instead of waiting for ever.
async fn watch(watcher: Option<&mut LinkWatcher>, generation: Generation) -> Event {
    match watcher {
        Some(watcher) => watcher.next().await,
        None => Event::Lost(generation, "no task watches the link".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_link_that_is_not_watched_is_a_lost_one() {
        let event = timeout(Duration::ZERO, watch(None, 7)).await.expect("nothing is waited for");
        assert!(matches!(event, Event::Lost(7, _)), "{event:?}");
    }
}
