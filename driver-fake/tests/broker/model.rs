//! Random programs against a simple model: no message is lost or delivered twice without a mark, and one consumer sees a queue
//! in order.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU16;

use futures_util::FutureExt;
use oslo_messaging::driver::{IncomingMessage, Listener, Settle, Subscription};
use oslo_messaging_fake::{FakeBroker, FakeTransport};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use crate::support::*;

const QUEUES: [&str; 2] = ["left", "right"];

/// One step of a program. Indices are taken modulo what exists.
#[derive(Debug, Clone, Copy)]
enum Step {
    Publish { queue: usize },
    Subscribe { queue: usize, settle: Settle, window: u16 },
    Poll { listener: usize, max: usize },
    Acknowledge { held: usize },
    Requeue { held: usize },
    Forget { held: usize },
    Stop { listener: usize },
    Close { listener: usize },
    Drop { listener: usize },
    Cut { transport: usize },
}

fn step() -> impl Strategy<Value = Step> {
    let settle = prop_oneof![Just(Settle::ByReceiver), Just(Settle::BeforeHandover)];
    prop_oneof![
        8 => any::<usize>().prop_map(|queue| Step::Publish { queue }),
        2 => (any::<usize>(), settle, 1..5u16)
            .prop_map(|(queue, settle, window)| Step::Subscribe { queue, settle, window }),
        6 => (any::<usize>(), 1..4usize).prop_map(|(listener, max)| Step::Poll { listener, max }),
        4 => any::<usize>().prop_map(|held| Step::Acknowledge { held }),
        2 => any::<usize>().prop_map(|held| Step::Requeue { held }),
        1 => any::<usize>().prop_map(|held| Step::Forget { held }),
        1 => any::<usize>().prop_map(|listener| Step::Stop { listener }),
        1 => any::<usize>().prop_map(|listener| Step::Close { listener }),
        1 => any::<usize>().prop_map(|listener| Step::Drop { listener }),
        1 => any::<usize>().prop_map(|transport| Step::Cut { transport }),
    ]
}

/// What must be true of every message: its number is its body.
#[derive(Debug, Default)]
struct Model {
    published: BTreeMap<u32, usize>,
    seen: BTreeSet<u32>,
    settled: BTreeSet<u32>,
}

impl Model {
    fn publish(&mut self, queue: usize) -> String {
        let number = u32::try_from(self.published.len()).unwrap();
        self.published.insert(number, queue);
        number.to_string()
    }

    /// Checks one delivery. What is marked may have been handed over and never polled; what is not marked is new.
    fn deliver(&mut self, message: &dyn IncomingMessage, queue: usize) -> Result<u32, TestCaseError> {
        let number: u32 = body(message).parse().unwrap();
        prop_assert_eq!(self.published.get(&number), Some(&queue), "{} came from the wrong queue", number);
        prop_assert!(!self.settled.contains(&number), "{} came after it was settled", number);
        let is_new = self.seen.insert(number);
        prop_assert!(is_new || message.redelivered(), "{} came twice without a mark", number);
        Ok(number)
    }
}

struct Reader {
    listener: Box<dyn Listener>,
    transport: usize,
    queue: usize,
    settle: Settle,
    /// The last number polled that was not marked; the next one of this queue for this reader is greater.
    last_new: Option<u32>,
}

struct Held {
    message: Box<dyn IncomingMessage>,
    number: u32,
}

#[derive(Default)]
struct Program {
    broker: FakeBroker,
    model: Model,
    transports: Vec<FakeTransport>,
    readers: Vec<Reader>,
    held: Vec<Held>,
}

impl Program {
    fn new() -> Self {
        let broker = FakeBroker::new();
        let transports = vec![broker.transport(), broker.transport()];
        Self { broker, transports, ..Self::default() }
    }

    async fn run(&mut self, steps: &[Step]) -> Result<(), TestCaseError> {
        for step in steps {
            self.step(*step).await?;
        }
        self.drain().await
    }

