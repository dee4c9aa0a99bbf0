//! How the macros make the contract of a service.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::marker::PhantomData;

use serde::Serialize;
use serde_json::Value;

pub use crate::rpc::contract::{ArgumentEntry, Contract, MethodEntry};

/// The exceptions that the values of a type are, as `module.class`.
pub trait ExceptionClasses {
    /// In the order in which they were written.
    const CLASSES: &'static [&'static str];
}

/// Asks an error type for its classes, whether it lists them or not.
///
/// The method of [`Listed`] is found before that of [`Unlisted`], which needs one reference more.
#[derive(Debug)]
pub struct Classes<E>(PhantomData<E>);

/// An error type that lists its classes.
pub trait Listed {
    /// Those that it lists.
    fn classes(&self) -> Vec<String>;
}

/// An error type that lists nothing, such as `Failure`.
pub trait Unlisted {
    /// None.
    fn classes(&self) -> Vec<String>;
}

impl<E> Classes<E> {
    /// Asks `E`.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "a trait that is not in scope could not be called by the macros")]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<E: ExceptionClasses> Listed for Classes<E> {
    fn classes(&self) -> Vec<String> {
        E::CLASSES.iter().map(|&class| class.to_owned()).collect()
    }
}

impl<E> Unlisted for &Classes<E> {
    fn classes(&self) -> Vec<String> {
        Vec::new()
    }
}

impl ExceptionClasses for Infallible {
    const CLASSES: &'static [&'static str] = &[];
}

/// The contract of an interface.
#[must_use]
pub fn contract(
    namespace: Option<&str>,
    version: &str,
    ignores_unknown: bool,
    methods: BTreeMap<String, MethodEntry>,
) -> Contract {
    Contract { namespace: namespace.map(str::to_owned), version: version.to_owned(), ignores_unknown, methods }
}

/// The text of a name, a version or a type.
#[must_use]
pub fn text(text: &str) -> String {
    text.to_owned()
}

/// The arguments of a method by their names.
#[must_use]
pub fn arguments<const COUNT: usize>(entries: [(String, ArgumentEntry); COUNT]) -> BTreeMap<String, ArgumentEntry> {
    entries.into()
}

/// The JSON of the only field of `fields`, as it stands in a request; `None` if it has none.
pub fn default_of(fields: &impl Serialize) -> Option<Value> {
    match serde_json::to_value(fields) {
        Ok(Value::Object(fields)) => fields.into_values().next(),
        _ => None,
    }
}
