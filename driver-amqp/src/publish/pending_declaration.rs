//! A publish whose prerequisite its publisher is declaring, while it continues to handle confirms.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use oslo_messaging::{Deadline, Result};

use crate::link::state_machine::Generation;
use crate::publish::destinations::Destinations;
use crate::publish::job::PublishJob;

/// The declaration and the job that needs it. Dropping it is safe: the next publish that needs the same declares it.
pub(crate) struct PendingDeclaration {
    /// Not sent before the declaration ends.
    job: PublishJob,
    /// Polled by the publisher's own task.
    work: BoxFuture<'static, Result<Generation>>,
}

impl PendingDeclaration {
    /// Starts to declare the prerequisite of `job` on the current link. Nothing happens before the first `done`.
    /// `timeout` is that of all requests of the declaration together.
    pub(crate) fn start(destinations: &Arc<Destinations>, timeout: Duration, job: PublishJob) -> Self {
        let deadline = Deadline::after(timeout);
        let (declared, publish) = (Arc::clone(destinations), Arc::clone(&job.publish));
        let work = Box::pin(async move { declared.ensure(&publish.prerequisite, deadline).await });
        Self { job, work }
    }

    /// Waits for the declaration; without one, never ends. Returns the generation of the link.
    ///
    /// Fails with the broker's error; `Closed`; `Timeout`. Executed is `No` in each.
    ///
    /// Cancellation loses nothing: the next call continues.
    pub(crate) async fn done(declaring: &mut Option<Self>) -> Result<Generation> {
        match declaring {
            Some(Self { work, .. }) => work.await,
            None => pending().await,
        }
    }

    /// Cancels the declaration and returns the job.
    pub(crate) fn stop(self) -> PublishJob {
        self.job
    }
}
