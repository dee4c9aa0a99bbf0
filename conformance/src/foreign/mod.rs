//! Foreign actors: processes of another implementation, such as the reference in Python.

pub(crate) mod process;

use std::fmt;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use self::process::Process;

/// How long a process may take to start. Seconds, or longer on a busy machine.
const READY: Duration = Duration::from_secs(60);

/// Processes of another implementation that play servers and senders, listeners and notifiers. Clones share them.
///
/// A process is connected to the bus of its harness and exchanges lines of JSON. It writes `"ready"` to
/// standard output when it takes commands. It reads commands from standard input, which may run concurrently:
/// `{"id": 1, "command": {"start": {"place": 0, "server": {..}}}}`. It answers each with
/// `{"outcome": {"id": 1, "outcome": "done"}}`. It reports an execution before the method continues, and its
/// end: `{"ran": {"server": 0, "number": 7, "method": "answer", "redelivered": false}}` and
/// `{"finished": {"server": 0, "number": 7}}`. It exits at the end of its input.
/// Killing the process kills its server.
///
/// In programs of notifications it takes `{"listen": {"exchange", "topics", "priorities", "pool", "event_type",
/// "publisher_id", "batch", "batch_timeout_ms", "concurrency", "allow_requeue"}}`, whose type and publisher are
/// regular expressions that match from the beginning; `"stop"`; and `{"notify": {"exchange", "topic", "priority",
/// "publisher_id", "event_type", "payload", "context", "allowed", "driver"}}`, which ends when the event is confirmed.
/// `driver` is `messaging` or `messagingv2`. Only the context values that `allowed` names may be sent. A listener
/// reports each call of a handler: `{"heard": {"id": 3, "events": [{"publisher_id", "event_type", "priority",
/// "payload", "context", "message_id", "redelivered"}]}}`. The handler then waits for
/// `{"answer": {"id": 3, "answer": "handled"}}`, or `"requeued"`, or `"failed"`. A listener that does not
/// `allow_requeue` acknowledges events whose handler failed; any other requeues them.
///
/// Starting a process takes seconds, so idle ones are reused by the next program.
/// All of them end when the last clone is dropped.
#[derive(Clone)]
pub struct Foreign {
    pool: Arc<Pool>,
}

/// The idle processes, and how to start more.
struct Pool {
    /// Gives the command line of a new process, each time one is started.
    make: Box<dyn Fn() -> Command + Send + Sync>,
    /// The last one is used next.
    idle: Mutex<Vec<Process>>,
}

impl Foreign {
    /// Starts processes with the command line of `make`, whose standard input and output it replaces by pipes.
    #[must_use]
    pub fn new(make: impl Fn() -> Command + Send + Sync + 'static) -> Self {
        Self { pool: Arc::new(Pool { make: Box::new(make), idle: Mutex::default() }) }
    }

    /// A process that is ready: an idle one, or a new one.
    pub(crate) async fn take(&self) -> Result<Process, String> {
        let idle = self.pool.idle().pop();
        let process = idle.map_or_else(|| self.start(), Ok)?;
        process.ready(READY).await.map_err(|error| format!("a foreign actor cannot play: {error}"))?;
        Ok(process)
    }

    /// Checks that a process can be started, before any program needs one.
    pub(crate) async fn rehearse(&self) -> Result<(), String> {
        self.give_back(self.take().await?, false);
        Ok(())
    }

    /// Takes back a process, whose reports are dropped from now on. It returns to the pool, unless it serves or
    /// has a command in progress: then it is killed.
    pub(crate) fn give_back(&self, process: Process, is_serving: bool) {
        process.report_to(None);
        if process.is_idle() && !is_serving {
            // Last in, first out: the most recently used process is ready.
            self.pool.idle().push(process);
        }
    }

    /// Kills a process, and starts another one in advance.
    pub(crate) fn kill(&self, process: Process) {
        process.kill();
        // A failure is reported when a process is needed.
        if let Ok(process) = self.start() {
            self.pool.idle().insert(0, process);
        }
    }

    /// Fails if the command cannot be started. The process need not be ready when this returns.
    fn start(&self) -> Result<Process, String> {
        let mut command = (self.pool.make)();
        let started = Process::start(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
        started.map_err(|error| format!("{} does not start: {error}", command.get_program().display()))
    }
}

impl Pool {
    fn idle(&self) -> MutexGuard<'_, Vec<Process>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Foreign").field("idle", &self.pool.idle().len()).finish_non_exhaustive()
    }
}
