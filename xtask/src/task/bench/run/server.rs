//! A server in a process of its own.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::Signal;
use xtask::process::command::{kill_group, wait_within};

/// How long it may take until it serves; Python takes some seconds.
const START: Duration = Duration::from_secs(60);

/// How long it may take to end after its input has ended.
const END: Duration = Duration::from_secs(5);

/// A server that runs. Dropping it kills it.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
}

impl Server {
    /// Starts it and returns once it has said that it is ready.
    ///
    /// # Errors
    /// When it cannot be started, or is not ready in time.
    pub(super) fn start(command: &mut Command) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
        let child = command.spawn().context("could not start a server")?;
        let mut server = Self { child };
        let output = server.child.stdout.take().expect("standard output was piped");
        let (sender, ready) = mpsc::channel();
        // Ends with the server, whose output it reads.
        thread::spawn(move || {
            let mut lines = BufReader::new(output).lines();
            let found = lines.any(|line| line.is_ok_and(|line| line == "READY"));
            // The receiver may have given up.
            let _ = sender.send(found);
            lines.for_each(drop);
        });
        match ready.recv_timeout(START) {
            Ok(true) => Ok(server),
            Ok(false) => bail!("a server ended before it was ready"),
            Err(_) => bail!("a server was not ready within {START:?}"),
        }
    }

    pub(super) fn process(&self) -> u32 {
        self.child.id()
    }

    /// Ends its input, at which it ends by itself, and kills it if it does not.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub(super) fn stop(mut self) -> Result<()> {
        drop(self.child.stdin.take());
        wait_within(&mut self.child, END)?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A failure cannot be returned. One that has ended is not signalled: its id may be another's by now.
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = kill_group(&mut self.child, Signal::KILL);
        }
    }
}
