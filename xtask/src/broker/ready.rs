//! Waiting until a node is really there.

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Child, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::command::POLL;

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

/// Whether the server ended by itself, so that starting it anew may help.
pub(super) fn ended_early(error: &anyhow::Error) -> bool {
    error.is::<EndedEarly>()
}

/// Waits until the port mapper listens: a server that finds none starts one of its own, which nobody would end.
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

/// Waits until the server begins an AMQP handshake, which it does only when it has booted.
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
