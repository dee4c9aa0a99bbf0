//! A child process that exchanges lines of JSON.

use std::collections::HashMap;
use std::fmt;
use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::process::{Child, Command as CommandLine};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

/// One process. Dropping it kills it; commands in progress then fail.
///
/// Threads read and write its pipes, because a process outlives the runtime of each program that it plays in.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    /// Counts up, so that no two commands of a process share an id.
    next: AtomicU64,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// The recipient of a process's reports, on the thread that reads its output.
pub(crate) trait Reports: fmt::Debug + Send + Sync {
    /// Takes one report, and says whether it makes sense. The reading thread calls it before it reads the next line.
    fn report(&self, report: Report) -> bool;
}

/// A line that a process writes without a command. Each program decodes the value itself.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Report {
    /// A method began: its server, request, name and redelivered flag.
    Ran(Value),
    /// A method ended: its server and request.
    Finished(Value),
    /// A handler of notifications was called, and waits for an answer.
    Heard(Value),
}

/// Writes lines to a process that answer its reports. Clones write to the same process.
#[derive(Debug, Clone)]
pub(crate) struct Answers(Arc<Shared>);

impl Answers {
    /// Writes one line. It is lost if the process has ended.
    pub(crate) fn write(&self, line: &impl Serialize) {
        self.0.write(line);
    }
}

/// What the reading thread shares with the callers of [`Process::ask`].
#[derive(Debug)]
struct Shared {
    stage: watch::Sender<Life>,
    pending: Mutex<Pending>,
    /// The lines to write. `None` once the process is dropped, which ends the writing thread.
    lines: Mutex<Option<mpsc::Sender<String>>>,
}

/// Whether the process runs. Commands to one that has ended fail at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    /// It has not written `"ready"` yet.
    Starting,
    Ready,
    /// It has closed its output, or has written an invalid line.
    Ended,
}

/// The commands without an answer, and who takes reports.
#[derive(Debug, Default)]
struct Pending {
    /// Each caller of [`Process::ask`] that still waits, by the id of its command.
    waiting: HashMap<u64, oneshot::Sender<Value>>,
    /// `None` drops reports, as between two programs.
    reports: Option<Arc<dyn Reports>>,
    /// Whether the process has ended. Later commands fail at once.
    ended: bool,
}

/// A command as a line to the process, which answers with the same `id`.
#[derive(Serialize)]
struct Input<'a, C> {
    id: u64,
    command: &'a C,
}

/// A line from the process. One that fits no variant is invalid and ends the reading.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Output {
    Ready,
    Outcome {
        id: u64,
        outcome: Value,
    },
    #[serde(untagged)]
    Report(Report),
}

impl Process {
    /// Starts the process; [`ready`](Self::ready) waits until it takes commands.
    pub(crate) fn start(command: &mut CommandLine) -> io::Result<Self> {
        let mut child = command.spawn()?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            unreachable!("the caller pipes both streams")
        };
        let (sender, lines) = mpsc::channel();
        let (stage, pending) = (watch::Sender::new(Life::Starting), Mutex::default());
        let shared = Arc::new(Shared { stage, pending, lines: Mutex::new(Some(sender)) });
        let reader = Arc::clone(&shared);
        let threads = vec![thread::spawn(move || write(stdin, &lines)), thread::spawn(move || reader.read(stdout))];
        Ok(Self { child, next: AtomicU64::new(1), shared, threads })
    }

    /// Waits for the line `"ready"`. Fails after `at_most`, or when the process ends before.
    pub(crate) async fn ready(&self, at_most: Duration) -> Result<(), String> {
        let mut stage = self.shared.stage.subscribe();
        match timeout(at_most, stage.wait_for(|stage| *stage != Life::Starting)).await {
            Err(_) => Err(format!("it was not ready within {at_most:?}")),
            Ok(Ok(stage)) if *stage == Life::Ready => Ok(()),
            Ok(_) => Err("it ended before it was ready".to_owned()),
        }
    }

    /// Sends `command` and waits for its outcome, for at most `at_most`.
    ///
    /// # Cancellation
    /// The process still runs the command; its outcome is dropped.
    pub(crate) async fn ask<O: DeserializeOwned>(
        &self,
        command: &impl Serialize,
        at_most: Duration,
    ) -> Result<O, String> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let answer = self.shared.answer_to(id);
        self.shared.write(&Input { id, command });
        match timeout(at_most, answer).await {
            Ok(Ok(outcome)) => {
                serde_json::from_value(outcome).map_err(|error| format!("its answer is invalid: {error}"))
            }
            Ok(Err(_)) => Err("the process ended".to_owned()),
            Err(_) => Err(format!("the process did not answer within {at_most:?}")),
        }
    }

    /// Hands reports to `reports`; `None` drops them. When this returns, the receiver before gets none.
    pub(crate) fn report_to(&self, reports: Option<Arc<dyn Reports>>) {
        self.shared.pending().reports = reports;
    }

    /// A handle for tasks that answer reports; it may outlive the process.
    pub(crate) fn answers(&self) -> Answers {
        Answers(Arc::clone(&self.shared))
    }

    /// Whether the process is alive and has answered every command.
    pub(crate) fn is_idle(&self) -> bool {
        let pending = self.shared.pending();
        pending.waiting.is_empty() && !pending.ended
    }

    /// Kills the process. When this returns, everything that it wrote is recorded.
    pub(crate) fn kill(self) {
        drop(self);
    }
}

