//! The one reply queue of a bus, opened at the first call.
//!
//! The [`Inbox`] lives as long as its bus. It has one reader at a time, a task ([`InboxReader`]) with two jobs: it
//! subscribes, then it matches each reply to its call. The first call spawns a reader. After the queue was lost or the
//! runtime of the reader has ended, the next call spawns another.
//!
//! A call is registered only after the queue is open and before its request is sent, so that no reply can arrive
//! unregistered. A reader that ends first publishes [`ReaderProgress::Ended`] and then fails the registered calls;
//! [`Inbox::expect_reply`] checks the progress again after it has registered,
//! so that a call in between starts over instead of waiting in vain.

use std::mem;
use std::num::{NonZeroU16, NonZeroUsize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use metrics::counter;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, warn};

use super::waiting_calls::{CallId, PendingCall, ReplyMatch, WaitingCalls};
use crate::decoding::{Decoded, Decoding, DecodingListener};
use crate::driver::{Address, Listener, Settle, Source, Subscription, Transport};
use crate::excerpt::Excerpt;
use crate::lifecycle::CLOSE_TIMEOUT;
use crate::wire::Reply;
use crate::{Deadline, Error, Executed, Result, Retry};

/// The most replies that one poll takes; all are delivered before the next poll.
const BATCH: NonZeroUsize = NonZeroUsize::new(256).expect("256 is not zero");
/// Replies the broker may have handed over before they are acknowledged.
const WINDOW: NonZeroU16 = NonZeroU16::new(1_000).expect("1000 is not zero");
/// How long opening may take in total. Calls share the opening, so the deadline of one call does not end it.
const OPEN_TIMEOUT: Duration = Duration::from_secs(60);

/// Where the replies to every call of a bus arrive.
///
/// A bus has one, shared by all its clients.
/// Nothing is opened before the first call, so a bus that only casts or serves has no reply queue.
#[derive(Debug)]
pub(crate) struct Inbox {
    /// Opens the queue; the driver names it.
    transport: Arc<dyn Transport>,
    /// How often a failed opening is repeated. The retries of a call do not apply.
    retry: Retry,
    /// The limit of a decompressed reply and the memory budget of all replies.
    decoding: Decoding,
    /// The calls to match; shared with the reader, which outlives no inbox.
    calls: WaitingCalls,
    /// Held for a moment only; never across an await.
    state: Mutex<InboxState>,
}

/// The reader and the flag that forbids another, under one lock, so that `close` misses no reader.
#[derive(Debug, Default)]
struct InboxState {
    /// Whether the bus was closed: no reader is spawned any more.
    closed: bool,
    /// The current reader; replaced when it has failed or ended.
    reader: Option<ReaderHandle>,
}

/// The handle of a reader; the reader ends with it.
#[derive(Debug)]
struct ReaderHandle {
    /// Asks the reader to close its queue and end.
    stop: CancellationToken,
    /// Its sender is dropped with the reader, which is how a call notices that the runtime ended.
    progress: watch::Receiver<ReaderProgress>,
    /// `close` waits for it; dropping it aborts the reader.
    task: AbortOnDropHandle<()>,
}

/// How far a reader has come. Calls wait until it has opened the queue.
#[derive(Debug, Clone)]
enum ReaderProgress {
    /// The last error of an opening that is still repeated; a call that times out meanwhile has it as its source.
    Opening(Option<Error>),
    /// Replies arrive in the queue of this name, which each request carries as `_reply_q`.
    Open(Arc<str>),
    /// Opening failed; the next call spawns another reader.
    Failed(Error),
    /// The queue was lost or closed; the next call spawns another reader.
    Ended,
}

/// What a reader works with. Its drop fails the waiting calls if the runtime ended under it.
struct InboxReader {
    transport: Arc<dyn Transport>,
    retry: Retry,
    decoding: Decoding,
    calls: WaitingCalls,
    progress: watch::Sender<ReaderProgress>,
    stop: CancellationToken,
}

impl Inbox {
    /// An inbox that its first call opens; `retry` bounds the attempts of each opening.
    pub(crate) fn new(transport: Arc<dyn Transport>, retry: Retry, decoding: Decoding) -> Self {
        Self { transport, retry, decoding, calls: WaitingCalls::default(), state: Mutex::default() }
    }

    /// How many calls wait for a reply; those that wait for the opening do not count.
    ///
    /// The number is a snapshot, for the log and for users.
    pub(crate) fn calls_in_flight(&self) -> usize {
        self.calls.len()
    }

