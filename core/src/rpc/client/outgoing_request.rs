//! A request of a client until it is written.

use super::RpcClient;
use crate::driver::Message;
use crate::rpc::unique_id::UniqueId;
use crate::wire::{CallParts, RequestParts};
use crate::{Context, Payload, wire};

/// A request whose arguments and context are translated. Namespace and version are those of the client's target.
pub(super) struct OutgoingRequest<'a> {
    pub(super) client: &'a RpcClient,
    pub(super) method: &'a str,
    pub(super) args: Payload,
    pub(super) context: Context,
    pub(super) unique_id: UniqueId,
}

impl OutgoingRequest<'_> {
    /// The message, compressed if the bus says so. A cast has no `call`.
    ///
    /// `deadline` is in milliseconds of Unix time. The arguments are freed with the request: a call may wait for long.
    pub(super) fn into_message(self, call: Option<CallParts<'_>>, deadline: Option<u64>) -> Message {
        let target = &self.client.target;
        let parts = RequestParts {
            method: self.method,
            args: &self.args,
            namespace: target.namespace.as_deref(),
            version: target.version.as_deref(),
            call,
            unique_id: self.unique_id.as_str(),
            deadline,
            context: self.context.values(),
        };
        wire::message(parts.encode(), self.client.bus.0.compression)
    }
}
