//! Values that panic where code rarely expects it.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::panic::panic_any;
use std::pin::Pin;
use std::task::{Context, Poll};

use oslo_messaging::{Exception, Failure};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Panics when it is dropped, with a payload that does the same, and so on for as often as it says.
#[derive(Debug)]
pub struct Explosive(pub u8);

impl Drop for Explosive {
    fn drop(&mut self) {
        if self.0 > 0 {
            panic_any(Self(self.0 - 1));
        }
    }
}

/// Panics with a payload that panics when it is dropped.
pub fn explode() -> ! {
    panic_any(Explosive(5))
}

/// A future that ends at once and panics when it is dropped.
pub struct BadFuture(#[expect(dead_code, reason = "held for its drop")] Explosive);

impl Default for BadFuture {
    fn default() -> Self {
        Self(Explosive(5))
    }
}

impl Future for BadFuture {
    type Output = Result<(), Infallible>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(Ok(()))
    }
}

/// A value that cannot be written, read, shown or made a failure of.
#[derive(Debug)]
pub struct Bad;

impl Serialize for Bad {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        explode()
    }
}

impl<'de> Deserialize<'de> for Bad {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        explode()
    }
}

impl fmt::Display for Bad {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        explode()
    }
}

impl std::error::Error for Bad {}

impl From<Infallible> for Bad {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl Exception for Bad {
    fn failure(&self) -> Failure {
        explode()
    }
}