impl Drop for Process {
    /// Kills the process and joins its threads, so that everything it wrote is recorded.
    fn drop(&mut self) {
        self.shared.lines().take();
        // Both fail only if the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        for thread in self.threads.drain(..) {
            // A panic of the thread was printed when it happened.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lines(&self) -> MutexGuard<'_, Option<mpsc::Sender<String>>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, line: &impl Serialize) {
        let line = serde_json::to_string(line).expect("a line has no keys but text");
        // If the writing thread has ended, so has the process, which fails the commands that wait for it.
        let _ = self.lines().as_ref().map(|lines| lines.send(line));
    }

    /// Registers a command. The receiver fails if the process has ended or ends.
    fn answer_to(&self, id: u64) -> oneshot::Receiver<Value> {
        let (sender, answer) = oneshot::channel();
        let mut pending = self.pending();
        if !pending.ended {
            pending.waiting.insert(id, sender);
        }
        answer
    }

    /// Reads until the process closes its output or writes an invalid line.
    fn read(&self, output: impl Read) {
        for line in BufReader::new(output).lines() {
            let Ok(line) = line else { break };
            // After an invalid line no answer can be trusted, so waiting commands fail as if the process had ended.
            if !serde_json::from_str(&line).is_ok_and(|output| self.handle(output)) {
                break;
            }
        }
        *self.pending() = Pending { ended: true, ..Pending::default() };
        self.stage.send_replace(Life::Ended);
    }

    /// Hands on reports before it completes a command, in the order of the lines. False if a report is invalid.
    fn handle(&self, output: Output) -> bool {
        let mut pending = self.pending();
        match output {
            Output::Ready => drop(self.stage.send_replace(Life::Ready)),
            Output::Report(report) => return pending.reports.as_ref().is_none_or(|reports| reports.report(report)),
            Output::Outcome { id, outcome } => {
                // The caller may have timed out.
                let _ = pending.waiting.remove(&id).map(|waiting| waiting.send(outcome));
            }
        }
        true
    }
}

/// Writes each line until the sender is dropped or the process closes its input.
fn write(mut input: impl Write, lines: &mpsc::Receiver<String>) {
    for line in lines {
        if input.write_all(format!("{line}\n").as_bytes()).and_then(|()| input.flush()).is_err() {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    /// A process that says what `script` prints for each line that it reads.
    fn shell(script: &str) -> Process {
        let mut command = CommandLine::new("sh");
        command.args(["-c", &format!("echo '\"ready\"'; while read -r line; do {script}; done")]);
        Process::start(command.stdin(Stdio::piped()).stdout(Stdio::piped())).unwrap()
    }

    /// The command of these tests; no script looks at it.
    const COMMAND: &str = "stop";

    /// Keeps each report as text, in the order in which they came.
    #[derive(Debug, Default)]
    struct Kept(Mutex<Vec<String>>);

    impl Reports for Kept {
        fn report(&self, report: Report) -> bool {
            self.0.lock().unwrap().push(format!("{report:?}"));
            true
        }
    }

    #[tokio::test]
    async fn reports_are_handed_on_before_the_answer_arrives() {
        let process = shell(
            r#"echo '{"finished": {"server": 2, "number": 7}}'; echo '{"outcome": {"id": 1, "outcome": "done"}}'"#,
        );
        let kept = Arc::new(Kept::default());
        process.report_to(Some(Arc::clone(&kept) as _));
        process.ready(LONG).await.unwrap();
        assert_eq!(process.ask(&COMMAND, LONG).await, Ok("done".to_owned()));
        let reports = kept.0.lock().unwrap();
        assert!(reports.len() == 1 && reports[0].starts_with("Finished("), "{reports:?}");
        assert!(process.is_idle());
    }

    #[tokio::test]
    async fn commands_fail_when_the_process_ends() {
        let process = shell("exit 1");
        process.ready(LONG).await.unwrap();
        assert_eq!(process.ask::<Value>(&COMMAND, LONG).await, Err("the process ended".to_owned()));
        assert!(!process.is_idle());
        assert_eq!(process.ask::<Value>(&COMMAND, LONG).await, Err("the process ended".to_owned()));
    }

    #[tokio::test]
    async fn an_invalid_line_ends_the_conversation() {
        let process = shell("echo done");
        assert_eq!(process.ask::<Value>(&COMMAND, LONG).await, Err("the process ended".to_owned()));
    }

    #[tokio::test]
    async fn a_silent_process_is_busy_and_can_be_killed() {
        let process = shell("true");
        process.ready(LONG).await.unwrap();
        let at_most = Duration::from_millis(50);
        assert_eq!(
            process.ask::<Value>(&COMMAND, at_most).await,
            Err("the process did not answer within 50ms".to_owned())
        );
        assert!(!process.is_idle());
        process.kill();
    }
}
