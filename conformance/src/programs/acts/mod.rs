//! Acts: what programs of RPC and of notifications are made of. An actor is a server
//! or a listener, a message a request or an event.

pub(crate) mod cuts;
pub(crate) mod history;

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde::{Deserialize, Serialize};

/// Steps that run at the same time. Those of one sender go out in their order. The act ends when every step has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Act<M> {
    pub(crate) steps: Vec<Step<M>>,
    /// Whether the program then waits until everything has run that must run.
    #[serde(default)]
    pub(crate) settle: bool,
}

/// One step. Actors and senders are named by their index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Step<M> {
    Start {
        actor: usize,
    },
    /// Stops an actor and waits until it has ended.
    Stop {
        actor: usize,
    },
    /// Stops a server with so little time that it must drop what waits or runs there. No listener is stopped so.
    Hurry {
        actor: usize,
    },
    /// Drops an actor without stopping it, as a crash would.
    Kill {
        actor: usize,
    },
    /// Sends a message; the step ends when its sender knows the result.
    Send {
        sender: usize,
        message: M,
    },
    /// Cuts every connection once `after` more events are in the history, or no more come. Each connection is restored.
    /// Needs a harness that can [cut](crate::Disturbance::Cut).
    Cut {
        after: usize,
    },
}

impl<M> Step<M> {
    /// The actor that the step starts or ends.
    pub(crate) fn actor(&self) -> Option<usize> {
        match self {
            Self::Start { actor } | Self::Stop { actor } | Self::Hurry { actor } | Self::Kill { actor } => Some(*actor),
            Self::Send { .. } | Self::Cut { .. } => None,
        }
    }

    /// The same field as [`actor`](Self::actor), for renumbering.
    fn actor_mut(&mut self) -> Option<&mut usize> {
        match self {
            Self::Start { actor } | Self::Stop { actor } | Self::Hurry { actor } | Self::Kill { actor } => Some(actor),
            Self::Send { .. } | Self::Cut { .. } => None,
        }
    }

    /// `None` for every step but a send.
    fn message(&self) -> Option<(usize, &M)> {
        if let Self::Send { sender, message } = self { Some((*sender, message)) } else { None }
    }
}

/// Which actors are up, and which an act has started or ended already.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    /// After the steps that were taken so far.
    pub(crate) up: BTreeSet<usize>,
    /// Steps of one act run at the same time, so a second start or stop in it would have no defined order.
    touched: BTreeSet<usize>,
}

impl Turns {
    /// `up` holds the actors that the program starts before its first act.
    pub(crate) fn new(up: BTreeSet<usize>) -> Self {
        Self { up, touched: BTreeSet::new() }
    }

    /// Actors start and end in turn, each at most once in an act.
    pub(crate) fn next_act(&mut self) {
        self.touched.clear();
    }

    /// Whether the step is possible now. Takes it if so.
    /// A step of an actor that was started or ended in this act is not possible.
    pub(crate) fn take<M>(&mut self, step: &Step<M>) -> bool {
        match step {
            Step::Start { actor } => self.touched.insert(*actor) && self.up.insert(*actor),
            Step::Stop { actor } | Step::Hurry { actor } | Step::Kill { actor } => {
                self.touched.insert(*actor) && self.up.remove(actor)
            }
            Step::Send { .. } | Step::Cut { .. } => true,
        }
    }
}

/// The messages in the order of their steps, each with its sender. One that is sent several times comes once.
pub(crate) fn messages<M>(acts: &[Act<M>]) -> impl Iterator<Item = (usize, &M)> {
    acts.iter().flat_map(|act| &act.steps).filter_map(Step::message)
}

/// One more than the highest index of a sender, also if a lower one sends nothing.
pub(crate) fn senders<M>(acts: &[Act<M>]) -> usize {
    messages(acts).map(|(sender, _)| sender + 1).max().unwrap_or(0)
}

/// How many steps there are, when a message is sent as often as `times` says.
pub(crate) fn size<M>(acts: &[Act<M>], times: impl Fn(&M) -> usize) -> usize {
    let steps = acts.iter().flat_map(|act| &act.steps);
    steps.map(|step| step.message().map_or(1, |(_, message)| times(message))).sum()
}

/// Whether actors start and end in turn, each at most once in an act.
/// All actors are down at the begin.
pub(crate) fn are_whole<M>(acts: &[Act<M>]) -> bool {
    let mut turns = Turns::default();
    acts.iter().all(|act| {
        turns.next_act();
        act.steps.iter().all(|step| turns.take(step))
    })
}

/// The acts without one act or without one step, as far as the rest is possible: acts first, since they are larger.
pub(crate) fn smaller<M: Clone>(acts: &[Act<M>]) -> Vec<Vec<Act<M>>> {
    let without_act = (0..acts.len()).map(|act| [&acts[..act], &acts[act + 1..]].concat());
    let without_step = acts.iter().enumerate().flat_map(|(at, act)| {
        (0..act.steps.len()).map(move |step| {
            let mut acts = acts.to_vec();
            acts[at].steps.remove(step);
            acts
        })
    });
    let mut smaller: Vec<_> = without_act.chain(without_step).collect();
    smaller.retain(|acts| are_whole(acts));
    smaller
}

/// The acts without an actor and without the steps that start and end it.
/// Later actors get the next lower index.
pub(crate) fn without_actor<M: Clone>(acts: &[Act<M>], gone: usize) -> Vec<Act<M>> {
    let mut acts = acts.to_vec();
    for act in &mut acts {
        act.steps.retain(|step| step.actor() != Some(gone));
        for actor in act.steps.iter_mut().filter_map(Step::actor_mut) {
            *actor -= usize::from(*actor > gone);
        }
    }
    acts
}

/// Generates a cut, early or late in its act.
/// Three of four come within the next dozen events.
pub(crate) fn cut<M: std::fmt::Debug>() -> impl Strategy<Value = Step<M>> {
    prop_oneof![3 => 0..12_usize, 1 => 12..60_usize].prop_map(|after| Step::Cut { after })
}

/// Each builder appends one step, so that a test reads like its program.
#[cfg(test)]
impl<M> Act<M> {
    pub(crate) fn new() -> Self {
        Self { steps: Vec::new(), settle: false }
    }

    fn step(mut self, step: Step<M>) -> Self {
        self.steps.push(step);
        self
    }

    pub(crate) fn start(self, actor: usize) -> Self {
        self.step(Step::Start { actor })
    }

    pub(crate) fn stop(self, actor: usize) -> Self {
        self.step(Step::Stop { actor })
    }

    pub(crate) fn hurry(self, actor: usize) -> Self {
        self.step(Step::Hurry { actor })
    }

    pub(crate) fn kill(self, actor: usize) -> Self {
        self.step(Step::Kill { actor })
    }

    pub(crate) fn send(self, sender: usize, message: M) -> Self {
        self.step(Step::Send { sender, message })
    }

    pub(crate) fn cut(self, after: usize) -> Self {
        self.step(Step::Cut { after })
    }

    pub(crate) fn settle(self) -> Self {
        Self { settle: true, ..self }
    }
}

/// Builders of one type, with which tests write programs: each sets one field.
macro_rules! setters {
    ($type:ty { $($name:ident($($argument:ident: $of:ty)?) => $field:ident = $value:expr;)+ }) => {
        #[cfg(test)]
        impl $type {
            $(pub(crate) fn $name(mut self $(, $argument: $of)?) -> Self {
                self.$field = $value;
                self
            })+
        }
    };
}
pub(crate) use setters;
