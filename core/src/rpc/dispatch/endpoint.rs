//! A table of typed methods over shared state.
//!
//! [`Endpoint`] is generic over its state; the server keeps only its [`MethodTable`], in which each method is a
//! function from a request to a boxed future. Decoding of the arguments and encoding of the result happen inside that
//! function, so the dispatcher knows no types.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tracing::warn;

use super::request::{Reply, Request};
use crate::decoding::{decode_on_blocking_task, is_large};
use crate::excerpt::Excerpt;
use crate::failure::Refusal;
use crate::rpc::rate_limit::RateLimit;
use crate::version::Version;
use crate::{Context, Error, Failure, Payload};

/// A method without its types: decodes the arguments, runs, encodes the result.
pub(crate) type Method = Arc<dyn Fn(Request) -> BoxFuture<'static, Reply> + Send + Sync>;

/// Methods that callers can run, with the state that they share.
///
/// Only listed methods can be called. Namespace and version apply to all methods of the endpoint. A server may have any
/// number of endpoints; the first one that matches a request runs it.
pub struct Endpoint<S> {
    /// Passed to each call of a method.
    state: Arc<S>,
    /// Outlives the endpoint in the server, which does not know `S`.
    table: MethodTable,
}

/// The methods of an endpoint without the type of their state.
#[derive(Clone)]
pub(crate) struct MethodTable {
    /// Its own first, then the legacy ones; `None` is a request without a namespace.
    pub(crate) namespaces: Vec<Option<String>>,
    /// The interface that all its methods implement.
    pub(crate) version: Version,
    /// By the name on the wire. A second method of one name replaces the first.
    pub(crate) methods: HashMap<String, Method>,
}

impl<S: Send + Sync + 'static> Endpoint<S> {
    /// An endpoint without methods, without a namespace, at version 1.0.
    #[must_use]
    pub fn new(state: S) -> Self {
        Self::shared(Arc::new(state))
    }

    /// As [`new`](Self::new), over state that others hold too.
    #[must_use]
    pub fn shared(state: Arc<S>) -> Self {
        let version = Version { major: 1, minor: 0, revision: None };
        Self { state, table: MethodTable { namespaces: vec![None], version, methods: HashMap::new() } }
    }

    /// Answers to `namespace` instead of to none.
    ///
    /// Legacy namespaces that were added stay.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.table.namespaces[0] = Some(namespace.into());
        self
    }

    /// Answers to `namespace` as well, for callers that still use an old name.
    ///
    /// May be called several times, as the reference's `legacy_namespaces` is a list.
    #[must_use]
    pub fn legacy_namespace(mut self, namespace: impl Into<String>) -> Self {
        self.table.namespaces.push(Some(namespace.into()));
        self
    }

    /// Answers to requests without a namespace as well.
    ///
    /// For callers that were written before the endpoint had a namespace.
    #[must_use]
    pub fn legacy_default_namespace(mut self) -> Self {
        self.table.namespaces.push(None);
        self
    }

    /// Implements `version` of the interface: requests of the same major and no higher minor fit.
    ///
    /// # Panics
    /// If `version` is not `major.minor` or `major.minor.revision`; a version is a constant of the program.
    #[must_use]
    pub fn version(mut self, version: &str) -> Self {
        self.table.version = version.parse().expect("the version of an endpoint is written as major.minor");
        self
    }

    /// Lists `method` under `name`, in place of an earlier method of that name.
    ///
    /// The arguments of a request are decoded into `T`; `()` takes none. Whether unknown arguments are an error is
    /// `T`'s choice (`#[serde(deny_unknown_fields)]`). What the method returns is the caller's answer; a panic in it
    /// becomes a failure of the caller's call and ends nothing else.
    ///
    /// The method is first polled in the order in which requests arrived, on the task that receives them: work that
    /// blocks the thread belongs on `tokio::task::spawn_blocking`. Arguments of over 1 MiB are decoded there, so that
    /// their method begins when they are, and smaller requests may pass.
    ///
    /// An `async move |..|` closure that captures is refused by the compiler, since its future borrows what it captured.
    /// Put that into the state, or clone it for each call: `move |state, context, args| { let x = x.clone(); async move
    /// { .. } }`.
    #[must_use]
    pub fn method<F, Fut, T, R, E>(mut self, name: impl Into<String>, method: F) -> Self
    where
        F: Fn(Arc<S>, Context, T) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, E>> + Send + 'static,
        T: DeserializeOwned + Send + 'static,
        R: Serialize,
        E: Into<Failure>,
    {
        let name = name.into();
        let state = Arc::clone(&self.state);
        let called = name.clone();
        let method = Arc::new(method);
        // One limit for each method: a broken caller of one must not hide that of another.
        let refusals = Arc::new(RateLimit::default());
        let erased = move |request: Request| -> BoxFuture<'static, Reply> {
            let Request { context, args, namespace, version, .. } = request;
            // The clones are made only here: a small request is decoded at once and needs none.
            if is_large(&args) {
                let (state, method, called) = (Arc::clone(&state), Arc::clone(&method), called.clone());
                let refusals = Arc::clone(&refusals);
                return Box::pin(async move {
                    match decode_on_blocking_task(args, Payload::decode_arguments::<T>).await {
                        Ok(args) => Reply::new(encode(method(state, context, args).await)),
                        Err(error) => {
                            refused(&refusals, &called, namespace.as_deref(), version.as_deref(), &error).into()
                        }
                    }
                });
            }
            match args.decode_arguments::<T>() {
                Ok(args) => {
                    // Called now and not inside the future, so that methods start in the order of their requests.
                    let running = method(Arc::clone(&state), context, args);
                    Box::pin(async move { Reply::new(encode(running.await)) })
                }
                Err(error) => {
                    let failure = refused(&refusals, &called, namespace.as_deref(), version.as_deref(), &error);
                    Box::pin(async move { failure.into() })
                }
            }
        };
        self.table.methods.insert(name, Arc::new(erased));
        self
    }

    /// Drops its own reference to the state; the methods hold theirs.
    pub(crate) fn into_table(self) -> MethodTable {
        self.table
    }
}

/// The failure of a request whose arguments do not fit; logged once in a while.
///
/// The caller gets a `TypeError`.
fn refused(
    refusals: &RateLimit,
    method: &str,
    namespace: Option<&str>,
    version: Option<&str>,
    error: &Error,
) -> Failure {
    if let Some(suppressed) = refusals.due() {
        let (namespace, version) = (namespace.map(Excerpt), version.map(Excerpt));
        warn!(method, ?namespace, ?version, %error, suppressed, "a request was refused: its arguments do not fit");
    }
    Failure::bad_arguments(method, error).refused(Refusal::Arguments)
}

/// The result as JSON; a result without a JSON form is an internal failure.
///
/// The caller gets a `RuntimeError` then, although the method ran.
fn encode<R: Serialize, E: Into<Failure>>(outcome: Result<R, E>) -> Result<Payload, Failure> {
    let result = outcome.map_err(Into::into)?;
    Payload::encode(&result).map_err(|error| Failure::internal(&error))
}

impl<S> fmt::Debug for Endpoint<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.table.fmt(f)
    }
}

impl fmt::Debug for MethodTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut methods: Vec<&String> = self.methods.keys().collect();
        methods.sort();
        f.debug_struct("Endpoint")
            .field("namespaces", &self.namespaces)
            .field("version", &self.version.to_string())
            .field("methods", &methods)
            .finish()
    }
}
