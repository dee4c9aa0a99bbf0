//! The two sockets of one connection, and what goes between them.

use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy, sink};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::Shared;
use super::fault::{Conditions, Ending};
use super::line::{Direction, Line};

/// How long the two ends may take to close their sides of a connection that ended in order.
const FAREWELL: Duration = Duration::from_secs(2);

/// Relays `client` to the broker until one of them, or a fault, ends the connection.
pub(super) async fn relay(mut client: TcpStream, shared: Arc<Shared>, line: Arc<Line>) {
    let Ok(mut broker) = TcpStream::connect(shared.broker).await else { return };
    for stream in [&client, &broker] {
        // It fails only on a socket that is gone, which is seen when it is read.
        let _ = stream.set_nodelay(true);
    }
    {
        let ((from_client, to_client), (from_broker, to_broker)) = (client.split(), broker.split());
        let mut ending = line.ending();
        tokio::select! {
            biased;
            _ = ending.wait_for(Option::is_some) => {}
            () = pump(from_client, to_broker, &shared, &line, Direction::ToBroker) => {}
            () = pump(from_broker, to_client, &shared, &line, Direction::FromBroker) => {}
        }
    }
    let ending = *line.ending().borrow();
    match ending.unwrap_or(Ending::Orderly) {
        Ending::Orderly => part(client, broker).await,
        Ending::Reset => {
            for stream in [&client, &broker] {
                let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
            }
        }
    }
}

/// Moves bytes one way until there are no more, or the connection has ended.
async fn pump(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, shared: &Shared, line: &Line, direction: Direction) {
    let mut conditions = shared.conditions.subscribe();
    let mut buffer = vec![0; 16 * 1024];
    while !is_due(shared, line, direction) {
        current(&mut conditions).await;
        let read = tokio::select! {
            read = from.read(&mut buffer) => match read {
                Ok(0) | Err(_) => return,
                Ok(read) => read,
            },
            forged = line.forgery(direction) => match to.write_all(&forged).await {
                Ok(()) => continue,
                Err(_) => return,
            },
        };
        line.read(direction, &buffer[..read]);
        let mut rest = &buffer[..read];
        while !rest.is_empty() {
            // Asked for each piece: it may have changed while nothing came, and with the piece before.
            let now = current(&mut conditions).await;
            if now.swallows {
                break;
            }
            if !now.delay.is_zero() {
                sleep(now.delay).await;
            }
            let room = shared.room(line, direction).min(now.piece).min(rest.len());
            // Before it is written, so that no answer is counted before its question.
            line.pass(direction, room);
            if to.write_all(&rest[..room]).await.is_err() {
                return;
            }
            rest = &rest[room..];
            if is_due(shared, line, direction) {
                break;
            }
        }
        if line.has_ended() {
            return;
        }
    }
}

/// Has the armed fault come if its place is reached; says whether the connection has ended with it.
fn is_due(shared: &Shared, line: &Line, direction: Direction) -> bool {
    if shared.room(line, direction) == 0 {
        shared.spring(true);
    }
    line.has_ended()
}

/// The conditions, once the relay is not stalled.
async fn current(conditions: &mut watch::Receiver<Conditions>) -> Conditions {
    match conditions.wait_for(|conditions| !conditions.stalled).await {
        Ok(conditions) => *conditions,
        // The relay's owner is gone, and the relay will be.
        Err(_) => Conditions::NONE,
    }
}

/// Lets both ends see the end behind everything that arrived. A socket that is closed with something unread in it
/// would be reset.
async fn part(mut client: TcpStream, mut broker: TcpStream) {
    let _ = client.shutdown().await;
    let _ = broker.shutdown().await;
    let (mut one, mut other) = (sink(), sink());
    let _ = timeout(FAREWELL, async { tokio::join!(copy(&mut client, &mut one), copy(&mut broker, &mut other)) }).await;
}
