//! A broker that misbehaves in one way, at one moment, and is sound otherwise.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

use testkit::raw::frame::{HEAD, METHOD, PROTOCOL_HEADER, Payload, frame, method, tune};

/// The largest frame that a client of ours sends.
const LARGEST: usize = 1 << 20;
/// How often a flood is written, and how much of it is written in all: it must not outlive its test.
const FLOODS: usize = 400;

/// A method that a client sends, or the connection itself before any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// The client has connected and said what it speaks.
    Greeting,
    /// The client sent this method.
    Method(u16, u16),
}

/// What the broker does at its moment.
#[derive(Debug, Clone)]
pub(crate) enum What {
    /// It writes these bytes instead of its answer.
    Instead(Vec<u8>),
    /// It writes its answer and then these bytes.
    Also(Vec<u8>),
    /// It answers nothing, and goes on reading.
    Silence,
    /// It ends the connection in an orderly way, without `connection.close`.
    Close,
    /// It resets the connection.
    Reset,
    /// It writes these bytes, then ends the connection.
    LastWords(Vec<u8>),
    /// It writes these bytes one by one.
    Trickle(Vec<u8>),
    /// It writes its answer, then these bytes again and again.
    Flood(Vec<u8>),
    /// It answers and reads nothing more.
    Deaf,
}

/// A listening socket on which every connection meets the same broker. Dropping it ends all of them.
#[derive(Debug)]
pub(crate) struct WrongBroker {
    address: SocketAddr,
    _accepting: AbortOnDropHandle<()>,
}

impl WrongBroker {
    pub(crate) async fn start(when: When, what: What) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("it is bound");
        let accepting = async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(Visit { stream, when, what: what.clone() }.run());
            }
        };
        Self { address, _accepting: AbortOnDropHandle::new(tokio::spawn(accepting)) }
    }

    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn url(&self) -> String {
        format!("rabbit://guest:guest@{}/", self.address)
    }
}

/// One connection of a client.
struct Visit {
    stream: TcpStream,
    when: When,
    what: What,
}

/// Whether the connection goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Goes,
    Ends,
}

impl Visit {
    async fn run(mut self) {
        // However it ends, the client sees what it sees.
        let _ = self.serve().await;
    }

    async fn serve(&mut self) -> io::Result<()> {
        let mut greeting = [0; PROTOCOL_HEADER.len()];
        self.stream.read_exact(&mut greeting).await?;
        if self.react(When::Greeting, start()).await? == Next::Ends {
            return Ok(());
        }
        // The publishes of each channel, which are what is confirmed.
        let mut publishes: HashMap<u16, u64> = HashMap::new();
        loop {
            let (kind, channel, payload) = self.frame().await?;
            let numbers = |at: usize| payload.get(at..at + 2).map(|two| u16::from_be_bytes([two[0], two[1]]));
            let (METHOD, Some(class), Some(number)) = (kind, numbers(0), numbers(2)) else { continue };
            let count = publishes.entry(channel).or_default();
            *count += u64::from((class, number) == (60, 40));
            let answer = answer(channel, class, number, &payload[4..], *count);
            if self.react(When::Method(class, number), answer).await? == Next::Ends {
                return Ok(());
            }
        }
    }

