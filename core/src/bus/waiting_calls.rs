//! The calls of a bus that wait for their reply, each removed on every path.
//!
//! Calls are registered by `_msg_id` before their requests are sent. The entry is removed by the reply, by the end of
//! the inbox, or by the drop of the [`PendingCall`], so a call that times out leaves no entry.

use std::sync::Arc;

use dashmap::DashMap;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;
use uuid::Uuid;

use crate::wire::Reply;
use crate::{Error, Payload, RemoteError, Result};

/// The `_msg_id` of a call of ours. Replies carry it as 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct CallId(Uuid);

impl CallId {
    /// A random id; unique across processes.
    pub(crate) fn fresh() -> Self {
        Self(Uuid::new_v4())
    }

    /// `None` if `text` cannot be one of ours.
    fn parse(text: &str) -> Option<Self> {
        Uuid::try_parse(text).ok().map(Self)
    }
}

impl std::fmt::Display for CallId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.simple().fmt(f)
    }
}

/// What a call ends with when a reply came, or when none can come any more.
pub(crate) type Answer = Result<std::result::Result<Payload, RemoteError>>;

/// Every call of a bus that waits for its reply, by `_msg_id`.
///
/// Sharded, so that calls of many tasks rarely wait for each other. Clones share one table.
#[derive(Debug, Clone, Default)]
pub(crate) struct WaitingCalls(Arc<DashMap<CallId, Waiter>>);

/// Removed by the reply, by the end of the reader or by the drop of its call, whichever is first.
#[derive(Debug)]
struct Waiter {
    /// Used once; the receiver is in the `PendingCall`.
    answer: oneshot::Sender<Answer>,
    /// When the last heartbeat, or the first half of a two-message reply, arrived; only for a monitored call.
    heard: Option<watch::Sender<Instant>>,
    /// The first half of a reply in two messages, as old servers send it.
    partial: Option<Payload>,
}

/// One waiting call. Dropping it takes it off the table, so that an abandoned call leaves nothing behind.
#[derive(Debug)]
pub(crate) struct PendingCall {
    id: CallId,
    calls: WaitingCalls,
    /// Resolves once: to the reply, or to the error that ended the reader of the inbox.
    pub(crate) answer: oneshot::Receiver<Answer>,
    /// When the server of a monitored call last answered anything; starts with the registration.
    pub(crate) heard: Option<watch::Receiver<Instant>>,
}

/// Whether a reply found its call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReplyMatch {
    /// The call has its answer, or it noted a heartbeat or a first half.
    Call,
    /// No call waits for it: late, doubled, or never ours.
    NoCall,
}

impl WaitingCalls {
    /// Puts a call on the table, before its request is sent. Only a `monitored` one learns of heartbeats.
    ///
    /// The id must be fresh: another call of this id would lose its entry.
    pub(crate) fn register(&self, id: CallId, monitored: bool) -> PendingCall {
        let (answer_to, answer) = oneshot::channel();
        let (heard_to, heard) = monitored.then(|| watch::channel(Instant::now())).unzip();
        self.0.insert(id, Waiter { answer: answer_to, heard: heard_to, partial: None });
        PendingCall { id, calls: self.clone(), answer, heard }
    }

    /// Gives `reply` to the call of `msg_id`, and removes the call unless its end is yet to come.
    ///
    /// The answer of a two-message reply is its last result that is not null (oslo.messaging `ReplyWaiter.wait`).
    ///
    /// A second reply to one call is `NoCall`, since the first has removed the entry.
    pub(crate) fn complete(&self, msg_id: &str, reply: Reply) -> ReplyMatch {
        let Some(id) = CallId::parse(msg_id) else { return ReplyMatch::NoCall };
        if !reply.ending {
            return self.note(id, reply);
        }
        let Some((_, waiter)) = self.0.remove(&id) else { return ReplyMatch::NoCall };
        let answer = match reply.failure {
            Some(failure) => Err(failure),
            // A method that returns nothing has a null result too;
            // then there is no first half, and null is the answer.
            None if reply.result.is_null() => Ok(waiter.partial.unwrap_or(reply.result)),
            None => Ok(reply.result),
        };
        match waiter.answer.send(Ok(answer)) {
            Ok(()) => ReplyMatch::Call,
            Err(_) => ReplyMatch::NoCall,
        }
    }