    /// Puts a call on the table and says under which queue its reply will be found.
    /// Only a `monitored` call learns of heartbeats.
    ///
    /// Errors: what [`Transport::subscribe`] says, if the queue has to be opened first; every call that waited for the
    /// same opening gets the same. `Timeout`, with what the last try said; `Closed`.
    ///
    /// Cancellation: the opening continues for the other calls and for the next one.
    pub(crate) async fn expect_reply(
        &self,
        id: CallId,
        monitored: bool,
        deadline: Deadline,
    ) -> Result<(PendingCall, Arc<str>)> {
        loop {
            let mut progress = self.ensure_reader()?;
            let queue = match opened(&mut progress, deadline).await {
                Ok(Some(queue)) => queue,
                Ok(None) => continue,
                Err(error) if self.only_time_ran_out(&error) && !deadline.has_passed() => continue,
                Err(error) => return Err(error),
            };
            let call = self.calls.register(id, monitored);
            // A reader that ended meanwhile has failed only the calls that were registered then.
            // Both are checked: a reader that ended changes the progress, and `close` sets the flag.
            if matches!(&*progress.borrow(), ReaderProgress::Open(_)) && !self.state().closed {
                return Ok((call, queue));
            }
        }
    }

    /// Ends every waiting call and gives the queue back.
    ///
    /// Later calls fail with `Closed`. The calls that waited fail with `Closed`, and their methods may have run.
    ///
    /// Cancellation: the calls have failed already; dropping the future aborts the reader.
    pub(crate) async fn close(&self, deadline: Deadline) {
        let reader = {
            let mut state = self.state();
            state.closed = true;
            state.reader.take()
        };
        self.calls.fail_all(&Error::closed("call").with_executed(Executed::Maybe));
        if let Some(reader) = reader {
            reader.stop.cancel();
            // Past the deadline the handle is dropped, which aborts the task.
            let _ = deadline.run("close", reader.task).await;
        }
    }

    /// The progress of the current reader; spawns a reader if there is none or the last one has ended.
    ///
    /// Must be called inside a tokio runtime.
    ///
    /// Errors: `Closed` once the bus was closed; the request was not sent.
    fn ensure_reader(&self) -> Result<watch::Receiver<ReaderProgress>> {
        let mut state = self.state();
        if state.closed {
            return Err(Error::closed("call").with_executed(Executed::No));
        }
        if let Some(reader) = &state.reader {
            let over = matches!(&*reader.progress.borrow(), ReaderProgress::Failed(_) | ReaderProgress::Ended);
            // The sender is dropped with the reader, also when the runtime of the reader has ended.
            let gone = reader.progress.has_changed().is_err();
            if !over && !gone {
                return Ok(reader.progress.clone());
            }
        }
        let (progress_to, progress) = watch::channel(ReaderProgress::Opening(None));
        let stop = CancellationToken::new();
        let reader = InboxReader {
            transport: Arc::clone(&self.transport),
            retry: self.retry,
            decoding: self.decoding.clone(),
            calls: self.calls.clone(),
            progress: progress_to,
            stop: stop.clone(),
        };
        let task = AbortOnDropHandle::new(tokio::spawn(reader.run()));
        state.reader = Some(ReaderHandle { stop, progress: progress.clone(), task });
        Ok(progress)
    }

    /// Whether the opening failed only because its own 60 s passed; a caller with time left waits for another opening.
    ///
    /// Without a limit of attempts, an error that permits another attempt is returned only when the time was over.
    /// With a limit, the attempts may have been used up, so the caller gets the error.
    fn only_time_ran_out(&self, error: &Error) -> bool {
        self.retry.max_retries.is_none() && self.retry.permits(0, error)
    }

