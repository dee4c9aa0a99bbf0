//! The interface of a service as data: what callers rely on.

mod comparison;
mod file;

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

pub use self::file::ContractChanged;

/// What callers of a service rely on: names, versions, arguments with their defaults, results and exceptions.
///
/// The endpoint of a service trait has it, as `ComputeEndpoint::contract()`. A test compares it with a file that is
/// committed beside the service, so that a review sees each change, and an incompatible one fails:
/// [`check_file`](Self::check_file).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Contract {
    /// `None`: endpoints without a namespace.
    pub(crate) namespace: Option<String>,
    /// Of the interface, `major.minor`.
    pub(crate) version: String,
    /// Whether a server ignores arguments that it does not know.
    #[serde(default)]
    pub(crate) ignores_unknown: bool,
    /// By the name on the wire.
    pub(crate) methods: BTreeMap<String, MethodEntry>,
}

/// A method of a contract.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MethodEntry {
    /// The version that it came with.
    pub since: String,
    /// Whether callers wait for no answer.
    #[serde(default)]
    pub cast: bool,
    /// By the name on the wire.
    pub arguments: BTreeMap<String, ArgumentEntry>,
    /// The type of the value, as it was written; of an alias of `Result` the alias.
    pub returns: String,
    /// The exceptions of the error type, as `module.class`. Empty if the type does not list them.
    pub raises: Vec<String>,
}

/// An argument of a method.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ArgumentEntry {
    /// The type, as it was written.
    #[serde(rename = "type")]
    pub ty: String,
    /// The version that it came with.
    pub since: String,
    /// Whether a caller has to send it.
    pub required: bool,
    /// What a server takes for it if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub default: Option<Value>,
    /// Other names that a server takes for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
}

/// A default that is there, also where it is `null`: serde takes that for an absent one.
fn present<'de, D: Deserializer<'de>>(default: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(default).map(Some)
}