    async fn step(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Publish { queue } => {
                let queue = queue % QUEUES.len();
                let number = self.model.publish(queue);
                send(&self.transports[0], &durable(QUEUES[queue]), &number).await;
            }
            Step::Subscribe { queue: index, settle, window } => {
                let index = index % QUEUES.len();
                let transport = self.readers.len() % self.transports.len();
                self.subscribe(transport, index, settle, window).await;
            }
            Step::Poll { listener, max } => {
                if let Some(reader) = pick(&mut self.readers, listener) {
                    take(reader, max, &mut self.model, &mut self.held)?;
                }
            }
            Step::Acknowledge { held } => {
                if let Some(held) = pull(&mut self.held, held)
                    && held.message.acknowledge().await.is_ok()
                {
                    self.model.settled.insert(held.number);
                }
            }
            Step::Requeue { held } => {
                if let Some(held) = pull(&mut self.held, held) {
                    let _ = held.message.requeue().await;
                }
            }
            Step::Forget { held } => drop(pull(&mut self.held, held)),
            Step::Stop { listener } => {
                if let Some(reader) = pick(&mut self.readers, listener) {
                    let _ = reader.listener.stop(soon()).await;
                }
            }
            Step::Close { listener } => {
                if let Some(reader) = pull(&mut self.readers, listener) {
                    let _ = reader.listener.close(soon()).await;
                }
            }
            Step::Drop { listener } => drop(pull(&mut self.readers, listener)),
            Step::Cut { transport } => self.cut(transport),
        }
        Ok(())
    }

    async fn subscribe(&mut self, transport: usize, index: usize, settle: Settle, window: u16) {
        let window = NonZeroU16::new(window).unwrap();
        let subscription: Subscription = queue(QUEUES[index]).with_settle(settle).with_window(window);
        let listener = listen(&self.transports[transport], &subscription).await;
        self.readers.push(Reader { listener, transport, queue: index, settle, last_new: None });
    }

    /// Cuts a transport and puts a new one in its place.
    fn cut(&mut self, transport: usize) {
        let index = transport % self.transports.len();
        self.broker.faults().disconnect(&self.transports[index]);
        self.transports[index] = self.broker.transport();
        self.readers.retain(|reader| reader.transport != index);
    }

    /// Ends every reader, and reads the rest: what was published and not settled must be there, in order.
    async fn drain(&mut self) -> Result<(), TestCaseError> {
        self.held.clear();
        self.readers.clear();
        for (index, name) in QUEUES.into_iter().enumerate() {
            self.subscribe(0, index, Settle::BeforeHandover, 3).await;
            let mut reader = self.readers.pop().unwrap();
            let mut rest = Vec::new();
            while self.broker.queue(name).is_some_and(|queue| queue.ready + queue.unsettled > 0) {
                for message in some(&mut reader.listener, 5).await {
                    rest.push(self.model.deliver(&*message, index)?);
                }
            }
            let unsettled = |number: &&u32| !self.model.settled.contains(number);
            let published = self.model.published.iter().filter(|(_, queue)| **queue == index);
            let expected: Vec<u32> = published.map(|(number, _)| number).filter(unsettled).copied().collect();
            prop_assert_eq!(rest, expected, "what is left of '{}', in order", name);
            reader.listener.close(soon()).await.unwrap();
        }
        prop_assert!(self.broker.leftovers().is_empty(), "{}", self.broker.leftovers());
        Ok(())
    }
}

/// Polls once, if something is ready.
fn take(
    reader: &mut Reader,
    max_messages: usize,
    model: &mut Model,
    held: &mut Vec<Held>,
) -> Result<(), TestCaseError> {
    let Some(polled) = reader.listener.poll(max(max_messages)).now_or_never() else { return Ok(()) };
    let messages = polled.expect("readers of cut transports are gone").unwrap_or_default();
    prop_assert!(messages.len() <= max_messages);
    for message in messages {
        let number = model.deliver(&*message, reader.queue)?;
        if !message.redelivered() {
            prop_assert!(reader.last_new < Some(number), "{} came after {:?}", number, reader.last_new);
            reader.last_new = Some(number);
        }
        match reader.settle {
            Settle::BeforeHandover => drop(model.settled.insert(number)),
            Settle::ByReceiver => held.push(Held { message, number }),
        }
    }
    Ok(())
}

fn pick<T>(items: &mut [T], index: usize) -> Option<&mut T> {
    let count = items.len();
    items.get_mut(index.checked_rem(count)?)
}

fn pull<T>(items: &mut Vec<T>, index: usize) -> Option<T> {
    let index = index.checked_rem(items.len())?;
    Some(items.remove(index))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_or_doubled_unmarked_and_order_holds(steps in prop::collection::vec(step(), 1..120)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(Program::new().run(&steps))?;
    }
}
