//! The flaws of transports: what a publish, a subscribe, a health or a close does wrong.

use std::num::NonZeroU16;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use oslo_messaging::driver::{
    Address, Capabilities, Listener, Message, PublishOptions, Settle, Source, Subscription, Transport,
};
use oslo_messaging::{Deadline, Error, ErrorKind, Executed, Health, Result, State};
use tokio::sync::{Mutex, watch};

use super::Flaw;
use super::listener::FlawedListener;
use super::losses::Losses;

/// The one exchange of [`Flaw::ExchangeIgnored`]. Cases still do not meet, because their topics are unique.
const EVERY_EXCHANGE: &str = "every-exchange";

/// A transport with one flaw. What the flaw does not concern is forwarded.
#[derive(Debug)]
pub(super) struct FlawedTransport {
    inner: Arc<dyn Transport>,
    flaw: Flaw,
    /// Counts publishes, for [`Flaw::LostInSilence`], which discards every fifth.
    published: AtomicU64,
    /// Whether the last publish was returned, for [`Flaw::ReturnCrossed`].
    returned: AtomicBool,
    /// The server that subscribed last, to which [`Flaw::FanoutReachesOne`] sends every fanout.
    last_server: Mutex<Option<Source>>,
    /// `Flaw::ReplyCrossed` sends a reply to the queue of the reply before it.
    last_queue: Mutex<Option<String>>,
    /// Set when any listener is closed, for [`Flaw::CloseEndsNeighbours`].
    closed: Arc<AtomicBool>,
    /// The publish that [`Flaw::OutOfOrder`] sends after the next one.
    held: Mutex<Option<(Address, Message)>>,
    /// Stays `Connecting`, for [`Flaw::HealthStuck`] and [`Flaw::NeverReadyAgain`].
    health: watch::Sender<Health>,
    losses: Losses,
}

impl FlawedTransport {
    /// `losses` counts the cuts of the harness; flaws that begin with a cut wait for the first one after this call.
    pub(super) fn new(inner: Arc<dyn Transport>, flaw: Flaw, losses: watch::Receiver<u64>) -> Self {
        let health = watch::Sender::new(Health::new(State::Connecting));
        Self {
            inner,
            flaw,
            published: AtomicU64::new(0),
            returned: AtomicBool::new(false),
            last_server: Mutex::new(None),
            last_queue: Mutex::new(None),
            closed: Arc::new(AtomicBool::new(false)),
            held: Mutex::new(None),
            health,
            losses: Losses::of(losses),
        }
    }

    /// Falsifies the address, the message and the options before the driver gets them.
    /// Flaws that concern one kind of address leave the others unchanged.
    fn spoil(&self, to: &Address, message: &mut Message, options: &mut PublishOptions) -> Address {
        match self.flaw {
            Flaw::MandatoryIgnored => options.mandatory = false,
            Flaw::MandatoryAlways => options.mandatory = true,
            Flaw::QueueNotEnsured => options.ensure_queue = false,
            Flaw::DeadlineIgnored => options.deadline = patient(options.deadline),
            Flaw::ExpirationIgnored => message.expiration = None,
            Flaw::ExpirationInSeconds => message.expiration = message.expiration.map(|expiration| expiration * 1000),
            Flaw::RequestsNeverExpire if matches!(to, Address::Topic { .. } | Address::Server { .. }) => {
                message.expiration = None;
            }
            Flaw::ExpiresAtOnce => message.expiration = message.expiration.map(|_| Duration::ZERO),
            Flaw::HeadersLost => message.headers.clear(),
            Flaw::LongHeaderCut => message.headers.values_mut().for_each(cut),
            Flaw::LongBodyCut => message.body.truncate(512 * 1024),
            Flaw::BodyMangled => message.body = String::from_utf8_lossy(&message.body).into_owned().into(),
            _ => {}
        }
        match (self.flaw, to) {
            (Flaw::ServerIgnored, Address::Server { exchange, topic, .. }) => {
                Address::Topic { exchange: exchange.clone(), topic: topic.clone() }
            }
            (Flaw::ExchangeIgnored, Address::Topic { topic, .. }) => {
                Address::Topic { exchange: EVERY_EXCHANGE.to_owned(), topic: topic.clone() }
            }
            (Flaw::LongNameCut, Address::Topic { exchange, topic }) => {
                Address::Topic { exchange: exchange.clone(), topic: shortened(topic) }
            }
            (Flaw::LongNameCut, Address::Queue { name }) => Address::Queue { name: shortened(name) },
            (Flaw::FanoutLost, Address::Fanout { topic }) => Address::Fanout { topic: format!("{topic}-lost") },
            _ => to.clone(),
        }
    }

