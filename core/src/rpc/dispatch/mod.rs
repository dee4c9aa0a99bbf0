//! From a request to the method that answers it.

pub(super) mod dispatcher;
pub(super) mod endpoint;
mod ping;
pub(super) mod request;
pub(super) mod service;
