//! The copies of messages in queues: where each is, and whether it must still come.

use std::collections::BTreeMap;

use crate::programs::delivery::Reader;

/// What the model knows of one queue: which copies it must, may or must not deliver.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// By the number of the message, of which a queue has one copy.
    pub(super) copies: BTreeMap<usize, Item>,
    /// How many readers are open on it. Without one, a private queue may expire.
    pub(super) readers: usize,
    /// Whether any reader of it has stopped, closed, been dropped or lost its connection, so that messages came back.
    pub(super) has_lost_a_reader: bool,
    /// The reader that its messages need, if a publisher declared the queue.
    pub(super) ensured_for: Option<Reader>,
}

/// One message in one queue. A fanout makes one for each queue that it reaches.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) state: State,
    /// The transport that published it. Order holds for each publisher.
    pub(super) publisher: usize,
    /// Whether it was delivered before, so that its next delivery must be marked.
    pub(super) seen: bool,
    /// Whether the queue had no reader since it was published.
    pub(super) unread: bool,
    /// Matters only while the copy waits.
    pub(super) fate: Fate,
    /// The reader whose cancelled poll may have begun to settle it.
    pub(super) settling_at: Option<usize>,
    /// Whether a listener may have buffered it as settled while the bus delivers it again.
    pub(super) doubled: bool,
}

/// Whether a waiting copy must be delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It must be: nothing allows the bus to drop it.
    Comes,
    /// It may have expired: it is short-lived, and no wait has passed yet.
    MayExpire,
    /// It has expired and must not be delivered.
    Expired,
    /// It may be gone for another reason.
    MayBeGone,
}

/// Where a copy is, as far as the program can know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// In its queue, or buffered by a listener that has not returned it.
    Waiting,
    /// Unsettled at a reader, under a token.
    Held(usize, usize),
    /// Settled so recently that the settlement may not have reached the bus.
    Settled,
    /// It must never come again.
    Gone,
}

impl Item {
    /// Every copy begins in its queue.
    pub(super) fn new(publisher: usize, fate: Fate, unread: bool) -> Self {
        Self { state: State::Waiting, publisher, seen: false, unread, fate, settling_at: None, doubled: false }
    }

    /// Whether it waits, and nothing allows the bus to drop it.
    pub(super) fn is_due(&self) -> bool {
        self.state == State::Waiting && self.fate == Fate::Comes
    }

    /// It must not be delivered again, unless the next cut comes before the settlement arrives.
    pub(super) fn settle(&mut self) {
        self.state = State::Settled;
    }

    /// Time has passed: a settlement has reached the bus.
    /// Copies in hand and in queues stay as they are.
    pub(super) fn wait(&mut self) {
        if self.state == State::Settled {
            self.state = State::Gone;
        }
    }

    /// It must be delivered again.
    /// Whether it may expire does not change.
    pub(super) fn give_back(&mut self) {
        self.state = State::Waiting;
    }

    /// It need not be delivered any more.
    /// If it comes nevertheless, that alone breaks no rule.
    pub(super) fn doubt(&mut self) {
        self.fate = Fate::MayBeGone;
    }
}
