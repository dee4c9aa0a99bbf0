//! The one reply queue of a bus, opened at the first call.

use std::num::{NonZeroU16, NonZeroUsize};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use metrics::counter;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, warn};

use super::pending::{CallId, Matched, PendingCall, WaitingCalls};
use crate::wire::Reply;
use crate::{Address, Deadline, Error, Executed, IncomingMessage, Listener, Result, Source, Subscription, Transport};

/// Replies taken from the driver at once.
const BATCH: NonZeroUsize = NonZeroUsize::new(256).expect("256 is not zero");
/// Replies the broker may have handed over before they are acknowledged.
const WINDOW: NonZeroU16 = NonZeroU16::new(1_000).expect("1000 is not zero");

/// Where the replies to every call of a bus arrive.
#[derive(Debug)]
pub(crate) struct Inbox {
    transport: Arc<dyn Transport>,
    calls: WaitingCalls,
    queue: Arc<RwLock<Option<Arc<str>>>>,
    reader: Mutex<Option<Reader>>,
    closed: AtomicBool,
}

#[derive(Debug)]
struct Reader {
    stop: CancellationToken,
    task: AbortOnDropHandle<()>,
}

impl Inbox {
    pub(crate) fn new(transport: Arc<dyn Transport>) -> Self {
        Self {
            transport,
            calls: WaitingCalls::default(),
            queue: Arc::default(),
            reader: Mutex::default(),
            closed: AtomicBool::new(false),
        }
    }

    pub(crate) fn calls_in_flight(&self) -> usize {
        self.calls.len()
    }

    /// Puts a call on the table and says under which queue its reply will be found.
    ///
    /// # Errors
    /// What [`Transport::subscribe`] says, if the inbox has to be opened first; `Closed`.
    pub(crate) async fn expect_reply(&self, id: CallId, deadline: Deadline) -> Result<(PendingCall, Arc<str>)> {
        loop {
            let queue = self.open(deadline).await?;
            let call = self.calls.register(id);
            // An inbox that was lost meanwhile has told only the calls that were on the table then.
            if self.current_queue().as_ref() == Some(&queue) {
                return Ok((call, queue));
            }
        }
    }

    /// Ends every waiting call and gives the queue back.
    pub(crate) async fn close(&self, deadline: Deadline) {
        self.closed.store(true, Ordering::Release);
        self.calls.fail_all(&Error::closed("call").with_executed(Executed::Maybe));
        let Ok(mut reader) = deadline.run("close", self.reader.lock()).await else { return };
        if let Some(reader) = reader.take() {
            reader.stop.cancel();
            // Past the deadline the handle is dropped, which aborts the reader.
            let _ = deadline.run("close", reader.task).await;
        }
    }

    async fn open(&self, deadline: Deadline) -> Result<Arc<str>> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::closed("call"));
        }
        if let Some(queue) = self.current_queue() {
            return Ok(queue);
        }
        let mut reader = deadline.run("open the reply inbox", self.reader.lock()).await?;
        if let Some(queue) = self.current_queue() {
            return Ok(queue);
        }
        let subscription = Subscription::new(Source::Inbox).with_window(WINDOW);
        let listener = self.transport.subscribe(&subscription, deadline).await?;
        let Address::Direct { queue } = listener.address() else {
            return Err(Error::unsupported("open the reply inbox").with("address", listener.address()));
        };
        let queue: Arc<str> = queue.as_str().into();
        self.set_queue(Some(Arc::clone(&queue)));
        let stop = CancellationToken::new();
        let task = tokio::spawn(read(listener, self.calls.clone(), Arc::clone(&self.queue), stop.clone()));
        *reader = Some(Reader { stop, task: AbortOnDropHandle::new(task) });
        Ok(queue)
    }

    fn current_queue(&self) -> Option<Arc<str>> {
        self.queue.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_queue(&self, queue: Option<Arc<str>>) {
        *self.queue.write().unwrap_or_else(PoisonError::into_inner) = queue;
    }
}

/// Hands each reply to its call until the inbox is closed or lost; a lost one is opened anew by the next call.
async fn read(
    mut listener: Box<dyn Listener>,
    calls: WaitingCalls,
    queue: Arc<RwLock<Option<Arc<str>>>>,
    stop: CancellationToken,
) {
    let end = loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break Error::closed("call"),
            polled = listener.poll(BATCH) => match polled {
                Ok(Some(messages)) => deliver(messages, &calls).await,
                Ok(None) => break Error::closed("call"),
                Err(error) => break error,
            },
        }
    };
    *queue.write().unwrap_or_else(PoisonError::into_inner) = None;
    debug!(reason = %end, waiting = calls.len(), "the reply inbox has ended");
    calls.fail_all(&end.with_executed(Executed::Maybe));
    let _ = listener.close(Deadline::after(crate::rpc::CLOSE_TIMEOUT)).await;
}

async fn deliver(messages: Vec<Box<dyn IncomingMessage>>, calls: &WaitingCalls) {
    for message in messages {
        match Reply::decode(message.message()) {
            Ok(reply) => {
                let msg_id = reply.msg_id.clone();
                if calls.complete(reply) == Matched::Nobody {
                    counter!("oslo_messaging_replies_unmatched_total").increment(1);
                    debug!(msg_id, "a reply that no call waits for: late, doubled or foreign");
                }
            }
            Err(error) => {
                counter!("oslo_messaging_undecodable_total").increment(1);
                warn!(%error, "a reply that cannot be read was dropped");
            }
        }
        if let Err(error) = message.acknowledge().await {
            debug!(%error, "a reply was not acknowledged and will come again");
        }
    }
}
