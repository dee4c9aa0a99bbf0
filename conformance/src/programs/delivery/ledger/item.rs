//! A copy of a message in a queue.

use std::collections::BTreeMap;

use crate::programs::delivery::Reader;

/// A queue.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// By the number of the message.
    pub(super) copies: BTreeMap<usize, Item>,
    /// How many readers it has.
    pub(super) readers: usize,
    /// Whether one of its readers has stopped, closed, been dropped or lost its connection, so that what it was handed came
    /// back.
    pub(super) has_lost_a_reader: bool,
    /// Whoever reads it, if a publisher made it.
    pub(super) ensured_for: Option<Reader>,
}

/// One message in one queue.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) state: State,
    pub(super) publisher: usize,
    /// Whether somebody was handed it before.
    pub(super) seen: bool,
    /// Whether nobody read the queue since it was published.
    pub(super) unread: bool,
    pub(super) fate: Fate,
    /// Whose poll was given up while it waited, and may have begun to settle it.
    pub(super) settling_at: Option<usize>,
    /// Whether a listener may have it in memory, settled, while the bus hands it over once more.
    pub(super) doubled: bool,
}

/// Whether a copy that waits must come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It must.
    Comes,
    /// It may expire within the program, or have done so.
    MayExpire,
    /// It surely has expired, and must not come.
    Expired,
    /// It may be gone for another reason.
    MayBeGone,
}

/// Where a copy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Waiting,
    /// In the hand of a reader, under a token.
    Held(usize, usize),
    /// Settled, so shortly ago that the bus may not have heard of it.
    Settled,
    Gone,
}

impl Item {
    pub(super) fn new(publisher: usize, fate: Fate, unread: bool) -> Self {
        Self { state: State::Waiting, publisher, seen: false, unread, fate, settling_at: None, doubled: false }
    }

    /// Whether it must still be handed over.
    pub(super) fn is_due(&self) -> bool {
        self.state == State::Waiting && self.fate == Fate::Comes
    }

    pub(super) fn settle(&mut self) {
        self.state = State::Settled;
    }

    /// Time has passed.
    pub(super) fn wait(&mut self) {
        if self.state == State::Settled {
            self.state = State::Gone;
        }
    }

    pub(super) fn give_back(&mut self) {
        self.state = State::Waiting;
    }

    pub(super) fn doubt(&mut self) {
        self.fate = Fate::MayBeGone;
    }
}
