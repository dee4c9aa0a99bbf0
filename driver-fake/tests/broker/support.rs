//! What the tests of the fake share.

use std::num::{NonZeroU16, NonZeroUsize};
use std::time::Duration;

use oslo_messaging::driver::{
    Address, IncomingMessage, Listener, Message, PublishOptions, Settle, Source, Subscription, Transport,
};
use oslo_messaging::{Deadline, Result};
use oslo_messaging_fake::FakeTransport;

/// How long what must happen may take; ends early.
pub(crate) const ARRIVE: Duration = Duration::from_secs(10);
/// How long silence must hold; virtual time, so it costs nothing.
pub(crate) const QUIET: Duration = Duration::from_secs(60);

pub(crate) fn soon() -> Deadline {
    Deadline::after(ARRIVE)
}

pub(crate) fn plain() -> PublishOptions {
    PublishOptions::by(soon())
}

pub(crate) fn mandatory() -> PublishOptions {
    plain().mandatory()
}

pub(crate) fn max(messages: usize) -> NonZeroUsize {
    NonZeroUsize::new(messages).unwrap()
}

pub(crate) fn topic() -> Address {
    Address::Topic { exchange: "nova".into(), topic: "compute".into() }
}

pub(crate) fn fanout() -> Address {
    Address::Fanout { topic: "compute".into() }
}

pub(crate) fn durable(name: &str) -> Address {
    Address::Queue { name: name.into() }
}

pub(crate) fn info() -> Address {
    Address::Notification { exchange: "nova".into(), topic: "notifications".into(), priority: "info".into() }
}

pub(crate) fn server(name: &str) -> Subscription {
    Subscription::new(Source::Server { exchange: "nova".into(), topic: "compute".into(), server: name.into() })
}

pub(crate) fn queue(name: &str) -> Subscription {
    Subscription::new(Source::Queue { name: name.into() })
}

pub(crate) fn inbox() -> Subscription {
    Subscription::new(Source::Inbox)
}

/// `subscription`, handing over at most `window` unsettled messages.
pub(crate) fn narrow(subscription: Subscription, window: u16) -> Subscription {
    subscription.with_window(NonZeroU16::new(window).unwrap())
}

pub(crate) fn careless(subscription: Subscription) -> Subscription {
    subscription.with_settle(Settle::BeforeHandover)
}

pub(crate) async fn listen(transport: &FakeTransport, subscription: &Subscription) -> Box<dyn Listener> {
    transport.subscribe(subscription, soon()).await.unwrap()
}

pub(crate) async fn send(transport: &FakeTransport, to: &Address, body: &str) {
    transport.publish(to, Message::new(body.to_owned()), &plain()).await.unwrap();
}

/// Publishes what must fail.
pub(crate) async fn fail(transport: &FakeTransport, to: &Address, options: &PublishOptions) -> oslo_messaging::Error {
    transport.publish(to, Message::new("x"), options).await.unwrap_err()
}

pub(crate) async fn receive(listener: &mut Box<dyn Listener>) -> Box<dyn IncomingMessage> {
    some(listener, 1).await.pop().unwrap()
}

/// One poll for `count` messages at most, which must bring some.
pub(crate) async fn some(listener: &mut Box<dyn Listener>, count: usize) -> Vec<Box<dyn IncomingMessage>> {
    poll(listener, count).await.unwrap().expect("it is not stopped")
}

pub(crate) async fn poll(
    listener: &mut Box<dyn Listener>,
    count: usize,
) -> Result<Option<Vec<Box<dyn IncomingMessage>>>> {
    soon().run("poll", listener.poll(max(count))).await.expect("a poll ends within its budget")
}

pub(crate) async fn expect_silence(listener: &mut Box<dyn Listener>) {
    let polled = tokio::time::timeout(QUIET, listener.poll(max(1))).await;
    assert!(polled.is_err(), "silence was expected: {polled:?}");
}

pub(crate) fn body(message: &dyn IncomingMessage) -> &str {
    std::str::from_utf8(&message.message().body).unwrap()
}

pub(crate) fn bodies(messages: &[Box<dyn IncomingMessage>]) -> Vec<&str> {
    messages.iter().map(|message| body(&**message)).collect()
}
