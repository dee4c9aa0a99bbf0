//! What the signature of a method must be, asked of its types.
//!
//! A macro sees tokens, and an alias hides what they mean. So it writes an assertion for each type, in the place of the
//! type, and the compiler answers with the messages of these traits.

use std::fmt::Display;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use crate::rpc::client::call_error::MethodError;
use crate::{CallError, Context, Failure};

/// What a client of a method that returns `R` gets.
pub type CallResult<R> = Result<<R as MethodResult>::Value, CallError<<R as MethodResult>::Error>>;

/// The type of the first argument.
#[diagnostic::on_unimplemented(
    message = "the first argument of an RPC method is its `oslo_messaging::Context`, not `{Self}`",
    label = "not a `Context`",
    note = "write `async fn name(&self, context: Context, ..)`; the context of a caller comes before the arguments"
)]
pub trait FirstArgument {}

/// What a method returns: a `Result`, under any alias.
#[diagnostic::on_unimplemented(
    message = "an RPC method returns a `Result`, not `{Self}`",
    label = "not a `Result`",
    note = "write `Result<T, E>`; a method that cannot fail returns `Result<T, std::convert::Infallible>`"
)]
pub trait MethodResult {
    /// What the caller gets.
    type Value;
    /// How the method fails.
    type Error;
}

/// What a method returns whose callers wait for no answer.
#[diagnostic::on_unimplemented(
    message = "a cast has no result, and `{Self}` has one",
    label = "the caller of a cast gets nothing of this",
    note = "return `Result<(), E>`, or remove `cast` so that the method is called"
)]
pub trait CastResult {}

/// A value that a method returns.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the result of a method of a service",
    label = "a result is written and read as JSON",
    note = "derive `serde::Serialize` and `serde::Deserialize` for it; it cannot borrow"
)]
pub trait MethodValue: Serialize + DeserializeOwned {}

/// A value that a method takes, or that an exception carries.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot travel in a message",
    label = "what travels is written and read as JSON",
    note = "derive `serde::Serialize` and `serde::Deserialize` for it; it cannot borrow"
)]
pub trait ArgumentValue: Serialize + DeserializeOwned {}

/// The type of an argument that has `since`.
#[diagnostic::on_unimplemented(
    message = "an argument with `since` is left out while it equals its default, so `{Self}` must be comparable",
    label = "cannot be compared with its default",
    note = "derive `PartialEq` for it"
)]
pub trait OptionalArgument: PartialEq {}

/// An exception that writes its message itself.
#[diagnostic::on_unimplemented(
    message = "the exception `{Self}` does not say its message",
    label = "no message",
    note = "add `#[exception(message = \"..\")]`, mark a field with `#[exception(message)]`, or implement `Display`"
)]
pub trait Message: Display {}

impl FirstArgument for Context {}

impl<T, E> MethodResult for Result<T, E> {
    type Value = T;
    type Error = E;
}

impl<E> CastResult for Result<(), E> {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned> MethodValue for T {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned> ArgumentValue for T {}

#[diagnostic::do_not_recommend]
impl<T: PartialEq> OptionalArgument for T {}

#[diagnostic::do_not_recommend]
impl<E: Display> Message for E {}

/// What an exception says of itself.
pub fn message<E: Message>(exception: &E) -> String {
    exception.to_string()
}

/// Asserts that `T` is the context.
pub const fn context<T: FirstArgument>() {}

/// Asserts that `T` is what a client writes and a server reads.
pub const fn argument<T: ArgumentValue>() {}

/// Asserts that `R` is what a called method may return.
pub const fn result<R: MethodResult<Value: MethodValue, Error: MethodError>>() {}

/// Asserts that `R` is what a method may return that is called through no generated client.
pub const fn answer<R: MethodResult<Value: Serialize, Error: Into<Failure>>>() {}

/// Asserts that `R` is what a cast method may return.
pub const fn cast<R: CastResult>() {}
