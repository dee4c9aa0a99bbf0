//! A listener that decodes messages before it hands them over, within the limits of the bus.
//!
//! It wraps the driver's listener: decompresses and decodes bodies within the limits of the bus, small ones inline
//! and large ones on a blocking task, and charges them to the budget. While the budget is full it polls nothing, so
//! the broker's prefetch window fills and the broker stops delivering.
//!
//! A decoded message comes out in order of arrival. One large body delays those behind it by 100 ms at most.

use std::collections::VecDeque;
use std::future::ready;
use std::num::NonZeroUsize;
use std::sync::Arc;

use bytes::Bytes;
use tokio::task::{JoinSet, spawn_blocking, yield_now};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::arrival_order::ArrivalOrder;
use super::{Budget, Charge, Decoded, LARGE};
use crate::driver::{IncomingMessage, Listener, Settle};
use crate::wire::Compression;
use crate::wire::compression::{header, inflate, too_large};
use crate::{Deadline, Error, ErrorKind, Result};

/// Bodies up to this length do not count: the window bounds how many of them there are.
const COUNTED: usize = 4 << 10;
/// After one body of more bytes than this was decoded inline, the task yields to others.
const SLICE: usize = 64 << 10;

/// Decodes one body, on the task of the listener or, if it is large, on a blocking thread.
/// A plain function without state, since it also runs on blocking tasks.
pub(crate) type DecodeFn<T> = fn(&Bytes) -> Result<T>;

/// A [`Listener`] whose messages come decoded, in order as long as none takes over 100 ms.
#[derive(Debug)]
pub(crate) struct DecodingListener<T> {
    /// `None` once it was given up.
    listener: Option<Box<dyn Listener>>,
    /// Decides whether undelivered messages go back when the listener stops: what was acknowledged cannot.
    settle: Settle,
    /// How many bytes a decompressed body may have.
    /// Of the bus, see `BusBuilder::decompressed_limit`.
    limit: usize,
    /// The one of the bus for replies, or the one for requests and events; shared with its other listeners.
    budget: Arc<Budget>,
    /// Makes the content of a body; runs inline for small bodies.
    read: DecodeFn<T>,
    /// Taken from the listener and not looked at yet.
    taken: VecDeque<Box<dyn IncomingMessage>>,
    /// Decoded messages and those that are being decoded, in order of arrival.
    order: ArrivalOrder<T>,
    /// The large bodies that are decoded on blocking tasks.
    /// Replacing the set aborts the tasks.
    jobs: JoinSet<DecodedBody<T>>,
    /// How the listener ended; kept back until everything that was taken before is handed over.
    end: Option<Result<()>>,
    /// Whether the listener was stopped: what it still returns was acknowledged and is decoded whatever the budget.
    stopped: bool,
}

/// A large body that was decoded: its number in the line, what was in it, what it costs.
type DecodedBody<T> = (u64, Result<T>, Option<Charge>);

/// Where a body is decoded: here, or on a blocking task because it is large.
enum DecodePlan {
    /// It is small, and decompressed already: decode it here.
    Read(Bytes),
    /// It is over [`LARGE`], or would be once decompressed.
    /// Carries the compression that is still to be undone; `None` for a body that came without.
    OnBlockingTask(Option<Compression>),
}

