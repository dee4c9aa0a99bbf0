//! Programs whose outcome does not depend on the bus, so that two drivers can be compared.

use std::collections::BTreeMap;

use futures_util::future::BoxFuture;

use super::Generated;
use crate::{Failed, Stage};

/// What a program gave: each observation and its result.
pub(crate) type Outcomes = BTreeMap<String, String>;

/// A kind of program that can be made to determine its outcome.
pub(crate) trait Determined: Generated {
    /// Removes what two buses may resolve differently. Idempotent.
    #[must_use]
    fn determined(self) -> Self;

    /// Runs the program and gives what it determines.
    fn outcomes<'a>(&'a self, stage: &'a Stage) -> BoxFuture<'a, Result<Outcomes, Failed>>;
}
