//! The order and the budget of decoded messages, while the test decides when a body is decoded.

use std::collections::VecDeque;
use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use tokio::time::{advance, timeout};

use super::*;
use crate::driver::{Address, DeliveryCount, Message};
use crate::wire;

/// A listener that hands over what it was made with, then nothing, until it is stopped.
#[derive(Debug)]
struct Given {
    address: Address,
    messages: VecDeque<Message>,
    stopped: bool,
}

#[derive(Debug)]
struct InHand(Message, bool);

#[async_trait]
impl Listener for Given {
    fn address(&self) -> &Address {
        &self.address
    }

    async fn poll(&mut self, max: NonZeroUsize) -> Result<Option<Vec<Box<dyn IncomingMessage>>>> {
        let count = max.get().min(self.messages.len());
        match self.messages.drain(..count).map(|message| Box::new(InHand(message, false)) as _).collect::<Vec<_>>() {
            messages if !messages.is_empty() => Ok(Some(messages)),
            _ if self.stopped => Ok(None),
            _ => pending().await,
        }
    }

    async fn stop(&mut self, _: Deadline) -> Result<()> {
        self.stopped = true;
        Ok(())
    }

    async fn close(self: Box<Self>, _: Deadline) -> Result<()> {
        Ok(())
    }
}

#[async_trait]
impl IncomingMessage for InHand {
    fn message(&self) -> &Message {
        &self.0
    }

    fn redelivered(&self) -> bool {
        self.1
    }

    async fn acknowledge(self: Box<Self>) -> Result<()> {
        Ok(())
    }

    async fn requeue(self: Box<Self>) -> Result<()> {
        Ok(())
    }

    async fn reject(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}

/// What holds the decoding of the messages of one test that begin with `!`.
#[derive(Default)]
struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    const fn new() -> Self {
        Self { open: Mutex::new(false), opened: Condvar::new() }
    }

    fn open(&self) {
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.opened.notify_all();
    }

    fn pass(&self) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.opened.wait_timeout_while(open, Duration::from_secs(30), |open| !*open);
        assert!(!waited.unwrap_or_else(PoisonError::into_inner).1.timed_out(), "the test opens its gate");
    }
}

fn name(body: &Bytes) -> String {
    String::from_utf8_lossy(&body[..body.len().min(8)]).trim().to_owned()
}

/// A message over 1 MiB, compressed.
fn large(name: &str) -> Message {
    wire::message(format!("{name:8}{}", "x".repeat(LARGE)).into(), Some(Compression::Zlib))
}

fn listener(
    settle: Settle,
    limit: usize,
    budget: &Arc<Budget>,
    messages: Vec<Message>,
    read: DecodeFn<String>,
) -> DecodingListener<String> {
    let address = Address::Direct { queue: "q".to_owned() };
    let listener = Box::new(Given { address, messages: messages.into(), stopped: false });
    DecodingListener::new(listener, settle, limit, Arc::clone(budget), read)
}

/// What comes without waiting for time or for a blocking task.
async fn now(listener: &mut DecodingListener<String>, max: usize) -> Vec<String> {
    let max = NonZeroUsize::new(max).unwrap();
    for _ in 0..20 {
        if let Some(polled) = listener.poll(max).now_or_never() {
            return names(polled.unwrap().unwrap());
        }
        yield_now().await;
    }
    Vec::new()
}

async fn soon(listener: &mut DecodingListener<String>, max: usize) -> Vec<String> {
    let polled = timeout(Duration::from_secs(60), listener.poll(NonZeroUsize::new(max).unwrap())).await;
    polled.unwrap().unwrap().map(names).unwrap_or_default()
}

fn names(decoded: Vec<Decoded<String>>) -> Vec<String> {
    decoded.into_iter().map(|decoded| decoded.content.unwrap_or_else(|error| error.to_string())).collect()
}