    /// Enters a poisoned lock, so that a panic of one caller does not end the calls of the others.
    fn state(&self) -> MutexGuard<'_, InboxState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The queue, once it is there; `None` if it came and went.
///
/// Errors: what the opening failed with, or `Timeout` with the last attempt as its source.
async fn opened(progress: &mut watch::Receiver<ReaderProgress>, deadline: Deadline) -> Result<Option<Arc<str>>> {
    let settled =
        async { progress.wait_for(|progress| !matches!(progress, ReaderProgress::Opening(_))).await.map(drop) };
    let waited = deadline.run("open the reply inbox", settled).await;
    // Read after the wait: the queue may have opened in the moment of the deadline.
    let seen = progress.borrow().clone();
    match (seen, waited) {
        (ReaderProgress::Open(queue), _) => Ok(Some(queue)),
        (ReaderProgress::Failed(error), _) => Err(error),
        (ReaderProgress::Opening(Some(cause)), Err(timeout)) => Err(timeout.with_source(cause)),
        (ReaderProgress::Opening(None), Err(timeout)) => Err(timeout),
        // The sender is gone while it was opening: the runtime of the reader has ended.
        (ReaderProgress::Ended, _) | (ReaderProgress::Opening(_), Ok(_)) => Ok(None),
    }
}

impl InboxReader {
    /// Opens the queue, then hands each reply to its call until the inbox is closed or the queue is lost.
    ///
    /// The queue is closed after the waiting calls have failed, since closing may take up to `CLOSE_TIMEOUT`.
    async fn run(self) {
        let opened = tokio::select! {
            biased;
            () = self.stop.cancelled() => return self.end(Error::closed("call")),
            opened = self.open() => opened,
        };
        let (listener, queue) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                debug!(%error, "the reply inbox did not open");
                self.progress.send_replace(ReaderProgress::Failed(error));
                return;
            }
        };
        self.progress.send_replace(ReaderProgress::Open(queue));
        let Decoding { limit, replies, .. } = self.decoding.clone();
        let mut listener = DecodingListener::new(listener, Settle::ByReceiver, limit, replies, Reply::of_body);
        let reason = self.read(&mut listener).await;
        self.end(reason);
        let _ = listener.close(Deadline::after(CLOSE_TIMEOUT)).await;
    }

    /// Subscribes to the reply queue and repeats transient errors.
    /// A call that times out meanwhile reports the last of them as its source.
    ///
    /// Ends after 60 s at the latest, whatever the deadlines of the calls.
    ///
    /// Errors: the last error of the driver, or `Unsupported` if the driver gave an address that is no queue.
    async fn open(&self) -> Result<(Box<dyn Listener>, Arc<str>)> {
        let deadline = Deadline::after(OPEN_TIMEOUT);
        let subscription = Subscription::new(Source::Inbox).with_window(WINDOW);
        let attempt = async || {
            let tried = self.transport.subscribe(&subscription, deadline).await;
            tried.map_err(|error| {
                // Subscribing runs no method, so an unconfirmed attempt may be repeated.
                let error = error.with_executed(Executed::No);
                self.progress.send_replace(ReaderProgress::Opening(Some(error.clone())));
                error
            })
        };
        let listener = self.retry.run(deadline, attempt).await?;
        let Address::Direct { queue } = listener.address() else {
            return Err(Error::unsupported("open the reply inbox").with_context("address", listener.address()));
        };
        let queue = queue.as_str().into();
        Ok((listener, queue))
    }

    /// Hands each reply to its call until the inbox is closed or the listener ends; returns the reason.
    ///
    /// The replies of one poll are delivered before the next poll.
    async fn read(&self, listener: &mut DecodingListener<Reply>) -> Error {
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return Error::closed("call"),
                polled = listener.poll(BATCH) => match polled {
                    Ok(Some(messages)) => deliver(messages, &self.calls).await,
                    Ok(None) => return Error::closed("call"),
                    Err(error) => return error,
                },
            }
        }
    }

    /// Rejects new calls, then fails the waiting ones with `reason`.
    ///
    /// In this order: a call that registers after the progress changed sees it and starts over.
    fn end(&self, reason: Error) {
        self.progress.send_replace(ReaderProgress::Ended);
        debug!(%reason, waiting = self.calls.len(), "the reader of the reply inbox has ended");
        self.calls.fail_all(&reason.with_executed(Executed::Maybe));
    }
}

/// A task that its runtime has ended reads no reply any more.
impl Drop for InboxReader {
    fn drop(&mut self) {
        // After `end` the progress is `Ended`, so the calls are not failed twice.
        let reading = matches!(&*self.progress.borrow(), ReaderProgress::Open(_));
        if reading {
            self.end(Error::closed("call").with_context("reason", "the runtime that read the replies is gone"));
        }
    }
}

/// Matches replies to their calls and acknowledges each, also those that no call waits for.
///
/// A reply that does not decode is acknowledged too: nothing else would take it off the queue.
async fn deliver(messages: Vec<Decoded<Reply>>, calls: &WaitingCalls) {
    for Decoded { message, content, charge } in messages {
        match content {
            Ok(mut reply) => {
                let msg_id = mem::take(&mut reply.msg_id);
                if calls.complete(&msg_id, reply) == ReplyMatch::NoCall {
                    counter!("oslo_messaging_replies_unmatched_total").increment(1);
                    debug!(msg_id = %Excerpt(&msg_id), "a reply matches no waiting call: it is late, repeated or foreign; it is acknowledged");
                }
            }
            Err(error) => {
                counter!("oslo_messaging_undecodable_total").increment(1);
                warn!(%error, "a reply cannot be decoded and is dropped");
            }
        }
        // The call has it, or nothing has.
        drop(charge);
        if let Err(error) = message.acknowledge().await {
            debug!(%error, "a reply was not acknowledged and will come again");
        }
    }
}
