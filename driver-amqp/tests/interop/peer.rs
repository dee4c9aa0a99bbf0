//! A Python process with the reference implementation, driven by a JSON object a line.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{Mutex as AsyncMutex, oneshot};
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

/// How long the peer may take to answer a command, beyond the timeouts that the command itself names.
const ANSWER: Duration = Duration::from_secs(60);

/// How long it may take to stop its servers and end.
const QUIT: Duration = Duration::from_secs(20);

/// The requests without an answer; `None` once the peer has closed its output.
type Waiting = Arc<Mutex<Option<HashMap<u64, oneshot::Sender<Value>>>>>;

/// A running peer. Several commands may be under way at once. Dropping it kills the process.
#[derive(Debug)]
pub(crate) struct Peer {
    process: AsyncMutex<Child>,
    commands: AsyncMutex<Option<ChildStdin>>,
    waiting: Waiting,
    next: AtomicU64,
    _reader: AbortOnDropHandle<()>,
}

impl Peer {
    /// Starts `tests/python/peer.py` against the broker at `url`.
    pub(crate) fn start(python: &Path, url: &str) -> io::Result<Self> {
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/python/peer.py");
        let mut process = Command::new(python)
            // No bytecode beside the sources, no warnings about the reference's own dependencies.
            .args(["-B", "-W", "ignore"])
            .arg(script)
            .arg(url)
            // What it counts across processes is behind a lock.
            .env("OSLO_LOCK_PATH", std::env::temp_dir())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let commands = process.stdin.take();
        let answers = process.stdout.take().expect("standard output was piped");
        let waiting = Waiting::new(Mutex::new(Some(HashMap::new())));
        let reader = AbortOnDropHandle::new(tokio::spawn(hand_out(answers, Arc::clone(&waiting))));
        Ok(Self {
            process: AsyncMutex::new(process),
            commands: AsyncMutex::new(commands),
            waiting,
            next: AtomicU64::new(1),
            _reader: reader,
        })
    }

    /// Has one command done, such as `{"do": "call", ...}`, and returns the answer: an object with `ok` or `error`.
    ///
    /// # Panics
    /// If no answer comes within a minute and the time that the command itself may take, or the peer is gone.
    pub(crate) async fn request(&self, mut command: Value) -> Value {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        command["id"] = json!(id);
        let (answered, answer) = oneshot::channel();
        match &mut *self.waiting.lock().expect("no panic while holding it") {
            Some(waiting) => waiting.insert(id, answered),
            None => panic!("the peer is gone; it was asked {command}"),
        };
        self.send(&command).await;
        let own = command["client"]["timeout"].as_f64().or(command["timeout"].as_f64()).unwrap_or(0.0);
        let patience = ANSWER + Duration::from_secs_f64(own);
        let Ok(answer) = timeout(patience, answer).await else {
            panic!("the peer did not answer within {patience:?} to {command}")
        };
        answer.unwrap_or_else(|_| panic!("the peer ended without an answer to {command}"))
    }

    /// The result of a command that must succeed.
    ///
    /// # Panics
    /// As [`Peer::request`], and with the error if there is one.
    pub(crate) async fn ok(&self, command: Value) -> Value {
        let mut answer = self.request(command.clone()).await;
        match answer.get_mut("ok") {
            Some(value) => value.take(),
            None => panic!("the peer was asked {} and failed: {}", shortened(&command), shortened(&answer["error"])),
        }
    }

    /// The error of a command that must fail: `class`, `module`, `message`, `args`, `bases`, and what else it has.
    ///
    /// # Panics
    /// As [`Peer::request`], and with the result if there is one.
    pub(crate) async fn error(&self, command: Value) -> Value {
        let mut answer = self.request(command.clone()).await;
        match answer.get_mut("error") {
            Some(error) => error.take(),
            None => panic!("the peer was asked {} and did not fail: {}", shortened(&command), shortened(&answer["ok"])),
        }
    }

    /// Lets the peer stop its servers and end by itself; kills it if it does not.
    pub(crate) async fn quit(&self) {
        // The end of its input is its sign to end.
        drop(self.commands.lock().await.take());
        let mut process = self.process.lock().await;
        if timeout(QUIT, process.wait()).await.is_err() {
            let _ = process.kill().await;
        }
    }

    async fn send(&self, command: &Value) {
        let line = format!("{command}\n");
        let mut commands = self.commands.lock().await;
        let pipe = commands.as_mut().expect("no request follows quit");
        timeout(ANSWER, pipe.write_all(line.as_bytes())).await.expect("the peer reads").expect("the peer is there");
    }
}

/// What a message about `value` can hold of it.
fn shortened(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(500) {
        Some((end, _)) => format!("{}... ({} bytes)", &text[..end], text.len()),
        None => text,
    }
}

/// Reads answers until the peer closes its output, and gives each to its request.
async fn hand_out(answers: ChildStdout, waiting: Waiting) {
    let mut lines = BufReader::new(answers).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let Ok(answer) = serde_json::from_str::<Value>(&line) else { break };
        let id = answer["id"].as_u64().unwrap_or_default();
        let waiter =
            waiting.lock().expect("no panic while holding it").as_mut().and_then(|waiting| waiting.remove(&id));
        // A caller that gave up does not need the answer.
        let _ = waiter.map(|waiter| waiter.send(answer));
    }
    // Dropping the senders ends every waiting request.
    waiting.lock().expect("no panic while holding it").take();
}
