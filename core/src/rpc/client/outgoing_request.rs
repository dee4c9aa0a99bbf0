//! A request of a client until it is written.

use super::RpcClient;
use crate::driver::Message;
use crate::rpc::unique_id::UniqueId;
use crate::wire::{CallParts, RequestParts};
use crate::{Context, Payload, wire};

/// Which interface of a server a request is for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Interface<'a> {
    /// `None`: endpoints without a namespace.
    pub(super) namespace: Option<&'a str>,
    /// `None`: servers read it as 1.0.
    pub(super) version: Option<&'a str>,
}

/// A request whose arguments and context are translated.
pub(super) struct OutgoingRequest<'a> {
    pub(super) client: &'a RpcClient,
    pub(super) interface: Interface<'a>,
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
        let parts = RequestParts {
            method: self.method,
            args: &self.args,
            namespace: self.interface.namespace,
            version: self.interface.version,
            call,
            unique_id: self.unique_id.as_str(),
            deadline,
            context: self.context.values(),
        };
        wire::message(parts.encode(), self.client.bus.0.compression)
    }
}