    /// The address of flaws that depend on earlier operations; `None` discards the message.
    /// Addresses that no flaw concerns pass unchanged.
    async fn diverted(&self, to: Address) -> Option<Address> {
        match (self.flaw, to) {
            (Flaw::ReplyCrossed, Address::Direct { queue }) => {
                let before = self.last_queue.lock().await.replace(queue.clone());
                Some(Address::Direct { queue: before.unwrap_or(queue) })
            }
            (Flaw::DirectReachesInboxesAlone, Address::Direct { queue }) if !queue.starts_with("reply_") => None,
            (Flaw::FanoutLostByCut, Address::Fanout { .. }) if self.losses.any() => None,
            (Flaw::FanoutReachesOne, to @ Address::Fanout { .. }) => match self.last_server.lock().await.clone() {
                Some(Source::Server { exchange, topic, server }) => Some(Address::Server { exchange, topic, server }),
                _ => Some(to),
            },
            (_, to) => Some(to),
        }
    }

    /// Holds the first of two publishes until the second one is sent.
    /// The first publish succeeds at once. If no second one follows, its message is lost.
    async fn swapped(&self, to: &Address, message: Message, options: &PublishOptions) -> Result<()> {
        let mut held = self.held.lock().await;
        match held.take() {
            None => *held = Some((to.clone(), message)),
            Some((first_to, first)) => {
                self.inner.publish(to, message, options).await?;
                self.inner.publish(&first_to, first, options).await?;
            }
        }
        Ok(())
    }

    /// Returns the result of one publish from the next one.
    /// A return is reported by the publish after the one that it concerns, which itself succeeds.
    fn crossed(&self, outcome: Result<()>) -> Result<()> {
        let undeliverable = matches!(&outcome, Err(error) if error.kind() == ErrorKind::Undeliverable);
        if self.returned.swap(undeliverable, Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Undeliverable, "publish").with_executed(Executed::No));
        }
        if undeliverable { Ok(()) } else { outcome }
    }
}

#[async_trait]
impl Transport for FlawedTransport {
    /// `Flaw::Undeclared` hides one capability that the driver has.
    /// The case of that capability must notice that the driver does not refuse it.
    fn capabilities(&self) -> Capabilities {
        let declared = |capability| self.flaw != Flaw::Undeclared(capability);
        self.inner.capabilities().iter().filter(|capability| declared(*capability)).collect()
    }

    /// `NeverReadyAgain` falsifies only receivers that are made after a cut.
    fn health(&self) -> watch::Receiver<Health> {
        let stuck = self.flaw == Flaw::HealthStuck || (self.flaw == Flaw::NeverReadyAgain && self.losses.any());
        if stuck { self.health.subscribe() } else { self.inner.health() }
    }

    /// A publish that only declares is passed on unchanged and is not counted.
    async fn publish(&self, to: &Address, mut message: Message, options: &PublishOptions) -> Result<()> {
        if options.declare_only {
            return self.inner.publish(to, message, options).await;
        }
        let mut options = *options;
        let to = self.spoil(to, &mut message, &mut options);
        let Some(to) = self.diverted(to).await else { return Ok(()) };
        let number = self.published.fetch_add(1, Ordering::SeqCst);
        match self.flaw {
            Flaw::LostInSilence if number % 5 == 4 => Ok(()),
            Flaw::PublishedTwice => {
                self.inner.publish(&to, message.clone(), &options).await?;
                self.inner.publish(&to, message, &options).await
            }
            Flaw::OutOfOrder => self.swapped(&to, message, &options).await,
            Flaw::ReturnCrossed => self.crossed(self.inner.publish(&to, message, &options).await),
            _ => self.inner.publish(&to, message, &options).await,
        }
    }

