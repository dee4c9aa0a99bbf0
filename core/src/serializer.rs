//! A hook for applications that translate values on their way to and from the wire.

use std::fmt;

use crate::{Context, Payload, Result};

/// Translates every argument, every result and the context, as the reference's serializers do.
///
/// Called once for each argument, once for the result and once for the context, on each side. The context that an
/// argument or a result comes with is the application's own:
/// not yet translated where it is sent, translated already where it arrived.
pub trait Serializer: fmt::Debug + Send + Sync + 'static {
    /// An argument or a result, before it is sent.
    ///
    /// # Errors
    /// [`ErrorKind::Encode`](crate::ErrorKind::Encode) if it cannot be translated.
    fn serialize(&self, context: &Context, value: Payload) -> Result<Payload>;

    /// An argument or a result, after it arrived.
    ///
    /// # Errors
    /// [`ErrorKind::Decode`](crate::ErrorKind::Decode) if it cannot be translated.
    fn deserialize(&self, context: &Context, value: Payload) -> Result<Payload>;

    /// The context, before it is sent.
    ///
    /// # Errors
    /// [`ErrorKind::Encode`](crate::ErrorKind::Encode) if it cannot be translated.
    fn serialize_context(&self, context: &Context) -> Result<Context>;

    /// The context, after it arrived. Values only: the deadline and the request are kept by the caller.
    ///
    /// # Errors
    /// [`ErrorKind::Decode`](crate::ErrorKind::Decode) if it cannot be translated.
    fn deserialize_context(&self, context: &Context) -> Result<Context>;
}
