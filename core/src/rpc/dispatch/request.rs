//! A request on its way to a method, and what comes back: the shape that middleware sees.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;

use crate::{Context, Failure, Payload};

/// A request that a server accepted, as layers and methods see it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Request {
    /// The caller's context, with its deadline and the facts of delivery.
    pub context: Context,
    /// The name of the method, as the caller wrote it. An endpoint need not have it.
    pub method: String,
    /// The namespace of the endpoints that may answer; `None` means those without one.
    pub namespace: Option<String>,
    /// The version of the interface that the caller asks for. `None` is read as 1.0.
    pub version: Option<String>,
    /// The arguments: a JSON object.
    pub args: Payload,
    /// Values that middleware passes to the layers below it.
    pub extensions: Extensions,
}

/// What a method, or a layer around it, answers.
#[derive(Debug)]
#[non_exhaustive]
pub struct Reply {
    /// The result as JSON, or the exception that the caller gets.
    pub outcome: Result<Payload, Failure>,
}

/// Values by their type, at most one of each. A layer passes facts to the layers below it in them.
///
/// ```
/// use oslo_messaging::rpc::Extensions;
///
/// #[derive(Debug, PartialEq)]
/// struct Tenant(&'static str);
///
/// let mut extensions = Extensions::default();
/// extensions.insert(Tenant("demo"));
/// assert_eq!(extensions.get::<Tenant>(), Some(&Tenant("demo")));
/// ```
#[derive(Default)]
pub struct Extensions(HashMap<TypeId, Box<dyn Any + Send + Sync>>);

impl Request {
    /// A request without a namespace and a version, which is read as 1.0; `args` is a JSON object.
    #[must_use]
    pub fn new(context: Context, method: impl Into<String>, args: Payload) -> Self {
        Self { context, method: method.into(), namespace: None, version: None, args, extensions: Extensions::default() }
    }

    /// Sets the namespace; only endpoints of exactly this one are asked.
    #[must_use]
    pub fn with_namespace(mut self, namespace: Option<String>) -> Self {
        self.namespace = namespace;
        self
    }

    /// Sets the version that an endpoint must serve; `None` is read as 1.0.
    #[must_use]
    pub fn with_version(mut self, version: Option<String>) -> Self {
        self.version = version;
        self
    }
}

impl Reply {
    /// An answer of a layer or a method: a payload, or a failure that the caller gets as an exception.
    #[must_use]
    pub fn new(outcome: Result<Payload, Failure>) -> Self {
        Self { outcome }
    }
}

impl From<Failure> for Reply {
    fn from(failure: Failure) -> Self {
        Self::new(Err(failure))
    }
}

impl Extensions {
    /// Puts `value` in; gives back the one of that type that was there.
    pub fn insert<T: Any + Send + Sync>(&mut self, value: T) -> Option<T> {
        let before = self.0.insert(TypeId::of::<T>(), Box::new(value))?;
        before.downcast().ok().map(|before| *before)
    }

    /// The value of type `T` that a layer further out put in.
    #[must_use]
    pub fn get<T: Any + Send + Sync>(&self) -> Option<&T> {
        self.0.get(&TypeId::of::<T>())?.downcast_ref()
    }
}

impl fmt::Debug for Extensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Extensions").field("len", &self.0.len()).finish()
    }
}
