//! A publisher that writes its frames by hand, so that it can send what no client library would.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::frame::{BASIC, BODY, HEAD, METHOD, PROTOCOL_HEADER, Payload, frame, header, method, tune};
use crate::stage::{ARRIVE, Stage, within};

/// The largest body frame that is sent.
const PIECE: usize = 64 << 10;

/// A connection with one channel, on which the broker confirms.
#[derive(Debug)]
pub struct RawPublisher {
    stream: TcpStream,
}

impl RawPublisher {
    pub async fn on(stage: &Stage) -> Self {
        within(ARRIVE, "a raw connection", Self::log_in(stage)).await
    }

    async fn log_in(stage: &Stage) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", stage.node.port())).await.expect("a socket");
        let mut this = Self { stream };
        this.write(PROTOCOL_HEADER).await;
        this.method_is(10, 10).await;
        let login = Payload::default().long(b"").short(b"PLAIN").long(b"\0guest\0guest").short(b"en_US");
        this.write(&method(0, 10, 11, login)).await;
        this.method_is(10, 30).await;
        this.write(&tune(31, 2_047, 131_072, 0)).await;
        let open = Payload::default().short(stage.vhost.as_bytes()).short(b"").byte(0);
        this.write(&method(0, 10, 40, open)).await;
        this.method_is(10, 41).await;
        this.write(&method(1, 20, 10, Payload::default().short(b""))).await;
        this.method_is(20, 11).await;
        this.write(&method(1, 85, 10, Payload::default().byte(0))).await;
        this.method_is(85, 11).await;
        this
    }

    /// Declares a durable queue.
    pub async fn declare(&mut self, queue: &str) {
        let durable = Payload::default().number16(0).short(queue.as_bytes()).byte(2).long(b"");
        self.write(&method(1, 50, 10, durable)).await;
        within(ARRIVE, "a queue", self.method_is(50, 11)).await;
    }

    /// Publishes a body with properties that need not be any, and waits until the broker has it.
    pub async fn publish(&mut self, exchange: &str, key: &str, properties: &Payload, body: &[u8]) {
        let to = Payload::default().number16(0).short(exchange.as_bytes()).short(key.as_bytes()).byte(0);
        let mut bytes = method(1, BASIC, 40, to);
        bytes.extend(header(1, body.len() as u64, properties));
        for piece in body.chunks(PIECE) {
            bytes.extend(frame(BODY, 1, piece));
        }
        let publishing = async {
            self.write(&bytes).await;
            self.method_is(BASIC, 80).await;
        };
        within(ARRIVE, "a raw publish", publishing).await;
    }

    async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("the broker reads");
    }

    /// Reads the next method, which must be this one.
    async fn method_is(&mut self, class: u16, number: u16) {
        loop {
            let mut head = [0; HEAD];
            self.stream.read_exact(&mut head).await.expect("the broker answers");
            let size = u32::from_be_bytes([head[3], head[4], head[5], head[6]]) as usize;
            let mut payload = vec![0; size + 1];
            self.stream.read_exact(&mut payload).await.expect("a whole frame");
            if head[0] == METHOD {
                let numbers =
                    (u16::from_be_bytes([payload[0], payload[1]]), u16::from_be_bytes([payload[2], payload[3]]));
                assert_eq!(numbers, (class, number), "{}", String::from_utf8_lossy(&payload));
                return;
            }
        }
    }
}