#[tokio::test(start_paused = true)]
async fn a_large_message_keeps_its_place_for_100_ms_and_then_those_behind_it_pass() {
    static GATE: Gate = Gate::new();
    let read = |body: &Bytes| {
        if body.starts_with(b"!") {
            GATE.pass();
        }
        Ok(name(body))
    };
    let budget = Budget::new("requests", 1 << 30);
    let messages = vec![Message::new("first"), large("!slow"), Message::new("second"), Message::new("third")];
    let mut listener = listener(Settle::ByReceiver, 4 * LARGE, &budget, messages, read);
    assert_eq!(now(&mut listener, 10).await, ["first"]);
    advance(Duration::from_millis(99)).await;
    assert!(now(&mut listener, 10).await.is_empty(), "its place is kept");
    advance(Duration::from_millis(2)).await;
    assert_eq!(now(&mut listener, 10).await, ["second", "third"]);
    GATE.open();
    assert_eq!(soon(&mut listener, 10).await, ["!slow"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_decoded_in_time_comes_in_order() {
    let budget = Budget::new("requests", 1 << 30);
    let messages = vec![large("one"), Message::new("two"), large("three"), Message::new("four")];
    let mut listener = listener(Settle::ByReceiver, 4 * LARGE, &budget, messages, |body| Ok(name(body)));
    let mut came = Vec::new();
    while came.len() < 4 {
        came.extend(soon(&mut listener, 10).await);
    }
    assert_eq!(came, ["one", "two", "three", "four"]);
}

#[tokio::test(start_paused = true)]
async fn many_large_messages_hold_up_those_behind_them_once_also_one_at_a_time() {
    static GATE: Gate = Gate::new();
    let read = |body: &Bytes| {
        if body.starts_with(b"!") {
            GATE.pass();
        }
        Ok(name(body))
    };
    let budget = Budget::new("requests", 1 << 30);
    let mut messages: Vec<_> = (0..20).map(|_| large("!slow")).collect();
    messages.push(Message::new("behind"));
    let mut listener = listener(Settle::BeforeHandover, 4 * LARGE, &budget, messages, read);
    assert!(now(&mut listener, 1).await.is_empty());
    advance(Duration::from_millis(101)).await;
    assert_eq!(now(&mut listener, 1).await, ["behind"]);
    GATE.open();
}

#[tokio::test(start_paused = true)]
async fn where_the_budget_is_full_nothing_is_taken_until_a_message_is_done_with() {
    static READ: AtomicUsize = AtomicUsize::new(0);
    let read = |body: &Bytes| {
        READ.fetch_add(1, Ordering::Relaxed);
        Ok(name(body))
    };
    let budget = Budget::new("requests", 2 * COUNTED);
    let body = |name: &str| Message::new(format!("{name:8}{}", "x".repeat(COUNTED)));
    let messages = vec![body("one"), body("two"), body("three"), body("four")];
    let mut listener = listener(Settle::BeforeHandover, LARGE, &budget, messages, read);
    let max = NonZeroUsize::MIN;
    let first = listener.poll(max).await.unwrap().unwrap();
    let second = listener.poll(max).await.unwrap().unwrap();
    assert!(now(&mut listener, 1).await.is_empty());
    assert_eq!(READ.load(Ordering::Relaxed), 2, "and nothing is decoded");
    drop(first);
    assert_eq!(soon(&mut listener, 1).await, ["three"]);
    drop(second);
    assert_eq!(soon(&mut listener, 1).await, ["four"]);
}

#[tokio::test(start_paused = true)]
async fn what_was_acknowledged_comes_after_a_stop_though_the_budget_is_full() {
    let budget = Budget::new("requests", COUNTED);
    let body = |name: &str| Message::new(format!("{name:8}{}", "x".repeat(2 * COUNTED)));
    let messages = vec![body("one"), body("two"), large("three")];
    let mut listener = listener(Settle::BeforeHandover, 4 * LARGE, &budget, messages, |body| Ok(name(body)));
    let many = NonZeroUsize::new(10).unwrap();
    let one = listener.poll(many).await.unwrap().unwrap();
    assert!(now(&mut listener, 10).await.is_empty());
    listener.stop(Deadline::after(Duration::from_secs(1))).await.unwrap();
    let two = listener.poll(many).await.unwrap().unwrap();
    drop((one, two));
    assert_eq!(listener.rest().await.unwrap().content.unwrap(), "three");
    assert!(listener.rest().await.is_none());
    assert!(!budget.is_full());
}

#[tokio::test(start_paused = true)]
async fn what_the_receiver_settles_goes_back_at_a_stop_unless_the_broker_would_drop_it() {
    let budget = Budget::new("requests", 1 << 30);
    let last = DeliveryCount { failed: 3, limit: Some(3) };
    let first = DeliveryCount { failed: 0, limit: Some(3) };
    let messages =
        vec![large("kept").with_delivery_count(last), large("back").with_delivery_count(first), large("back")];
    let mut listener = listener(Settle::ByReceiver, 4 * LARGE, &budget, messages, |body| Ok(name(body)));
    assert!(listener.poll(NonZeroUsize::new(10).unwrap()).now_or_never().is_none());
    listener.stop(Deadline::after(Duration::from_secs(1))).await.unwrap();
    assert_eq!(soon(&mut listener, 10).await, ["kept"]);
    assert!(soon(&mut listener, 10).await.is_empty(), "the rest went back");
    assert!(!budget.is_full());
}

#[tokio::test(start_paused = true)]
async fn a_body_over_the_limit_is_an_error_and_holds_nothing() {
    for limit in [LARGE / 2, LARGE, LARGE + 7] {
        let budget = Budget::new("requests", LARGE);
        let mut listener = listener(Settle::ByReceiver, limit, &budget, vec![large("bomb")], |body| Ok(name(body)));
        let came = listener.poll(NonZeroUsize::MIN).await.unwrap().unwrap();
        let error = came[0].content.as_ref().expect_err("it is over the limit");
        assert_eq!(error.kind(), ErrorKind::TooLarge, "{limit}: {error}");
        assert!(came[0].charge.is_none() && !budget.is_full());
    }
}

#[tokio::test(start_paused = true)]
async fn a_large_body_that_came_uncompressed_leaves_the_intake_too() {
    static GATE: Gate = Gate::new();
    let read = |body: &Bytes| {
        if body.starts_with(b"!") {
            GATE.pass();
        }
        Ok(name(body))
    };
    let budget = Budget::new("requests", 1 << 30);
    let plain = Message::new(format!("{:8}{}", "!slow", "x".repeat(LARGE)));
    let messages = vec![plain, Message::new("behind")];
    let mut listener = listener(Settle::ByReceiver, LARGE, &budget, messages, read);
    assert!(now(&mut listener, 10).await.is_empty());
    advance(Duration::from_millis(101)).await;
    assert_eq!(now(&mut listener, 10).await, ["behind"]);
    GATE.open();
    assert_eq!(soon(&mut listener, 10).await, ["!slow"]);
}