impl<T: Send + 'static> DecodingListener<T> {
    /// Reads with `read` what comes from `listener`, whose messages are settled as `settle` says.
    ///
    /// Does not poll before the first `poll`.
    pub(crate) fn new(
        listener: Box<dyn Listener>,
        settle: Settle,
        limit: usize,
        budget: Arc<Budget>,
        read: DecodeFn<T>,
    ) -> Self {
        Self {
            listener: Some(listener),
            settle,
            limit,
            budget,
            read,
            taken: VecDeque::new(),
            order: ArrivalOrder::new(),
            jobs: JoinSet::new(),
            end: None,
            stopped: false,
        }
    }

    /// As [`Listener::poll`]. What could not be decoded comes with the reason.
    ///
    /// While the budget is full nothing is taken from the listener, until it was stopped:
    /// what it hands over then was acknowledged before.
    ///
    /// Errors: as [`Listener::poll`], once everything that was acknowledged has come.
    ///
    /// Cancellation: safe; the messages of a dropped call come from the next one.
    pub(crate) async fn poll(&mut self, max: NonZeroUsize) -> Result<Option<Vec<Decoded<T>>>> {
        let max = max.get();
        loop {
            self.decode_taken().await;
            let decoded = self.order.take(max);
            if !decoded.is_empty() {
                return Ok(Some(decoded));
            }
            if let Some(end) = self.end.clone().filter(|_| self.is_empty()) {
                return end.map(|()| None);
            }
            // Read once for all arms below: the budget changes on other tasks.
            let full = !self.stopped && self.budget.is_full();
            let more = NonZeroUsize::new(max.saturating_sub(self.order.held_up()));
            let more = more.filter(|_| !full && self.end.is_none() && self.taken.is_empty());
            let kept_until = self.order.kept_until();
            tokio::select! {
                biased;
                Some(joined) = self.jobs.join_next(), if !self.jobs.is_empty() => self.note(joined),
                polled = poll(&mut self.listener, more.unwrap_or(NonZeroUsize::MIN)), if more.is_some() => self.take(polled),
                () = sleep_until(kept_until.unwrap_or_else(Instant::now)), if kept_until.is_some() => {}
                () = self.budget.room(), if full => {}
                // The budget has made room since it was looked at above.
                () = ready(()), if !full && !self.taken.is_empty() => {}
                else => return Err(Error::closed("poll")),
            }
        }
    }

    /// Gives up the listener, for its owner to close.
    /// What was taken from it before still comes out of [`rest`](Self::rest).
    pub(crate) fn detach(&mut self) -> Option<Box<dyn Listener>> {
        self.stopped = true;
        self.end.get_or_insert(Ok(()));
        self.listener.take()
    }

    /// The next of what was taken before [`detach`](Self::detach); `None` if that was all.
    ///
    /// Cancellation: safe; the message of a dropped call comes from the next one.
    pub(crate) async fn rest(&mut self) -> Option<Decoded<T>> {
        self.end.get_or_insert(Ok(()));
        self.poll(NonZeroUsize::MIN).await.ok().flatten().and_then(|mut decoded| decoded.pop())
    }

    /// As [`Listener::stop`]. What was not handed over yet is given back to the broker,
    /// unless it was acknowledged or the broker would drop it.
    ///
    /// Errors: those of [`Listener::stop`]; what can go back to the broker has gone back all the same.
    pub(crate) async fn stop(&mut self, deadline: Deadline) -> Result<()> {
        self.stopped = true;
        let stopped = match &mut self.listener {
            Some(listener) => listener.stop(deadline).await,
            None => Ok(()),
        };
        // Before the stop the broker could deliver the messages to this listener again, which would count once more.
        self.give_back();
        stopped
    }

    /// Gives the unsettled messages back first, then closes the driver's listener unless it was given up.
    ///
    /// Errors: those of [`Listener::close`]; everything local is released all the same.
    pub(crate) async fn close(mut self, deadline: Deadline) -> Result<()> {
        let listener = self.detach();
        // What is unsettled in it goes back first.
        drop(self);
        match listener {
            Some(listener) => listener.close(deadline).await,
            None => Ok(()),
        }
    }

    /// Whether nothing waits here: neither undecoded, nor being decoded, nor decoded.
    fn is_empty(&self) -> bool {
        self.taken.is_empty() && self.order.is_empty()
    }

    /// Gives back what was not handed over yet, if it can be.
    ///
    /// Only where the receiver settles: dropping the message requeues it. A message that the broker would drop stays,
    /// to be handed over. Running decompressions are abandoned.
    fn give_back(&mut self) {
        if self.settle == Settle::ByReceiver {
            self.jobs = JoinSet::new();
            let in_order = std::mem::replace(&mut self.order, ArrivalOrder::new()).into_messages();
            self.taken =
                in_order.chain(self.taken.drain(..)).filter(|message| message.message().is_last_delivery()).collect();
        }
    }

    /// Stores polled messages, or how the listener ended.
    ///
    /// An error is kept until all that came before it was handed over.
    fn take(&mut self, polled: Result<Option<Vec<Box<dyn IncomingMessage>>>>) {
        match polled {
            Ok(Some(messages)) => self.taken.extend(messages),
            Ok(None) => self.end = Some(Ok(())),
            Err(error) => {
                self.end = Some(Err(error));
                self.give_back();
            }
        }
    }

    /// Decodes what was taken, as far as the budget has room;
    /// after a longer body it stops, so that it is handed over and others have a turn.
    ///
    /// After the stop, and after the end of the listener, the budget does not hold it back.
    async fn decode_taken(&mut self) {
        while self.stopped || self.end.is_some() || !self.budget.is_full() {
            let Some(message) = self.taken.pop_front() else { return };
            let length = self.decode(message);
            if length > SLICE {
                return yield_now().await;
            }
        }
    }

    /// Puts `message` in line, decoded or on its way; how many bytes were decoded here.
    fn decode(&mut self, message: Box<dyn IncomingMessage>) -> usize {
        match self.plan(message.as_ref()) {
            Ok(DecodePlan::OnBlockingTask(compression)) => {
                let body = message.message().body.clone();
                // Charged before the task runs: large bodies that wait stop the polling as well.
                let charge = Charge::waiting(&self.budget, body.len());
                let number = self.order.push_pending(message);
                self.decode_on_blocking_task(number, body, compression, charge);
                if compression.is_some() { LARGE } else { 0 }
            }
            Ok(DecodePlan::Read(body)) => {
                let length = body.len();
                let charge = (length > COUNTED).then(|| Charge::held(&self.budget, length));
                let content = (self.read)(&body);
                self.order.push(Decoded { message, content, charge });
                length
            }
            Err(error) => {
                self.order.push(Decoded { message, content: Err(error), charge: None });
                0
            }
        }
    }

    /// Decides from the header and a first decompression up to [`LARGE`] where a body is decoded.
    ///
    /// Errors: `Decode` for an unknown compression or broken data; `TooLarge` if the body exceeds the limit of the bus
    /// and the first decompression shows it.
    fn plan(&self, message: &dyn IncomingMessage) -> Result<DecodePlan> {
        let message = message.message();
        let Some(compression) = header(message)? else {
            let large = message.body.len() > LARGE;
            return Ok(if large { DecodePlan::OnBlockingTask(None) } else { DecodePlan::Read(message.body.clone()) });
        };
        match inflate(compression, &message.body, self.limit.min(LARGE), |_| Ok(()))? {
            Some(body) => Ok(DecodePlan::Read(body)),
            None if self.limit <= LARGE => Err(too_large(self.limit)),
            None => Ok(DecodePlan::OnBlockingTask(Some(compression))),
        }
    }

    /// Decodes a large body on a blocking task, when it is its turn.
    ///
    /// One body at a time for each budget:
    /// the semaphore `turn` bounds the blocking threads that decompression can occupy.
    fn decode_on_blocking_task(
        &mut self,
        number: u64,
        body: Bytes,
        compression: Option<Compression>,
        mut charge: Charge,
    ) {
        let (budget, limit, read) = (Arc::clone(&self.budget), self.limit, self.read);
        self.jobs.spawn(async move {
            budget.may_decode().await;
            let turn = Arc::clone(&budget.turn).acquire_owned().await.expect("the semaphore is never closed");
            let token = CancellationToken::new();
            // A blocking task cannot be aborted, so it looks.
            let _cancel_on_drop = token.clone().drop_guard();
            let blocking = spawn_blocking(move || {
                let _turn = turn;
                let content = decompressed(body, compression, limit, &mut charge, &token).and_then(|body| read(&body));
                charge.is_decoded();
                (content, charge)
            });
            match blocking.await {
                Ok((content, charge)) => (number, content, Some(charge)),
                Err(error) => (number, Err(Error::new(ErrorKind::Decode, "decode").with_source(error)), None),
            }
        });
    }

    /// Puts a body that a blocking task has decoded into its place.
    ///
    /// Frees the charge of a body that did not decode.
    fn note(&mut self, joined: std::result::Result<DecodedBody<T>, tokio::task::JoinError>) {
        // A job catches what fails in it.
        let Ok((number, content, charge)) = joined else { return };
        // What cannot be read holds nothing.
        let charge = charge.filter(|_| content.is_ok());
        self.order.fill(number, content, charge);
    }
}

/// `None` at once if the listener was given up.
async fn poll(
    listener: &mut Option<Box<dyn Listener>>,
    max: NonZeroUsize,
) -> Result<Option<Vec<Box<dyn IncomingMessage>>>> {
    match listener {
        Some(listener) => listener.poll(max).await,
        None => Ok(None),
    }
}

/// The decompressed body, charged piece by piece; ends early when the listener is gone.
///
/// Errors: `TooLarge` above `limit` bytes, `Decode` for broken data, `Closed` if the listener was dropped meanwhile.
fn decompressed(
    body: Bytes,
    compression: Option<Compression>,
    limit: usize,
    charge: &mut Charge,
    token: &CancellationToken,
) -> Result<Bytes> {
    let Some(compression) = compression else {
        charge.grow(body.len());
        return Ok(body);
    };
    let counted = |bytes| {
        charge.grow(bytes);
        if token.is_cancelled() { Err(Error::closed("decompress")) } else { Ok(()) }
    };
    inflate(compression, &body, limit, counted)?.ok_or_else(|| too_large(limit))
}

#[cfg(test)]
mod tests;
