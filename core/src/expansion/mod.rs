//! What the code of the macros names. No part of the API: it changes without notice.
//!
//! The macros write little code: checks of the user's types ([`signature`]), arguments that may be left out
//! ([`optional`]) and the translation of errors are functions here.

pub mod contract;
pub mod optional;
pub mod signature;

pub use serde;

use serde::Serialize;
use serde::de::DeserializeOwned;

use self::signature::{CallResult, MethodError, MethodResult};
use crate::{CallError, Context, Error, ErrorKind, RemoteError, Result, RpcClient};

/// The request of one call of a generated client.
#[derive(Debug)]
pub struct ServiceCall<'a> {
    pub context: &'a Context,
    pub namespace: Option<&'a str>,
    pub version: &'a str,
    pub method: &'a str,
}

impl ServiceCall<'_> {
    /// Calls the method; `R` is what it returns on the server.
    ///
    /// # Errors
    /// The exception of the method where its error type takes it, and what the bus reports.
    pub async fn call<R>(self, rpc: &RpcClient, args: &impl Serialize) -> CallResult<R>
    where
        R: MethodResult<Value: DeserializeOwned, Error: MethodError>,
    {
        let Self { context, namespace, version, method } = self;
        rpc.call_at(context, namespace, version, method, args).await.map_err(CallError::new)
    }

    /// Sends the request and waits for no answer.
    ///
    /// # Errors
    /// What the bus reports.
    pub async fn cast(self, rpc: &RpcClient, args: &impl Serialize) -> Result<()> {
        let Self { context, namespace, version, method } = self;
        rpc.cast_at(context, namespace, version, method, args).await
    }
}

/// What is said of an exception that is none of a type.
#[must_use]
pub fn another_class(remote: &RemoteError) -> Error {
    Error::new(ErrorKind::Decode, "decode exception")
        .with_context("module", remote.module())
        .with_context("class", remote.class())
}