    /// Changes the subscription before the driver sees it, or returns a listener that subscribes later.
    async fn subscribe(&self, subscription: &Subscription, deadline: Deadline) -> Result<Box<dyn Listener>> {
        let mut subscription = subscription.clone();
        match (self.flaw, &mut subscription.source) {
            (Flaw::WindowIgnored, _) => {
                let window = subscription.window.saturating_mul(NonZeroU16::new(100).expect("100 is not 0"));
                subscription.window = window;
            }
            (Flaw::SettledTooEarly, _) => subscription.settle = Settle::BeforeHandover,
            (Flaw::FanoutReachesOne, source @ Source::Server { .. }) => {
                *self.last_server.lock().await = Some(source.clone());
            }
            (Flaw::PoolNotShared, Source::Notifications { pool: Some(pool), .. }) => {
                pool.push_str(&uuid::Uuid::new_v4().to_string());
            }
            (Flaw::LongNameCut, Source::Queue { name }) => cut(name),
            (Flaw::HandedOverUnsettled, _) => subscription.settle = Settle::ByReceiver,
            (Flaw::ExchangeIgnored, Source::Server { exchange, .. }) => EVERY_EXCHANGE.clone_into(exchange),
            (Flaw::PriorityIgnored, Source::Notifications { addresses, .. }) => every_priority(addresses),
            (Flaw::PoolIgnored, Source::Notifications { pool, .. }) => *pool = None,
            _ => {}
        }
        let deadline = if self.flaw == Flaw::DeadlineIgnored { patient(deadline) } else { deadline };
        if self.flaw == Flaw::SubscribesLate && matches!(subscription.source, Source::Server { .. }) {
            return Ok(Box::new(FlawedListener::late(
                Arc::clone(&self.inner),
                subscription,
                self.flaw,
                self.losses.since_now(),
            )));
        }
        let inner = self.inner.subscribe(&subscription, deadline).await?;
        Ok(Box::new(FlawedListener::new(inner, self.flaw, Arc::clone(&self.closed), self.losses.since_now())))
    }

    async fn inspect(
        &self,
        address: &Address,
        deadline: Deadline,
    ) -> Result<Option<oslo_messaging::driver::QueueCounts>> {
        self.inner.inspect(address, deadline).await
    }

    /// `Flaw::CloseIsNothing` reports success and leaves every connection open.
    async fn close(&self, deadline: Deadline) -> Result<()> {
        if self.flaw == Flaw::CloseIsNothing { Ok(()) } else { self.inner.close(deadline).await }
    }
}

/// At least ten seconds from now, so that [`Flaw::DeadlineIgnored`] executes what came too late.
fn patient(deadline: Deadline) -> Deadline {
    deadline.max(Deadline::after(Duration::from_secs(10)))
}

/// Keeps the first 255 bytes of a name or of a header's value.
/// Cuts at a character boundary, so the rest may be up to three bytes shorter.
fn cut(text: &mut String) {
    let end = (0..=255.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.truncate(end.unwrap_or(0));
}

fn shortened(text: &str) -> String {
    let mut text = text.to_owned();
    cut(&mut text);
    text
}

/// Adds the address of every priority, for [`Flaw::PriorityIgnored`].
/// Of all priorities, only `info` and `error` are added.
fn every_priority(addresses: &mut Vec<Address>) {
    let named = std::mem::take(addresses);
    for address in named {
        let Address::Notification { exchange, topic, .. } = address else { continue };
        addresses.extend(["info", "error"].map(|priority| Address::Notification {
            exchange: exchange.clone(),
            topic: topic.clone(),
            priority: priority.to_owned(),
        }));
    }
}
