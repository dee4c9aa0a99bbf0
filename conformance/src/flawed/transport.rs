//! The flaws of a transport.

use std::num::NonZeroU16;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use oslo_messaging::{
    Address, Capabilities, Deadline, Error, ErrorKind, Health, Listener, Message, PublishOptions, Result, Settle,
    Source, State, Subscription, Transport,
};
use tokio::sync::{Mutex, watch};

use super::Flaw;
use super::listener::FlawedListener;

/// Where everything goes if exchanges are ignored. Topics have names of their own, so cases still do not meet.
const EVERY_EXCHANGE: &str = "every-exchange";

#[derive(Debug)]
pub(super) struct FlawedTransport {
    inner: Arc<dyn Transport>,
    flaw: Flaw,
    published: AtomicU64,
    returned: AtomicBool,
    /// The publish that waits to change places with the next one.
    held: Mutex<Option<(Address, Message)>>,
    health: watch::Sender<Health>,
}

impl FlawedTransport {
    pub(super) fn new(inner: Arc<dyn Transport>, flaw: Flaw) -> Self {
        let health = watch::Sender::new(Health::new(State::Connecting));
        let (published, returned, held) = (AtomicU64::new(0), AtomicBool::new(false), Mutex::new(None));
        Self { inner, flaw, published, returned, held, health }
    }

    /// What becomes of the address, the message and the options before they reach the driver.
    fn spoil(&self, to: &Address, message: &mut Message, options: &mut PublishOptions) -> Address {
        match self.flaw {
            Flaw::MandatoryIgnored => options.mandatory = false,
            Flaw::MandatoryAlways => options.mandatory = true,
            Flaw::QueueNotEnsured => options.ensure_queue = false,
            Flaw::DeadlineIgnored => options.deadline = patient(options.deadline),
            Flaw::ExpirationIgnored => message.expiration = None,
            Flaw::ExpiresAtOnce => message.expiration = message.expiration.map(|_| Duration::ZERO),
            Flaw::HeadersLost => message.headers.clear(),
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
            (Flaw::FanoutLost, Address::Fanout { topic }) => Address::Fanout { topic: format!("{topic}-lost") },
            _ => to.clone(),
        }
    }

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

    /// Tells the return of one publish to the next one.
    fn crossed(&self, outcome: Result<()>) -> Result<()> {
        let undeliverable = matches!(&outcome, Err(error) if error.kind() == ErrorKind::Undeliverable);
        if self.returned.swap(undeliverable, Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Undeliverable, "publish"));
        }
        if undeliverable { Ok(()) } else { outcome }
    }
}

#[async_trait]
impl Transport for FlawedTransport {
    fn capabilities(&self) -> Capabilities {
        let declared = |capability| self.flaw != Flaw::Undeclared(capability);
        self.inner.capabilities().iter().filter(|capability| declared(*capability)).collect()
    }

    fn health(&self) -> watch::Receiver<Health> {
        if self.flaw == Flaw::HealthStuck { self.health.subscribe() } else { self.inner.health() }
    }

    async fn publish(&self, to: &Address, mut message: Message, options: &PublishOptions) -> Result<()> {
        let mut options = *options;
        let to = self.spoil(to, &mut message, &mut options);
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

    async fn subscribe(&self, subscription: &Subscription, deadline: Deadline) -> Result<Box<dyn Listener>> {
        let mut subscription = subscription.clone();
        match (self.flaw, &mut subscription.source) {
            (Flaw::WindowIgnored, _) => {
                let window = subscription.window.saturating_mul(NonZeroU16::new(100).expect("100 is not 0"));
                subscription.window = window;
            }
            (Flaw::HandedOverUnsettled, _) => subscription.settle = Settle::ByReceiver,
            (Flaw::ExchangeIgnored, Source::Server { exchange, .. }) => EVERY_EXCHANGE.clone_into(exchange),
            (Flaw::PriorityIgnored, Source::Notifications { addresses, .. }) => every_priority(addresses),
            (Flaw::PoolIgnored, Source::Notifications { pool, .. }) => *pool = None,
            _ => {}
        }
        let deadline = if self.flaw == Flaw::DeadlineIgnored { patient(deadline) } else { deadline };
        let inner = self.inner.subscribe(&subscription, deadline).await?;
        Ok(Box::new(FlawedListener::new(inner, self.flaw)))
    }

    async fn close(&self, deadline: Deadline) -> Result<()> {
        if self.flaw == Flaw::CloseIsNothing { Ok(()) } else { self.inner.close(deadline).await }
    }
}

fn patient(deadline: Deadline) -> Deadline {
    deadline.max(Deadline::after(Duration::from_secs(10)))
}

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
