//! The order of messages of which some take long to decode.
//!
//! Messages are handed out in the order of their arrival. A large body is decoded on a blocking task and keeps its
//! place meanwhile, but only for [`KEPT_FOR`]; then the messages behind it pass and it follows when it is decoded.
//! This bounds the delay that one large message causes to the others.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use super::Charge;
use crate::Result;
use crate::driver::IncomingMessage;

/// How long a message that is being decoded keeps its place:
/// longer than decoding a few MiB takes, shorter than a caller notices.
const KEPT_FOR: Duration = Duration::from_millis(100);

/// A message with the result of decoding its body. Its taker settles it in either case.
pub(crate) struct Decoded<T> {
    /// Unsettled, or acknowledged by the driver before it was handed over.
    pub(crate) message: Box<dyn IncomingMessage>,
    /// Its decoded content, or why it cannot be decoded.
    pub(crate) content: Result<T>,
    /// What it holds of the budget, if it is large enough to count.
    pub(crate) charge: Option<Charge>,
}

/// Messages in the order in which they came, but that one which takes longer than 100 ms to decode loses its place.
#[derive(Debug)]
pub(super) struct ArrivalOrder<T> {
    /// Ascends and is never reused, so that a late result finds its own message or none.
    next: u64,
    /// In order of arrival; after `advance` the first one is still being decoded.
    places: VecDeque<Place<T>>,
    /// How many in `places` are decoded and held up. Counted, so that `held_up` need not search.
    decoded: usize,
    /// Messages that have lost their place and are still being decoded, by number.
    late: HashMap<u64, Box<dyn IncomingMessage>>,
    /// Messages whose turn has come, the next to be handed out first.
    ready: VecDeque<Decoded<T>>,
}

/// One message in the line, decoded or not yet.
#[derive(Debug)]
struct Place<T> {
    /// Ascending, so that a place is found by binary search.
    number: u64,
    /// Changes once, from `Pending` to `Decoded`.
    state: State<T>,
}

/// Whether the body of a message is decoded. A pending one holds up those behind it.
#[derive(Debug)]
enum State<T> {
    Decoded(Decoded<T>),
    Pending { message: Box<dyn IncomingMessage>, kept_until: Instant },
}

impl<T> ArrivalOrder<T> {
    pub(super) fn new() -> Self {
        Self { next: 0, places: VecDeque::new(), decoded: 0, late: HashMap::new(), ready: VecDeque::new() }
    }

    /// Puts a decoded message behind the others.
    ///
    /// If nothing is before it, its turn has come.
    pub(super) fn push(&mut self, decoded: Decoded<T>) {
        // Most messages take this way: without a large body before it a message needs no place.
        if self.places.is_empty() {
            self.ready.push_back(decoded);
        } else {
            self.place(State::Decoded(decoded));
            self.decoded += 1;
        }
    }

    /// Puts a message that is yet to be decoded behind the others;
    /// the number under which it is to be [`fill`](Self::fill)ed.
    pub(super) fn push_pending(&mut self, message: Box<dyn IncomingMessage>) -> u64 {
        self.place(State::Pending { message, kept_until: Instant::now() + KEPT_FOR })
    }

    /// Takes what was decoded under `number`.
    ///
    /// A message that lost its place follows those whose turn has come. An unknown number changes nothing.
    pub(super) fn fill(&mut self, number: u64, content: Result<T>, charge: Option<Charge>) {
        if let Some(message) = self.late.remove(&number) {
            return self.ready.push_back(Decoded { message, content, charge });
        }
        let Ok(index) = self.places.binary_search_by_key(&number, |place| place.number) else { return };
        // Removed and inserted again, since the message moves from one state into the other.
        let Some(place) = self.places.remove(index) else { return };
        let State::Pending { message, .. } = place.state else { return };
        self.places.insert(index, Place { number, state: State::Decoded(Decoded { message, content, charge }) });
        self.decoded += 1;
    }

    /// Takes messages whose turn has come, `max` at most.
    pub(super) fn take(&mut self, max: usize) -> Vec<Decoded<T>> {
        self.advance();
        let count = self.ready.len().min(max);
        self.ready.drain(..count).collect()
    }

    /// When the first place is lost; `None` if there is none.
    pub(super) fn kept_until(&self) -> Option<Instant> {
        match self.places.front()?.state {
            State::Pending { kept_until, .. } => Some(kept_until),
            State::Decoded(_) => None,
        }
    }

    /// How many decoded messages wait for one before them.
    ///
    /// The listener subtracts it from the next poll, so that they do not pile up.
    pub(super) fn held_up(&self) -> usize {
        self.decoded
    }

    /// Every message in it, in about the order in which they came.
    pub(super) fn into_messages(self) -> impl Iterator<Item = Box<dyn IncomingMessage>> {
        let in_places = self.places.into_iter().map(|place| match place.state {
            State::Decoded(decoded) => decoded.message,
            State::Pending { message, .. } => message,
        });
        // Late messages came before those in places, but their order among each other is lost.
        self.ready.into_iter().map(|decoded| decoded.message).chain(self.late.into_values()).chain(in_places)
    }

    /// Whether no message is left: neither ready, nor late, nor in a place.
    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty() && self.late.is_empty() && self.ready.is_empty()
    }

    /// Appends a place; its number is higher than those of all places before it.
    fn place(&mut self, state: State<T>) -> u64 {
        let number = self.next;
        self.next += 1;
        self.places.push_back(Place { number, state });
        number
    }

    /// Moves on from the front whatever is decoded or has lost its place.
    ///
    /// Ends at the first place that is still being decoded in time.
    fn advance(&mut self) {
        let now = Instant::now();
        while let Some(Place { number, state }) = self.places.pop_front() {
            match state {
                State::Decoded(decoded) => {
                    self.decoded -= 1;
                    self.ready.push_back(decoded);
                }
                // It goes on being decoded, and `fill` finds it under `late`.
                State::Pending { message, kept_until } if kept_until <= now => {
                    self.late.insert(number, message);
                }
                state @ State::Pending { .. } => return self.places.push_front(Place { number, state }),
            }
        }
    }
}

impl<T> fmt::Debug for Decoded<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoded").field("message", &self.message).finish_non_exhaustive()
    }
}
