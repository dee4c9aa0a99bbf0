//! What everything that reads from a bus has in common: it runs, it stops, it ends, and says why.
//!
//! A server, and likewise a listener, is one task. Its owner holds a [`TaskHandle`] and asks it to stop; the task
//! holds the matching [`TaskControl`] and publishes its [`Phase`]. The phases are passed in this order: `Running`,
//! `Stopped` (nothing new arrives, what arrived may still run), `Ended` with the reason.
//!
//! `stop` waits for `Stopped`, `wait` for `Ended`, and `shutdown` asks for both and aborts the task at its deadline.
//! All of them take `&self` and may be called from several tasks at once;
//! each sees the same outcome, since the phase is a `watch` channel.

use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;
use tracing::{error, warn};

use crate::excerpt::Excerpt;
use crate::panic::{caught, caught_in};
use crate::{Deadline, Error, Result};

/// How long releasing something in the background may take.
pub(crate) const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest time before the end of a wait in which nothing starts any more.
const LONGEST_REPORT: Duration = Duration::from_secs(1);

/// How far a task has come. Phases are only passed forwards.
#[derive(Debug, Clone)]
pub(crate) enum Phase {
    Running,
    /// Nothing new arrives; what arrived may still run.
    Stopped,
    /// Everything has ended: by request, or because the listener was lost.
    Ended(Result<()>),
}

/// The owner's hold of a running task. Dropping it aborts the task, with a warning if it had not ended.
pub(crate) struct TaskHandle {
    /// What it is, in a word: "server" or "listener". For the log.
    what: &'static str,
    /// What it reads, for errors and the log.
    name: String,
    /// Set once by the first request to stop: the deadline for stopping at the broker.
    stop: watch::Sender<Option<Deadline>>,
    /// Set by each `shutdown`: until when the owner waits.
    end: watch::Sender<Option<EndBy>>,
    phase: watch::Receiver<Phase>,
    /// Dropping it aborts the task and, with its `JoinSet`, everything that the task runs.
    task: AbortOnDropHandle<()>,
    /// Whether the task was aborted because its deadline had passed, which is logged once.
    aborted: AtomicBool,
}

/// What the task itself holds: the request to stop, and the channel on which it publishes its phase.
pub(crate) struct TaskControl {
    /// Set once it is to stop: by when.
    pub(crate) stop: watch::Receiver<Option<Deadline>>,
    /// Set once its owner waits for its end: until when.
    pub(crate) end: watch::Receiver<Option<EndBy>>,
    pub(crate) phase: watch::Sender<Phase>,
}

/// How long the owner of a task waits for its end; what still runs then is aborted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EndBy {
    /// From now on nothing should start, so that time is left to report what never will.
    pub(crate) start_nothing_after: Deadline,
    /// When what still runs is aborted.
    pub(crate) deadline: Deadline,
}

impl EndBy {
    /// Leaves the last quarter of what is left, at most a second, for the report.
    fn new(deadline: Deadline) -> Self {
        let reserved = (deadline.remaining() / 4).min(LONGEST_REPORT);
        Self { start_nothing_after: Deadline::after(deadline.remaining().saturating_sub(reserved)), deadline }
    }
}

impl TaskHandle {
    /// Spawns the task that `run` makes of its control. Must be called inside a tokio runtime.
    pub(crate) fn start<F>(what: &'static str, name: impl fmt::Display, run: impl FnOnce(TaskControl) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (stop, stopping) = watch::channel(None);
        let (end, ending) = watch::channel(None);
        let (phase_to, phase) = watch::channel(Phase::Running);
        let task =
            AbortOnDropHandle::new(tokio::spawn(run(TaskControl { stop: stopping, end: ending, phase: phase_to })));
        Self { what, name: name.to_string(), stop, end, phase, task, aborted: AtomicBool::new(false) }
    }

    /// Asks it to stop and waits until nothing new arrives. The first deadline is the one that it stops by.
    pub(crate) async fn stop(&self, deadline: Deadline) -> Result<()> {
        self.request_stop(deadline);
        let mut phase = self.phase.clone();
        let stopped = phase.wait_for(|phase| !matches!(phase, Phase::Running));
        deadline
            .run("stop", stopped)
            .await
            .map_err(|error| error.with_context("target", &self.name))?
            .map_or_else(|_| Err(self.was_aborted("stop")), |_| Ok(()))
    }