    /// Ends every call on the table with `error` and empties the table.
    ///
    /// A call that registers meanwhile may be missed; the reader refuses new calls first.
    pub(crate) fn fail_all(&self, error: &Error) {
        // Collected first: removing while iterating would lock one shard twice.
        let ids: Vec<CallId> = self.0.iter().map(|entry| *entry.key()).collect();
        for id in ids {
            if let Some((_, waiter)) = self.0.remove(&id) {
                // The receiver is gone if the call has just timed out or was dropped.
                let _ = waiter.answer.send(Err(error.clone()));
            }
        }
    }

    /// Counts shard by shard, so the number is approximate while calls come and go.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// A heartbeat, the first half of a reply, or a failure that an old server sent ahead of its end.
    fn note(&self, id: CallId, reply: Reply) -> ReplyMatch {
        if let Some(failure) = reply.failure {
            let Some((_, waiter)) = self.0.remove(&id) else { return ReplyMatch::NoCall };
            return waiter.answer.send(Ok(Err(failure))).map_or(ReplyMatch::NoCall, |()| ReplyMatch::Call);
        }
        let Some(mut waiter) = self.0.get_mut(&id) else { return ReplyMatch::NoCall };
        if let Some(heard) = &waiter.heard {
            // `send_replace` stores the time also while the caller does not watch.
            heard.send_replace(Instant::now());
        }
        if !reply.result.is_null() {
            waiter.partial = Some(reply.result);
        }
        ReplyMatch::Call
    }
}

impl Drop for PendingCall {
    fn drop(&mut self) {
        self.calls.0.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn number(value: u32) -> Payload {
        Payload::encode(&value).unwrap()
    }

    fn reply(id: CallId, result: Payload, ending: bool) -> Reply {
        Reply { ending, ..Reply::result(id.to_string(), "unique".to_owned(), result) }
    }

    fn complete(calls: &WaitingCalls, reply: Reply) -> ReplyMatch {
        calls.complete(&reply.msg_id.clone(), reply)
    }

    #[tokio::test]
    async fn a_reply_ends_its_own_call_and_no_other() {
        let calls = WaitingCalls::default();
        let (first, second) = (CallId::fresh(), CallId::fresh());
        let mut one = calls.register(first, false);
        let mut two = calls.register(second, false);
        assert_eq!(complete(&calls, reply(second, number(2), true)), ReplyMatch::Call);
        assert_eq!((&mut two.answer).await.unwrap().unwrap().unwrap(), number(2));
        assert!(one.answer.try_recv().is_err());
    }

    #[tokio::test]
    async fn a_second_reply_and_a_foreign_one_are_nobodys() {
        let calls = WaitingCalls::default();
        let id = CallId::fresh();
        let _call = calls.register(id, false);
        assert_eq!(complete(&calls, reply(id, number(1), true)), ReplyMatch::Call);
        assert_eq!(complete(&calls, reply(id, number(1), true)), ReplyMatch::NoCall);
        let foreign = Reply::result("not-one-of-ours".to_owned(), String::new(), number(1));
        assert_eq!(complete(&calls, foreign), ReplyMatch::NoCall);
    }

    #[tokio::test]
    async fn a_reply_in_two_messages_gives_its_last_result_that_is_not_null() {
        let calls = WaitingCalls::default();
        let id = CallId::fresh();
        let mut call = calls.register(id, false);
        complete(&calls, reply(id, number(7), false));
        assert!(call.answer.try_recv().is_err());
        complete(&calls, reply(id, Payload::null(), true));
        assert_eq!((&mut call.answer).await.unwrap().unwrap().unwrap(), number(7));
    }

    #[tokio::test(start_paused = true)]
    async fn a_heartbeat_says_that_the_server_was_heard_and_ends_nothing() {
        let calls = WaitingCalls::default();
        let id = CallId::fresh();
        let mut call = calls.register(id, true);
        let mut heard = call.heard.take().unwrap();
        let before = *heard.borrow_and_update();
        tokio::time::advance(std::time::Duration::from_secs(1)).await;
        complete(&calls, Reply::heartbeat(id.to_string(), "unique".to_owned()));
        assert!(*heard.borrow_and_update() > before);
        assert!(call.answer.try_recv().is_err());
    }

    #[tokio::test]
    async fn a_dropped_call_leaves_nothing_behind() {
        let calls = WaitingCalls::default();
        drop(calls.register(CallId::fresh(), false));
        assert_eq!(calls.len(), 0);
    }

    #[tokio::test]
    async fn every_call_is_told_when_no_reply_can_come() {
        let calls = WaitingCalls::default();
        let mut call = calls.register(CallId::fresh(), false);
        calls.fail_all(&Error::closed("call"));
        assert_eq!((&mut call.answer).await.unwrap().unwrap_err().kind(), ErrorKind::Closed);
    }
}
