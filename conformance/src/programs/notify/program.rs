//! A program of notifications: listeners, and acts that are played one after the other.

use std::collections::BTreeSet;

use oslo_messaging::Priority;
use serde::{Deserialize, Serialize};

use super::{Event, priority};
use crate::Disturbance;
use crate::programs::acts::{self, setters};
use crate::programs::json::display_as_json;

/// Listeners, and acts that are played one after the other.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Program {
    #[serde(default)]
    pub(crate) listeners: Vec<Listener>,
    #[serde(default)]
    pub(crate) acts: Vec<Act>,
    /// [`Disturbance::Limit`], [`Disturbance::LimitFailures`], or no delivery limit.
    pub(crate) limit: Option<Disturbance>,
    /// The notifiers that processes of another implementation play.
    #[serde(default)]
    pub(crate) foreign_notifiers: BTreeSet<usize>,
}

/// A listener that a program can start. Steps name it by its index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Listener {
    /// The exchange of all its topics.
    pub(crate) exchange: String,
    /// At least one.
    pub(crate) topics: Vec<String>,
    /// At least one.
    #[serde(with = "priority::list")]
    pub(crate) priorities: Vec<Priority>,
    pub(crate) reads: Reads,
    /// The event types that its handler takes: one name, or a prefix before `*`.
    pub(crate) types: String,
    /// The prefix of the publishers whose events its handler takes.
    pub(crate) publisher: Option<String>,
    /// The size of the largest batch, which waits a third of [`Budget::quiet`](crate::Budget::quiet).
    /// `None` if events are handled one by one.
    pub(crate) batch: Option<usize>,
    /// How many of its handlers run at once; other events wait.
    pub(crate) concurrency: usize,
    /// How often its failure policy tries an event.
    pub(crate) tries: u32,
    /// Whether it drops an event that it gives up, instead of making a dead letter of it.
    #[serde(default)]
    pub(crate) drops: bool,
    /// Whether a process of another implementation plays it.
    #[serde(default)]
    pub(crate) foreign: bool,
}

/// From which queue a listener reads its copy of the events.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reads {
    /// The queue `topic.priority`, which all listeners without a pool share.
    Shared,
    /// The queue of a pool, which its members share.
    Pool(String),
    /// A queue of its own, deleted with it: a tap.
    Private,
}

/// The steps of one act, which are under way at once.
pub(crate) type Act = acts::Act<Event>;

/// One step of an act: an event, or the start or end of a listener.
pub(crate) type Step = acts::Step<Event>;

display_as_json!(Program);

impl Program {
    /// How many notifiers there are: one more than the highest index in the steps.
    pub(crate) fn notifiers(&self) -> usize {
        acts::senders(&self.acts)
    }

    /// Programs with one listener, act or step less; the larger parts first.
    pub(crate) fn smaller(&self) -> Vec<Self> {
        let without_listener = (0..self.listeners.len()).map(|gone| {
            let mut program = Self { acts: acts::without_actor(&self.acts, gone), ..self.clone() };
            program.listeners.remove(gone);
            program
        });
        let smaller = acts::smaller(&self.acts).into_iter().map(|acts| Self { acts, ..self.clone() });
        without_listener.filter(|program| acts::are_whole(&program.acts)).chain(smaller).collect()
    }
}

impl Listener {
    /// A listener of one topic and priority, without a pool: 50 handlers, 5 tries, dead letters.
    pub(crate) fn new(exchange: &str, topic: &str, priority: Priority) -> Self {
        Self {
            exchange: exchange.to_owned(),
            topics: vec![topic.to_owned()],
            priorities: vec![priority],
            reads: Reads::Shared,
            types: "*".to_owned(),
            publisher: None,
            batch: None,
            concurrency: 50,
            tries: 5,
            drops: false,
            foreign: false,
        }
    }

    /// Whether handlers start in the order of the events of one priority. They do not if batches run concurrently: an
    /// event may wait in its batch for the handler of another priority.
    pub(crate) fn starts_in_turn(&self) -> bool {
        self.batch.is_none() || self.concurrency == 1 || self.priorities.len() == 1
    }
}

setters!(Listener {
    pool(name: &str) => reads = Reads::Pool(name.to_owned());
    tap() => reads = Reads::Private;
    types(pattern: &str) => types = pattern.to_owned();
    publisher(name: &str) => publisher = Some(name.to_owned());
    batch(size: usize) => batch = Some(size);
    concurrency(handlers: usize) => concurrency = handlers;
    tries(tries: u32) => tries = tries;
    drops() => drops = true;
    foreign() => foreign = true;
});

/// Builders, with which tests write programs.
#[cfg(test)]
impl Listener {
    pub(crate) fn topic(mut self, topic: &str) -> Self {
        self.topics.push(topic.to_owned());
        self
    }

    pub(crate) fn priority(mut self, priority: Priority) -> Self {
        self.priorities.push(priority);
        self
    }
}

#[cfg(test)]
impl Program {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn listener(mut self, listener: Listener) -> Self {
        self.listeners.push(listener);
        self
    }

    pub(crate) fn act(mut self, act: Act) -> Self {
        self.acts.push(act);
        self
    }

    pub(crate) fn foreign_notifier(mut self, notifier: usize) -> Self {
        self.foreign_notifiers.insert(notifier);
        self
    }

    pub(crate) fn limited_by(self, limit: Disturbance) -> Self {
        Self { limit: Some(limit), ..self }
    }
}
