//! A program of notifications: listeners, and acts of steps that run at the same time.

use std::collections::BTreeSet;

use oslo_messaging::Priority;

use super::Tell;
use crate::Disturbance;

/// Listeners, and acts that are played one after the other. Make one with the methods, or print one to get them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Program {
    pub(crate) listeners: Vec<Listener>,
    pub(crate) acts: Vec<Act>,
    pub(crate) limit: Option<Disturbance>,
    /// The notifiers that processes of another implementation play.
    pub(crate) foreign_notifiers: BTreeSet<usize>,
}

/// A listener that a program can start, by its place in the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    pub(crate) exchange: String,
    pub(crate) topics: Vec<String>,
    pub(crate) priorities: Vec<Priority>,
    pub(crate) reads: Reads,
    pub(crate) types: String,
    pub(crate) publisher: Option<String>,
    pub(crate) batch: Option<usize>,
    pub(crate) concurrency: usize,
    pub(crate) tries: u32,
    pub(crate) drops: bool,
    /// Whether a process of another implementation plays it.
    pub(crate) foreign: bool,
}

/// Whose copy of the events is read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reads {
    Everybodys,
    Pool(String),
    Own,
}

/// Steps that run at the same time. Those of one notifier go out in their order, each when the one before it is
/// confirmed. The act ends when every step has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Act {
    pub(crate) steps: Vec<Step>,
    pub(crate) settle: bool,
}

/// One thing that is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Start {
        listener: usize,
    },
    Stop {
        listener: usize,
    },
    Kill {
        listener: usize,
    },
    Tell {
        notifier: usize,
        tell: Tell,
    },
    /// Every connection is lost, once so many things have happened since the act began or nothing does any more.
    Cut {
        after: usize,
    },
}

impl Step {
    /// How often it is done.
    pub(crate) fn times(&self) -> usize {
        match self {
            Self::Tell { tell, .. } => tell.times,
            Self::Start { .. } | Self::Stop { .. } | Self::Kill { .. } | Self::Cut { .. } => 1,
        }
    }

    /// The listener that it is done to.
    pub(crate) fn listener(&self) -> Option<usize> {
        match self {
            Self::Start { listener } | Self::Stop { listener } | Self::Kill { listener } => Some(*listener),
            Self::Tell { .. } | Self::Cut { .. } => None,
        }
    }
}

impl Program {
    /// A program without listeners and acts.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a listener.
    #[must_use]
    pub fn listener(mut self, listener: Listener) -> Self {
        self.listeners.push(listener);
        self
    }

    /// Adds an act.
    #[must_use]
    pub fn act(mut self, act: Act) -> Self {
        self.acts.push(act);
        self
    }

    /// Has a foreign process play a notifier.
    #[must_use]
    pub fn foreign_notifier(mut self, notifier: usize) -> Self {
        self.foreign_notifiers.insert(notifier);
        self
    }

    /// Limits the deliveries of its queues. Needs a harness that can do that: [`Disturbance::Limit`] or
    /// [`Disturbance::LimitFailures`].
    #[must_use]
    pub fn limited_by(mut self, limit: Disturbance) -> Self {
        self.limit = Some(limit);
        self
    }

    /// How many notifiers there are.
    pub(crate) fn notifiers(&self) -> usize {
        let notifier = |step: &Step| match step {
            Step::Tell { notifier, .. } => notifier + 1,
            Step::Start { .. } | Step::Stop { .. } | Step::Kill { .. } | Step::Cut { .. } => 0,
        };
        self.acts.iter().flat_map(|act| &act.steps).map(notifier).max().unwrap_or(0)
    }
}

impl Listener {
    /// A listener to the events of `priority` on `topic` of `exchange`, in the copy that all share who have no pool.
    #[must_use]
    pub fn new(exchange: &str, topic: &str, priority: Priority) -> Self {
        Self {
            exchange: exchange.to_owned(),
            topics: vec![topic.to_owned()],
            priorities: vec![priority],
            reads: Reads::Everybodys,
            types: "*".to_owned(),
            publisher: None,
            batch: None,
            concurrency: 50,
            tries: 5,
            drops: false,
            foreign: false,
        }
    }

    /// Listens to `topic` as well.
    #[must_use]
    pub fn topic(mut self, topic: &str) -> Self {
        self.topics.push(topic.to_owned());
        self
    }

    /// Listens to `priority` as well.
    #[must_use]
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priorities.push(priority);
        self
    }

    /// Is a member of the pool called `name`.
    #[must_use]
    pub fn pool(mut self, name: &str) -> Self {
        self.reads = Reads::Pool(name.to_owned());
        self
    }

    /// Has a copy of its own, which goes with it.
    #[must_use]
    pub fn tap(mut self) -> Self {
        self.reads = Reads::Own;
        self
    }

    /// Handles only types of events like `pattern`: one name, or what comes before a `*`.
    #[must_use]
    pub fn types(mut self, pattern: &str) -> Self {
        pattern.clone_into(&mut self.types);
        self
    }

    /// Handles only events of publishers whose name begins so.
    #[must_use]
    pub fn publisher(mut self, name: &str) -> Self {
        self.publisher = Some(name.to_owned());
        self
    }

    /// Handles so many events at once, or those that came within a third of the budget of silence.
    #[must_use]
    pub fn batch(mut self, size: usize) -> Self {
        self.batch = Some(size);
        self
    }

    /// Runs so many handlers at once. Default: 50.
    #[must_use]
    pub fn concurrency(mut self, handlers: usize) -> Self {
        self.concurrency = handlers;
        self
    }

    /// Tries an event so often. Default: 5.
    #[must_use]
    pub fn tries(mut self, tries: u32) -> Self {
        self.tries = tries;
        self
    }

    /// Drops what it gives up, and makes no dead letter of it.
    #[must_use]
    pub fn drops(mut self) -> Self {
        self.drops = true;
        self
    }

    /// Is played by a foreign process.
    #[must_use]
    pub fn foreign(mut self) -> Self {
        self.foreign = true;
        self
    }

    /// Whether no event can overtake one of its own priority. It can if batches are worked on at once: in one of them it
    /// may wait for the handler of another priority.
    pub(crate) fn starts_in_turn(&self) -> bool {
        self.batch.is_none() || self.concurrency == 1 || self.priorities.len() == 1
    }
}

impl Act {
    /// An act without steps.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a listener.
    #[must_use]
    pub fn start(mut self, listener: usize) -> Self {
        self.steps.push(Step::Start { listener });
        self
    }

    /// Stops a listener and waits until it has ended.
    #[must_use]
    pub fn stop(mut self, listener: usize) -> Self {
        self.steps.push(Step::Stop { listener });
        self
    }

    /// Drops a listener in the middle of what it does.
    #[must_use]
    pub fn kill(mut self, listener: usize) -> Self {
        self.steps.push(Step::Kill { listener });
        self
    }

    /// Has a notifier tell an event.
    #[must_use]
    pub fn tell(mut self, notifier: usize, tell: Tell) -> Self {
        self.steps.push(Step::Tell { notifier, tell });
        self
    }

    /// Loses every connection in the middle of the act, after so many events of its history; each is made again. Needs a
    /// harness that can [cut](crate::Disturbance::Cut).
    #[must_use]
    pub fn cut(mut self, after: usize) -> Self {
        self.steps.push(Step::Cut { after });
        self
    }

    /// Waits, when every step has ended, until everything is handled or given up that can be.
    #[must_use]
    pub fn settle(mut self) -> Self {
        self.settle = true;
        self
    }
}
