//! The failures that a server answers in place of a method, and what they say of its execution.
//!
//! These failures carry the module `oslo_messaging_rust`, so that a Rust caller can tell whether its method ran. A
//! Python caller does not allow that module and raises `RemoteError` with the same text.
//!
//! | class | when | executed |
//! |---|---|---|
//! | `RequestNotRun` | the request never reached the method | `No`, for the call that it names |
//! | `RequestRedelivered` | the server refuses redelivered requests | `Maybe` |
//! | `RequestFailed` | a layer, the serializer or the delivery limit failed it | `Maybe` |

use super::reply::reply_to::ReplyTo;
use super::unique_id::fresh_unique_id;
use crate::{Executed, Failure, Payload, RemoteError, wire};

/// The module of failures that only this implementation knows.
const MODULE: &str = "oslo_messaging_rust";
/// The class of the answer to a request that came a second time, at a server that refuses those.
const REDELIVERED: &str = "RequestRedelivered";
/// The class of the answer to a request that something around the method has failed:
/// it may not have come to the method.
const FAILED: &str = "RequestFailed";
/// The class of the answer to a request that never came to its method.
const NOT_RUN: &str = "RequestNotRun";
/// Names, in a failure of that class, the call that did not run.
const CALL: &str = "msg_id";

/// The failure of a request that something around the method has failed with `error`.
pub(super) fn failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Failure {
    Failure::internal(error.into()).renamed(MODULE, FAILED)
}

/// For a request that the broker marked as redelivered: its first delivery may have run.
pub(super) fn redelivered() -> Failure {
    Failure::new(
        MODULE,
        REDELIVERED,
        "the request was handed over before and may have run; this server runs it at most once",
    )
}

/// The failure of a request that was delivered `deliveries` times and is not run again.
pub(super) fn given_up(deliveries: u64) -> Failure {
    let text = format!(
        "the request was delivered {deliveries} times and never ended; its queue permits no more, so it is not run again"
    );
    Failure::new(MODULE, FAILED, text)
}

/// The answer to a call that did not run and will not, because of `why`.
///
/// It names the call: a method that passes on such a failure of a server
/// that it called does not claim that it did not run.
pub(super) fn not_run(to: &ReplyTo, why: &str) -> wire::Reply {
    let failure = Failure::new(MODULE, NOT_RUN, why).with_kwargs(serde_json::json!({ (CALL): to.msg_id }));
    wire::Reply::failure(to.msg_id.clone(), fresh_unique_id(), &failure)
}

/// What `remote` says of the execution of the call `msg_id`, if it is a failure of ours.
pub(super) fn executed(remote: &RemoteError, msg_id: &str) -> Option<Executed> {
    match (remote.module(), remote.class()) {
        // Only for this call: the failure may be one that the method passed on from another server.
        (MODULE, NOT_RUN) if names(remote.kwargs(), msg_id) => Some(Executed::No),
        (MODULE, NOT_RUN | REDELIVERED | FAILED) => Some(Executed::Maybe),
        _ => None,
    }
}

/// Whether the failure is about the call `msg_id` and not about one that its method made.
fn names(kwargs: &Payload, msg_id: &str) -> bool {
    let kwargs: serde_json::Value = kwargs.decode().unwrap_or_default();
    kwargs[CALL].as_str() == Some(msg_id)
}
