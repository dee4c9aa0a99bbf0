//! The method by which a client finds out whether a server answers.

use std::convert::Infallible;
use std::sync::Arc;

use super::endpoint::{Endpoint, MethodTable};
use crate::Context;

/// The name under which the reference answers (oslo.messaging `rpc/dispatcher.py`, `PingEndpoint`).
const METHOD: &str = "oslo_rpc_server_ping";

/// The endpoint of the reference's `rpc_ping_enabled`: no namespace, version 1.0, answers `pong`.
pub(crate) fn table() -> MethodTable {
    Endpoint::new(()).method(METHOD, async |_: Arc<()>, _: Context, (): ()| Ok::<_, Infallible>("pong")).into_table()
}
