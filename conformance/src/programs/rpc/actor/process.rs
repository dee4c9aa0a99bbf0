//! A child process that speaks JSON, an object a line.

use std::collections::HashMap;
use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::process::{Child, Command as CommandLine};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

use super::Command;
use crate::programs::rpc::history::{Event, Log, Outcome, Run};

/// One process. Dropping it kills it, and with that ends what it was asked.
///
/// Threads read and write, not tasks: it outlives the runtime of each program that it plays in.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    commands: Option<mpsc::Sender<String>>,
    next: AtomicU64,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// What the reading thread shares with those who ask.
#[derive(Debug)]
struct Shared {
    stage: watch::Sender<Life>,
    asked: Mutex<Asked>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Starting,
    Ready,
    Ended,
}

#[derive(Debug, Default)]
struct Asked {
    waiting: HashMap<u64, oneshot::Sender<Outcome>>,
    log: Option<Log>,
    ended: bool,
}

/// What the process reads.
#[derive(Serialize)]
struct Line<'a> {
    id: u64,
    command: &'a Command,
}

/// What the process writes.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Said {
    Ready,
    Outcome { id: u64, outcome: Outcome },
    Ran(Run),
    Finished { server: usize, number: usize },
}

impl Process {
    /// Starts it; it may take a while until it is ready.
    pub(crate) fn start(command: &mut CommandLine) -> io::Result<Self> {
        let mut child = command.spawn()?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            unreachable!("whoever starts it pipes both")
        };
        let (commands, lines) = mpsc::channel();
        let shared = Arc::new(Shared { stage: watch::Sender::new(Life::Starting), asked: Mutex::default() });
        let reader = Arc::clone(&shared);
        let threads = vec![thread::spawn(move || write(stdin, &lines)), thread::spawn(move || reader.read(stdout))];
        Ok(Self { child, commands: Some(commands), next: AtomicU64::new(1), shared, threads })
    }

    /// Waits until it can be asked.
    pub(crate) async fn ready(&self, at_most: Duration) -> Result<(), String> {
        let mut stage = self.shared.stage.subscribe();
        match timeout(at_most, stage.wait_for(|stage| *stage != Life::Starting)).await {
            Err(_) => Err(format!("it was not ready within {at_most:?}")),
            Ok(Ok(stage)) if *stage == Life::Ready => Ok(()),
            Ok(_) => Err("it ended before it was ready".to_owned()),
        }
    }

    /// Asks it to do `command`, and waits for `at_most` that.
    ///
    /// # Cancellation
    /// It is done all the same, and nobody is told how it ended.
    pub(crate) async fn ask(&self, command: &Command, at_most: Duration) -> Result<Outcome, String> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let line = serde_json::to_string(&Line { id, command }).expect("a command has no keys but text");
        let answer = self.shared.answer_to(id);
        // Where nobody reads any more, the answer never comes, and that is told.
        let _ = self.commands.as_ref().map(|commands| commands.send(line));
        match timeout(at_most, answer).await {
            Ok(Ok(outcome)) => Ok(outcome),
            Ok(Err(_)) => Err("the process ended".to_owned()),
            Err(_) => Err(format!("the process did not answer within {at_most:?}")),
        }
    }

    /// Has it note what runs in `log`, or nowhere.
    pub(crate) fn note_in(&self, log: Option<Log>) {
        self.shared.asked().log = log;
    }

    /// Whether it lives and has answered everything.
    pub(crate) fn is_idle(&self) -> bool {
        let asked = self.shared.asked();
        asked.waiting.is_empty() && !asked.ended
    }

    /// Kills it. What it said before is noted when this returns.
    pub(crate) fn kill(self) {
        drop(self);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.commands.take();
        // What cannot be killed or waited for is gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
        for thread in self.threads.drain(..) {
            // A thread that panicked has told so.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer to come, which is none if the process has ended.
    fn answer_to(&self, id: u64) -> oneshot::Receiver<Outcome> {
        let (sender, answer) = oneshot::channel();
        let mut asked = self.asked();
        if !asked.ended {
            asked.waiting.insert(id, sender);
        }
        answer
    }

    /// Reads until the process closes its output.
    fn read(&self, output: impl Read) {
        for line in BufReader::new(output).lines() {
            let Ok(line) = line else { break };
            match serde_json::from_str(&line) {
                Ok(said) => self.hear(said),
                // Its answers could not be trusted: whoever waits is told that it has ended.
                Err(_) => break,
            }
        }
        *self.asked() = Asked { ended: true, ..Asked::default() };
        self.stage.send_replace(Life::Ended);
    }

    fn hear(&self, said: Said) {
        let mut asked = self.asked();
        let note = |event: Event| {
            asked.log.as_ref().map(|log| log.note(event));
        };
        match said {
            Said::Ready => drop(self.stage.send_replace(Life::Ready)),
            Said::Ran(run) => note(Event::Ran(run)),
            Said::Finished { server, number } => note(Event::Finished { server, number }),
            Said::Outcome { id, outcome } => {
                // Whoever gave up waiting has no use for it.
                let _ = asked.waiting.remove(&id).map(|waiting| waiting.send(outcome));
            }
        }
    }
}

/// Writes until nobody has anything to say, or nobody reads.
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

    #[tokio::test]
    async fn what_runs_is_noted_before_the_answer_comes() {
        let process = shell(
            r#"echo '{"finished": {"server": 2, "number": 7}}'; echo '{"outcome": {"id": 1, "outcome": "done"}}'"#,
        );
        let log = Log::default();
        process.note_in(Some(log.clone()));
        process.ready(LONG).await.unwrap();
        assert_eq!(process.ask(&Command::Stop, LONG).await, Ok(Outcome::Done));
        assert_eq!(log.history().events, [Event::Finished { server: 2, number: 7 }]);
        assert!(process.is_idle());
    }

    #[tokio::test]
    async fn a_process_that_ends_is_told_to_whoever_waits() {
        let process = shell("exit 1");
        process.ready(LONG).await.unwrap();
        assert_eq!(process.ask(&Command::Stop, LONG).await, Err("the process ended".to_owned()));
        assert!(!process.is_idle());
        assert_eq!(process.ask(&Command::Stop, LONG).await, Err("the process ended".to_owned()));
    }

    #[tokio::test]
    async fn a_process_that_speaks_something_else_is_not_believed() {
        let process = shell("echo done");
        assert_eq!(process.ask(&Command::Stop, LONG).await, Err("the process ended".to_owned()));
    }

    #[tokio::test]
    async fn a_process_that_is_silent_is_busy_and_can_be_killed() {
        let process = shell("true");
        process.ready(LONG).await.unwrap();
        let at_most = Duration::from_millis(50);
        assert_eq!(
            process.ask(&Command::Stop, at_most).await,
            Err("the process did not answer within 50ms".to_owned())
        );
        assert!(!process.is_idle());
        process.kill();
    }
}
