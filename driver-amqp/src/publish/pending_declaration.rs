//! A publish whose needs are being declared by its lane, which has other things to do meanwhile.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use oslo_messaging::{Deadline, Result};

use crate::link::state_machine::Generation;
use crate::publish::destinations::Declared;
use crate::publish::job::Job;

/// The work, and whose needs it is for. Dropping the work is safe: whoever needs the same next does it.
pub(crate) struct Declaring {
    job: Job,
    work: BoxFuture<'static, Result<Generation>>,
}

impl Declaring {
    /// Starts to declare what `job` needs, on whatever link there is.
    pub(crate) fn start(destinations: &Arc<Declared>, timeout: Duration, job: Job) -> Self {
        let deadline = Deadline::after(timeout);
        let (declared, parcel) = (Arc::clone(destinations), Arc::clone(&job.parcel));
        let work = Box::pin(async move { declared.ensure(&parcel.needs, deadline).await });
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
    pub(crate) fn stop(self) -> Job {
        self.job
    }
}
