//! A publish whose needs are being declared by its lane, which has other things to do meanwhile.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use oslo_messaging::{Deadline, Result};

use crate::link::state_machine::Generation;
use crate::publish::destinations::Destinations;
use crate::publish::job::PublishJob;

/// The work, and whose needs it is for. Dropping the work is safe: whoever needs the same next does it.
pub(crate) struct PendingDeclaration {
    job: PublishJob,
    work: BoxFuture<'static, Result<Generation>>,
}

impl PendingDeclaration {
    /// Starts to declare what `job` prerequisite, on whatever link there is.
    pub(crate) fn start(destinations: &Arc<Destinations>, timeout: Duration, job: PublishJob) -> Self {
        let deadline = Deadline::after(timeout);
        let (declared, publish) = (Arc::clone(destinations), Arc::clone(&job.publish));
        let work = Box::pin(async move { declared.ensure(&publish.prerequisite, deadline).await });
        Self { job, work }
    }

    /// Waits for the end of the work, if there is any, and otherwise for ever; says on which link the needs are met.
    ///
    /// # Errors
    /// As the broker's; `Closed`; `Timeout`.
    ///
    /// # Cancellation
    /// Safe: the work goes on with the next call.
    pub(crate) async fn done(declaring: &mut Option<Self>) -> Result<Generation> {
        match declaring {
            Some(Self { work, .. }) => work.await,
            None => pending().await,
        }
    }

    /// Gives the job back.
    pub(crate) fn stop(self) -> PublishJob {
        self.job
    }
}