    /// Asks the task to stop and waits until it has ended.
    /// Past `deadline` it aborts the task, and with it what still runs.
    ///
    /// Errors: what ended the task, if it was not asked to stop; `Timeout`.
    pub(crate) async fn shutdown(&self, deadline: Deadline) -> Result<()> {
        // Before the request to stop: the task must know the end when it begins to stop.
        self.end.send_replace(Some(EndBy::new(deadline)));
        self.request_stop(deadline);
        match deadline.run("shutdown", self.wait()).await {
            Ok(ended) => ended,
            Err(error) => {
                self.abort();
                Err(error.with_context("target", &self.name).with_context("reason", "something was still running"))
            }
        }
    }

    /// Waits until it has ended, by itself or because it was stopped.
    pub(crate) async fn wait(&self) -> Result<()> {
        let mut phase = self.phase.clone();
        match phase.wait_for(|phase| matches!(phase, Phase::Ended(_))).await {
            Ok(phase) => match &*phase {
                Phase::Ended(ended) => ended.clone(),
                Phase::Running | Phase::Stopped => Ok(()),
            },
            // The sender is gone without `Ended`: the task was aborted or its runtime has ended.
            Err(_) => Err(self.was_aborted("wait")),
        }
    }

    /// Sets the stop deadline, unless an earlier call did: the first one counts.
    fn request_stop(&self, deadline: Deadline) {
        self.stop.send_if_modified(|stop| {
            let first = stop.is_none();
            stop.get_or_insert(deadline);
            first
        });
    }

    /// Aborts the task if it still runs, with one warning.
    fn abort(&self) {
        // The flag is set before the abort, so that the drop of the handle does not log a second time.
        if self.is_running() && !self.aborted.swap(true, Ordering::Relaxed) {
            warn!(target = self.name, "a {} did not end by its deadline: what still runs is aborted", self.what);
            self.task.abort();
        }
    }

    /// False once the end was published, even if the task has not returned yet.
    fn is_running(&self) -> bool {
        !self.task.is_finished() && !matches!(*self.phase.borrow(), Phase::Ended(_))
    }

    /// The error of an operation on a task that ended without publishing a reason.
    fn was_aborted(&self, operation: &'static str) -> Error {
        Error::closed(operation).with_context("target", &self.name).with_context("reason", "its task was aborted")
    }
}

impl Drop for TaskHandle {
    fn drop(&mut self) {
        if self.is_running() && !self.aborted.load(Ordering::Relaxed) {
            warn!(target = self.name, "a {} was dropped before it had ended: what still runs is aborted", self.what);
        }
    }
}

impl fmt::Debug for TaskHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskHandle").field("what", &self.what).field("name", &self.name).finish_non_exhaustive()
    }
}

/// Waits until the task is asked to stop, or its handle is gone.
pub(crate) async fn stop_requested(stop: &mut watch::Receiver<Option<Deadline>>) {
    // An error means that the handle is gone, which is a request to stop as well.
    let _ = stop.wait_for(Option::is_some).await;
}

/// Polls `work` once, here, so that what came first starts first;
/// what is not done by then goes on in a task of its own.
///
/// A panic in it ends it alone. Those of the application's code are caught
/// where they can be answered; this is for the rest.
pub(crate) fn start_in_order(work: impl Future<Output = ()> + Send + 'static, running: &mut JoinSet<()>) {
    let mut work: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(work);
    // A waker of no effect will do: the task polls again as soon as it exists.
    match caught(|| work.as_mut().poll(&mut Context::from_waker(Waker::noop()))) {
        Ok(Poll::Pending) => {
            running.spawn(async move { report(caught_in(pin!(Some(work))).await) });
        }
        // The drop of the finished future may run code of the application, so it is guarded too.
        Ok(Poll::Ready(())) => report(caught(|| drop(work))),
        Err(panic) => {
            report(Err(panic));
            report(caught(|| drop(work)));
        }
    }
}

/// Logs a panic that no handler could answer for.
fn report(ended: Result<(), String>) {
    if let Err(panic) = ended {
        error!(panic = %Excerpt(&panic), "the task of a message panicked; the broker delivers an unsettled message again");
    }
}
