//! The end of a program: every listener runs once more, then every queue is read.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::time::Duration;

use futures_util::future::try_join_all;
use oslo_messaging::driver::{Address, Source, Subscription, Transport};
use oslo_messaging::notify::{DeadLetters, DeadReason};
use oslo_messaging::wire::Notification;
use tokio::time::timeout;

use super::Play;
use crate::Failed;
use crate::programs::acts;
use crate::programs::notify::handler::{detail, heard, unheard};
use crate::programs::notify::history::{Counted, Dead, Happened, Heard, Letter};
use crate::programs::notify::model::queue;
use crate::programs::notify::program::{Reads, Step};
use crate::programs::notify::timeline::Timeline;
use crate::programs::notify::{Event, Listener};

/// The longest that a listener keeps an event before it requeues it.
const LONGEST_RETURN: Duration = Duration::from_secs(5);

/// The reason of a dead letter that reached the delivery limit of its queue.
const AT_LIMIT: &str = "delivery_limit";

/// Queues by their names in the program, each with the subscription that reads it.
type Queues = BTreeMap<String, (Reads, Vec<Event>)>;

impl Play<'_> {
    /// Starts the listeners that are down, waits for what can be handled, stops all of them, and reads the queues.
    pub(super) async fn end(&self) -> Result<(), Failed> {
        let running = Timeline::new(self.program, &self.log.history()).running();
        let all = 0..self.program.listeners.len();
        let missing = all.clone().filter(|listener| !running.contains(listener));
        futures_util::future::join_all(missing.map(|listener| self.perform(Step::Start { actor: listener }))).await;
        self.settle().await;
        self.fall_silent().await;
        futures_util::future::join_all(all.map(|listener| self.perform(Step::Stop { actor: listener }))).await;
        self.log.note(Happened::Counted(self.counted()));
        // Ends the delivery limits, so that reading a queue does not exceed them.
        self.stage.calm().await?;
        let transport = self.stage.connect().await?;
        let (queues, read) = (self.queues(), self.read());
        let lying = try_join_all(queues.iter().map(|(name, read)| self.look(&*transport, name, read)));
        let bus = self.stage.bus().await?;
        let dead = try_join_all(read.iter().map(|name| self.dead_letters(&bus, name)));
        let (lying, dead) = futures_util::try_join!(lying, dead)?;
        for letter in lying.into_iter().chain(dead).flatten() {
            self.log.note(Happened::Found(letter));
        }
        Ok(())
    }

    /// Waits until nothing more happens, also to second copies, which are never [due](Timeline::due).
    async fn fall_silent(&self) {
        let quiet = self.stage.budget().quiet;
        self.log.quiet(quiet).await;
        if Timeline::new(self.program, &self.log.history()).comes_again() {
            self.log.quiet(LONGEST_RETURN + quiet).await;
        }
    }

    /// The counters of all listeners of this process. Every program has its own recorder.
    fn counted(&self) -> Counted {
        let ended = |outcome| self.stage.tally().of(&format!("oslo_messaging_notifications_total {outcome}"));
        Counted { handled: ended("handled"), dead: ended("dead_letter"), dropped: ended("dropped") }
    }

    /// The queues that may exist at the end, without private ones.
    fn queues(&self) -> Queues {
        let sent = acts::messages(&self.program.acts).map(|(_, event)| (Reads::Shared, event.clone()));
        let listened = self.program.listeners.iter().flat_map(fed);
        let mut queues = Queues::new();
        for (reads, event) in sent.chain(listened) {
            if let Some(name) = queue(&reads, &event) {
                queues.entry(name).or_insert_with(|| (reads, Vec::new())).1.push(event);
            }
        }
        queues
    }

    /// The names of the shared queues that have a reader.
    fn read(&self) -> Vec<String> {
        let read = self.program.listeners.iter().flat_map(fed).filter_map(|(reads, event)| queue(&reads, &event));
        let mut read: Vec<String> = read.collect();
        read.sort_unstable();
        read.dedup();
        read
    }

    /// Acknowledges what it reads, so that the bus holds nothing afterwards.
    async fn look(
        &self,
        transport: &dyn Transport,
        name: &str,
        (reads, fed): &(Reads, Vec<Event>),
    ) -> Result<Vec<Letter>, Failed> {
        let pool = matches!(reads, Reads::Pool(_)).then(|| self.stage.name(name));
        let mut addresses: Vec<Address> = fed.iter().map(|event| self.address(event)).collect();
        // Without a pool, each address is a queue of its own.
        addresses.truncate(if pool.is_some() { addresses.len() } else { 1 });
        let subscription = Subscription::new(Source::Notifications { addresses, pool });
        let mut listener = transport.subscribe(&subscription, self.stage.soon()).await?;
        let mut letters = Vec::new();
        while let Ok(polled) = timeout(self.stage.budget().quiet, listener.poll(NonZeroUsize::MIN)).await {
            for message in polled?.ok_or("the listener of a queue ended")? {
                let heard = match Notification::decode(message.message()) {
                    Ok(notification) => unheard(&self.log, &notification),
                    Err(error) => no_notification(&error.to_string()),
                };
                letters.push(Letter { queue: name.to_owned(), dead: None, heard });
                message.acknowledge().await?;
            }
        }
        listener.close(self.stage.soon()).await?;
        Ok(letters)
    }

    /// Discards each letter after it was compared: no program leaves any behind.
    async fn dead_letters(&self, bus: &oslo_messaging::Bus, name: &str) -> Result<Vec<Letter>, Failed> {
        let whole = self.whole(name);
        let mut dead = DeadLetters::open(bus, &whole, self.stage.soon()).await?;
        let mut letters = Vec::new();
        while let Some(letter) = dead.next(self.stage.budget().quiet).await? {
            let info = letter.info();
            let known = (0..self.program.listeners.len()).any(|listener| detail(listener) == info.detail);
            let at_limit = info.reason.to_string() == AT_LIMIT;
            let right = info.queue == whole && (at_limit || (info.reason == DeadReason::Failed && known));
            let wrong = (!right).then(|| format!("{info:?}"));
            let dead = Some(Dead { tries: info.attempts, at_limit, wrong });
            let heard = match letter.event().and_then(|event| Ok(event.clone().with_payload(event.payload.decode()?))) {
                Ok(event) => heard(&self.log, &event),
                Err(error) => no_notification(&error.to_string()),
            };
            letters.push(Letter { queue: name.to_owned(), dead, heard });
            letter.discard().await?;
        }
        dead.close(self.stage.soon()).await?;
        Ok(letters)
    }

    fn address(&self, event: &Event) -> Address {
        let (exchange, topic) = (self.stage.name(&event.exchange), self.stage.name(&event.topic));
        Address::Notification { exchange, topic, priority: event.priority.as_str().to_owned() }
    }

    /// The name on the bus of a queue of the program.
    fn whole(&self, name: &str) -> String {
        match name.split_once('.') {
            Some((topic, priority)) => format!("{}.{priority}", self.stage.name(topic)),
            None => self.stage.name(name),
        }
    }
}

/// One event for each address that a listener listens to, with the copy that it reads.
fn fed(listener: &Listener) -> Vec<(Reads, Event)> {
    let of = |topic| listener.priorities.iter().map(move |priority| Event::new(&listener.exchange, topic, *priority));
    listener.topics.iter().flat_map(|topic| of(topic)).map(|event| (listener.reads.clone(), event)).collect()
}

/// A message that could not be decoded breaks the rule that events arrive unchanged.
fn no_notification(error: &str) -> Heard {
    Heard {
        number: None,
        attempt: 0,
        redelivered: false,
        message_id: String::new(),
        wrong: Some(format!("no notification: {error}")),
    }
}