    async fn frame(&mut self) -> io::Result<(u8, u16, Vec<u8>)> {
        let mut head = [0; HEAD];
        self.stream.read_exact(&mut head).await?;
        let size = u32::from_be_bytes([head[3], head[4], head[5], head[6]]) as usize;
        if size > LARGEST {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut payload = vec![0; size + 1];
        self.stream.read_exact(&mut payload).await?;
        payload.truncate(size);
        Ok((head[0], u16::from_be_bytes([head[1], head[2]]), payload))
    }

    /// Writes `answer`, or does what is wrong if this is the moment.
    async fn react(&mut self, now: When, answer: Vec<u8>) -> io::Result<Next> {
        if now != self.when {
            self.stream.write_all(&answer).await?;
            return Ok(Next::Goes);
        }
        match self.what.clone() {
            What::Instead(bytes) => self.stream.write_all(&bytes).await?,
            What::Also(bytes) => self.stream.write_all(&[answer, bytes].concat()).await?,
            What::Silence => {}
            What::Close => return Ok(Next::Ends),
            What::Reset => {
                SockRef::from(&self.stream).set_linger(Some(Duration::ZERO))?;
                return Ok(Next::Ends);
            }
            What::LastWords(bytes) => {
                self.stream.write_all(&bytes).await?;
                self.stream.shutdown().await?;
                return Ok(Next::Ends);
            }
            What::Trickle(bytes) => {
                for byte in bytes {
                    self.stream.write_all(&[byte]).await?;
                    sleep(Duration::from_millis(100)).await;
                }
            }
            What::Flood(bytes) => {
                self.stream.write_all(&answer).await?;
                for _ in 0..FLOODS {
                    self.stream.write_all(&bytes).await?;
                }
            }
            What::Deaf => {
                self.stream.write_all(&answer).await?;
                std::future::pending::<()>().await;
            }
        }
        Ok(Next::Goes)
    }
}

/// `connection.start` as RabbitMQ says it, with these server properties and mechanisms.
pub(crate) fn start_with(properties: &[u8], mechanisms: &[u8]) -> Vec<u8> {
    method(0, 10, 10, Payload::default().byte(0).byte(9).long(properties).long(mechanisms).long(b"en_US"))
}

fn start() -> Vec<u8> {
    start_with(b"", b"PLAIN AMQPLAIN")
}

/// `connection.close` or `channel.close` for a reason.
pub(crate) fn close(channel: u16, code: u16, text: &[u8]) -> Vec<u8> {
    let (class, number) = if channel == 0 { (10, 50) } else { (20, 40) };
    method(channel, class, number, Payload::default().number16(code).short(text).number16(0).number16(0))
}

/// What a sound broker answers.
fn answer(channel: u16, class: u16, number: u16, arguments: &[u8], confirmed: u64) -> Vec<u8> {
    let empty = Payload::default;
    match (class, number) {
        (10, 11) => tune(30, 2_047, 131_072, 10),
        (10, 40) => method(0, 10, 41, empty().byte(0)),
        (10, 50) => method(0, 10, 51, empty()),
        (20, 10) => method(channel, 20, 11, empty().number32(0)),
        (20, 40) => method(channel, 20, 41, empty()),
        (50, 10) => method(channel, 50, 11, empty().short(queue_name(arguments)).number32(0).number32(0)),
        (60, 20) => method(channel, 60, 21, empty().short(consumer_tag(arguments))),
        (60, 30) => method(channel, 60, 31, empty().raw(arguments.get(..arguments.len() - 1).unwrap_or_default())),
        (60, 40) => method(channel, 60, 80, empty().number64(confirmed).byte(0)),
        // Declaring and binding exchanges, binding and deleting queues, prefetch, confirms: an empty answer, whose number
        // is the next.
        (40 | 85, _) | (60, 10) | (50, 20) => method(channel, class, number + 1, empty()),
        (50, 40) => method(channel, 50, 41, empty().number32(0)),
        _ => Vec::new(),
    }
}

/// The name in `queue.declare`, behind a ticket.
fn queue_name(arguments: &[u8]) -> &[u8] {
    short_at(arguments, 2)
}

/// The tag in `basic.consume`, behind a ticket and the queue.
fn consumer_tag(arguments: &[u8]) -> &[u8] {
    short_at(arguments, 3 + queue_name(arguments).len())
}

fn short_at(bytes: &[u8], at: usize) -> &[u8] {
    let length = usize::from(bytes.get(at).copied().unwrap_or_default());
    bytes.get(at + 1..at + 1 + length).unwrap_or_default()
}

/// A heartbeat, on the channel on which there must be none.
pub(crate) fn heartbeat(channel: u16, payload: &[u8]) -> Vec<u8> {
    frame(testkit::raw::frame::HEARTBEAT, channel, payload)
}
