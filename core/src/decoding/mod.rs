//! Reading bodies that a stranger chose: within limits, and without holding up what else arrives.
//!
//! - A body over the bus's limit is an error as soon as decompression passes the limit.
//! - A body that decoding shows to be over 1 MiB is decoded on a blocking task, one at a time for each [`Budget`]. The
//!   message keeps its place in the order for 100 ms from when it was taken; then those behind it pass.
//! - Decoded bytes count against a [`Budget`] until their message is done with. Where it is full, nothing is taken from
//!   the broker. What was taken already is never dropped for it.

mod arrival_order;
mod budget;
mod listener;

use std::panic::resume_unwind;
use std::sync::Arc;

use tokio::task::spawn_blocking;

pub(crate) use self::arrival_order::Decoded;
pub(crate) use self::budget::{Budget, Charge};
pub(crate) use self::listener::DecodingListener;
use crate::wire::compression;
use crate::{Error, Payload, Result};

/// The largest body that is decoded where it arrives. Above, decoding leaves the intake.
const LARGE: usize = 1 << 20;
/// The default of [`BusBuilder::decompressed_budget`](crate::BusBuilder::decompressed_budget).
pub(crate) const DEFAULT_BUDGET: usize = 256 << 20;

/// Bounds the memory that peers can make one bus hold.
#[derive(Debug, Clone)]
pub(crate) struct Decoding {
    /// How many bytes one body may have once it is decompressed.
    pub(crate) limit: usize,
    /// Charged by requests and events until they are settled.
    pub(crate) received: Arc<Budget>,
    /// Of replies: a share of its own, since a method that holds a request may wait for a reply.
    pub(crate) replies: Arc<Budget>,
}

/// Whether `payload` takes so long to decode that others should not wait for it.
pub(crate) fn is_large(payload: &Payload) -> bool {
    payload.as_bytes().len() > LARGE
}

/// Decodes `payload` on a blocking task, so that a large body does not hold up the messages behind it.
///
/// Panics: with the panic of `decode`, resumed on the calling task.
pub(crate) async fn decode_on_blocking_task<T: Send + 'static>(
    payload: Payload,
    decode: impl FnOnce(&Payload) -> Result<T> + Send + 'static,
) -> Result<T> {
    match spawn_blocking(move || decode(&payload)).await {
        Ok(decoded) => decoded,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // The runtime is ending.
            Err(error) => Err(Error::closed("decode").with_source(error)),
        },
    }
}

impl Decoding {
    /// Three quarters of `budget` for requests and events, one for replies.
    pub(crate) fn new(limit: usize, budget: usize) -> Self {
        // The shares are apart, so that waiting requests never keep out the replies that their methods wait for.
        let replies = budget / 4;
        Self {
            limit,
            received: Budget::new("requests and events", budget - replies),
            replies: Budget::new("replies", replies),
        }
    }
}

impl Default for Decoding {
    fn default() -> Self {
        Self::new(compression::LIMIT, DEFAULT_BUDGET)
    }
}
