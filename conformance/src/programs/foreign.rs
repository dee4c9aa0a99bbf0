//! Actors that are processes of another implementation, such as the reference in Python.

use std::fmt;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::rpc::Process;

/// How long a process may take until it can be asked: seconds, or as long as the machine is busy.
const READY: Duration = Duration::from_secs(60);

/// Processes that play servers and senders, listeners and notifiers, beside, or in place of, this library. Clones share them.
///
/// Each is started by one command line, is connected to the bus of the harness that offers it, and speaks JSON, an
/// object a line. It says `"ready"` on its standard output when it can be asked. It reads from its standard input
/// what it is to do, `{"id": 1, "command": {"start": {"place": 0, "server": {..}}}}`, several things at once; answers
/// each with `{"outcome": {"id": 1, "outcome": "done"}}`; and says what happens at its server before it goes on:
/// `{"ran": {"server": 0, "number": 7, "method": "answer", "redelivered": false}}` and
/// `{"finished": {"server": 0, "number": 7}}`. It ends at the end of its input. To be killed as a server means to be
/// killed as a process.
///
/// In a program of notifications it is asked to `{"listen": {"exchange", "topics", "priorities", "pool", "event_type",
/// "publisher_id", "batch", "batch_timeout_ms", "concurrency", "allow_requeue"}}`, with regular expressions that match from
/// the beginning for the type and the publisher; to `"stop"`; and to `{"notify": {"exchange", "topic", "priority",
/// "publisher_id", "event_type", "payload", "context", "allowed", "driver"}}`, which is done when the event is confirmed.
/// `driver` is `messaging` or `messagingv2`, and of the context only the values leave whose names are in `allowed`. A
/// listener says each call of a handler, `{"heard": {"id": 3, "events": [{"publisher_id", "event_type", "priority",
/// "payload", "context", "message_id", "redelivered"}]}}`, and does nothing with those events before it reads
/// `{"answer": {"id": 3, "answer": "handled"}}`, or `"requeued"`, or `"failed"`. Where it does not `allow_requeue`, it is
/// done with an event whose handler failed; otherwise it gives the event back.
///
/// Starting one takes seconds, so those that are idle when a program has ended play in the next; all end when the last
/// clone is dropped.
#[derive(Clone)]
pub struct Foreign {
    pool: Arc<Pool>,
}

struct Pool {
    make: Box<dyn Fn() -> Command + Send + Sync>,
    idle: Mutex<Vec<Process>>,
}

impl Foreign {
    /// Actors that `make` gives the command line of; standard input and output are theirs to be spoken through.
    #[must_use]
    pub fn new(make: impl Fn() -> Command + Send + Sync + 'static) -> Self {
        Self { pool: Arc::new(Pool { make: Box::new(make), idle: Mutex::default() }) }
    }

    /// A process that is ready: one that is idle, or a new one.
    pub(crate) async fn take(&self) -> Result<Process, String> {
        let idle = self.pool.idle().pop();
        let process = idle.map_or_else(|| self.start(), Ok)?;
        process.ready(READY).await.map_err(|error| format!("a foreign actor cannot play: {error}"))?;
        Ok(process)
    }

    /// Sees that a process can be started, so that a program need not find out.
    pub(crate) async fn rehearse(&self) -> Result<(), String> {
        self.give_back(self.take().await?);
        Ok(())
    }

    /// Takes back a process that has nothing to do.
    pub(crate) fn give_back(&self, process: Process) {
        // Last in, first out: those that are asked most are surely ready.
        self.pool.idle().push(process);
    }

    /// Starts a process that is soon needed.
    pub(crate) fn replace(&self) {
        // Whoever needs it is told what is wrong.
        if let Ok(process) = self.start() {
            self.pool.idle().insert(0, process);
        }
    }

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
