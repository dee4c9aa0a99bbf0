//! The task that keeps a transport connected: it does what the machine's phase says, and tells the machine what happened.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use oslo_messaging::{Deadline, State};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::{info, warn};

use crate::attempts::STABLE_AFTER;
use crate::connection::hosts::Hosts;
use crate::counters::count;
use crate::link::Link;
use crate::link::current::LinkState;
use crate::link::inner::Inner;
use crate::link::state_machine::{Event, Generation, Phase, StateMachine};

/// How often a link is looked at of which nothing is heard.
const STATUS_INTERVAL: Duration = Duration::from_secs(1);

pub(crate) struct Supervisor {
    inner: Arc<Inner>,
    hosts: Hosts,
    machine: StateMachine,
    watcher: Option<LinkWatcher>,
}

/// Hears what lapin tells of a link.
struct LinkWatcher {
    link: Arc<Link>,
    publishing: BoxStream<'static, lapin::Event>,
    consuming: BoxStream<'static, lapin::Event>,
    stable_at: Option<Instant>,
}

impl Supervisor {
    /// Takes over a transport whose first `link` is open.
    pub(crate) fn new(inner: Arc<Inner>, hosts: Hosts, link: &Arc<Link>) -> Self {
        let mut machine = StateMachine::new(hosts.len());
        machine.apply(Event::Connected(link.generation));
        machine.apply(Event::Resubscribed(link.generation));
        Self { inner, hosts, machine, watcher: Some(LinkWatcher::of(link)) }
    }

    /// Runs until the transport is closed.
    pub(crate) async fn run(mut self) {
        let closing = self.inner.closing.clone();
        while *self.machine.phase() != Phase::Closed {
            let event = tokio::select! {
                biased;
                () = closing.cancelled() => Event::Closed,
                event = self.run_phase() => event,
            };
            let before = self.machine.phase().clone();
            self.machine.apply(event);
            if *self.machine.phase() != before {
                self.announce();
            }
        }
    }

    /// Does what the phase asks for, until something happens. Whatever it is doing may be dropped.
    async fn run_phase(&mut self) -> Event {
        match self.machine.phase().clone() {
            Phase::Connecting(generation) => self.connect(generation).await,
            Phase::Resubscribing(generation) => {
                let complete = timeout(self.inner.config.request_timeout, self.inner.barrier.wait_for_all(generation));
                tokio::select! {
                    biased;
                    event = watch(self.watcher.as_mut()) => event,
                    // Who takes longer than this has his own troubles, and publishers have waited enough.
                    _ = complete => Event::Resubscribed(generation),
                }
            }
            Phase::Ready(_) | Phase::Blocked(..) => watch(self.watcher.as_mut()).await,
            Phase::Lost { backoff, .. } => {
                sleep(backoff.random_delay(&self.inner.config)).await;
                Event::RetryDue
            }
            Phase::Closed => Event::Closed,
        }
    }

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

    /// Tells everybody of the new phase: first those who work with the link, then those who look at the health.
    fn announce(&mut self) {
        let Inner { current, health, counts, .. } = &*self.inner;
        let link = || Arc::clone(&self.watcher.as_ref().expect("a phase with a link comes after connecting").link);
        let (link_state, state) = match self.machine.phase() {
            // Why it was lost says more than that it is tried again.
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
            self.watcher = None;
        }
        current.set(link_state);
        health.set_link_state(state);
    }
}

/// Ended by its runtime, it says what everybody has to know: the transport does nothing any more.
impl Drop for Supervisor {
    fn drop(&mut self) {
        self.inner.current.set(LinkState::Closed);
        self.inner.health.set_link_state(State::Closed);
    }
}

impl LinkWatcher {
    fn of(link: &Arc<Link>) -> Self {
        Self {
            publishing: link.publishing.events(),
            consuming: link.consuming.events(),
            link: Arc::clone(link),
            stable_at: Some(Instant::now() + STABLE_AFTER),
        }
    }

    async fn next(&mut self) -> Event {
        let generation = self.link.generation;
        let mut reason = "the connection is closed".to_owned();
        // What happened before we listened is not told, but what it did is seen.
        while self.link.is_connected() {
            let stable_at = self.stable_at;
            let event = tokio::select! {
                biased;
                event = self.publishing.next() => match event {
                    Some(lapin::Event::ConnectionBlocked(reason)) => return Event::Blocked(generation, reason),
                    Some(lapin::Event::ConnectionUnblocked) => return Event::Unblocked(generation),
                    event => event,
                },
                event = self.consuming.next() => event,
                () = sleep_until(stable_at.unwrap_or_else(Instant::now)), if stable_at.is_some() => {
                    self.stable_at = None;
                    return Event::Stable(generation);
                }
                // lapin does not tell of every end: of that by a code it does not know, for one, it does not.
                () = sleep(STATUS_INTERVAL) => continue,
            };
            match event {
                // lapin tells of channels too, without saying which; whoever owns it has heard. Of a connection's end it
                // tells after it has noted it.
                Some(lapin::Event::Error(error)) if error.is_amqp_soft_error() => {}
                Some(lapin::Event::Error(error)) => reason = error.to_string(),
                Some(_) => {}
                None => break,
            }
        }
        Event::Lost(generation, format!("{}: {reason}", self.link.host))
    }
}

async fn watch(watcher: Option<&mut LinkWatcher>) -> Event {
    match watcher {
        Some(watcher) => watcher.next().await,
        // There is always one in the phases that watch.
        None => std::future::pending().await,
    }
}
