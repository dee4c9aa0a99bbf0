//! Waiting until a node is really there, and until it is really frozen.

use std::fmt;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Child, Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::Pid;

use crate::process::command::{POLL, output_within};

/// What an AMQP 0-9-1 client says first. The broker answers with a method frame (type 1) on channel 0.
const PROTOCOL_HEADER: &[u8; 8] = b"AMQP\0\0\x09\x01";
const METHOD_ON_CHANNEL_0: [u8; 3] = [1, 0, 0];

/// How long one attempt at a handshake may take; a node that has only just bound its port may not answer yet.
const HANDSHAKE: Duration = Duration::from_secs(2);

/// The server was gone before it was ready.
#[derive(Debug)]
struct EndedEarly(ExitStatus);

impl fmt::Display for EndedEarly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RabbitMQ ended before it was ready, with {}", self.0)
    }
}

impl std::error::Error for EndedEarly {}

/// Whether the server ended by itself, so that another start may help.
pub(super) fn ended_early(error: &anyhow::Error) -> bool {
    error.is::<EndedEarly>()
}

/// Waits until the port mapper listens: a server that finds none starts one of its own, which would stay behind.
pub(super) fn mapper(port: u16, budget: Duration) -> Result<()> {
    let end = Instant::now() + budget;
    while connect(port).is_err() {
        if Instant::now() >= end {
            bail!("the Erlang port mapper does not listen on port {port} after {budget:?}");
        }
        thread::sleep(POLL);
    }
    Ok(())
}

/// Waits until the server begins an AMQP handshake, which it does when nearly all of it has booted.
pub(super) fn server(server: &mut Child, port: u16, budget: Duration) -> Result<()> {
    let end = Instant::now() + budget;
    while handshake(port).is_err() {
        if let Some(status) = server.try_wait()? {
            return Err(EndedEarly(status).into());
        }
        if Instant::now() >= end {
            bail!("RabbitMQ does not speak AMQP on port {port} after {budget:?}");
        }
        thread::sleep(POLL);
    }
    Ok(())
}

/// Whether a server begins an AMQP handshake.
pub(super) fn speaks(port: u16) -> bool {
    handshake(port).is_ok()
}

/// Waits until the server calls itself started, which is a moment after it speaks AMQP: before that, `rabbitmqctl` is
/// refused.
pub(super) fn application(mut rabbitmqctl: Command, budget: Duration) -> Result<()> {
    let seconds = budget.as_secs().to_string();
    output_within(rabbitmqctl.args(["await_startup", "--timeout", &seconds]), budget)
        .map(drop)
        .context("RabbitMQ speaks AMQP and does not finish its start")
}

/// Waits until `port` is closed.
pub(super) fn deaf(port: u16, budget: Duration) -> Result<()> {
    let end = Instant::now() + budget;
    while connect(port).is_ok() {
        if Instant::now() >= end {
            bail!("port {port} still takes connections after {budget:?}");
        }
        thread::sleep(POLL);
    }
    Ok(())
}

/// Waits until every thread of a process has taken notice of `SIGSTOP`: for some milliseconds after the signal was sent,
/// one that runs goes on running, and answers. Where there is no `/proc`, nothing is waited for.
pub(super) fn frozen(process: Pid, budget: Duration) -> Result<()> {
    let end = Instant::now() + budget;
    while !threads(process).is_none_or(|states| states.iter().all(|state| *state == 'T')) {
        if Instant::now() >= end {
            bail!("process {} runs on although it was stopped {budget:?} ago", process.as_raw_nonzero());
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// The state of each thread, as `proc_pid_stat(5)` has it; a thread that ends meanwhile is left out.
fn threads(process: Pid) -> Option<Vec<char>> {
    let threads = fs::read_dir(format!("/proc/{}/task", process.as_raw_nonzero())).ok()?;
    let letter = |stat: String| stat.rsplit_once(") ")?.1.chars().next();
    let files = threads.flatten().filter_map(|thread| fs::read_to_string(thread.path().join("stat")).ok());
    Some(files.filter_map(letter).collect())
}

fn handshake(port: u16) -> io::Result<()> {
    let mut stream = connect(port)?;
    stream.set_read_timeout(Some(HANDSHAKE))?;
    stream.write_all(PROTOCOL_HEADER)?;
    let mut answer = [0; 3];
    stream.read_exact(&mut answer)?;
    if answer == METHOD_ON_CHANNEL_0 { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
}

fn connect(port: u16) -> io::Result<TcpStream> {
    TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), HANDSHAKE)
}

#[cfg(test)]
mod tests {
    use rustix::process::{Signal, kill_process};

    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_is_frozen_once_it_is_stopped_and_not_before() {
        let mut child = Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap();
        let pid = Pid::from_child(&child);
        frozen(pid, Duration::from_millis(50)).expect_err("it runs");
        kill_process(pid, Signal::STOP).unwrap();
        frozen(pid, Duration::from_secs(10)).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
