//! What the relay does to a connection to a peer that echoes.

use std::io::ErrorKind;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tokio_util::task::AbortOnDropHandle;

use testkit::proxy::{At, Direction, Fault, Proxy};
use testkit::stage::{ARRIVE, QUIET, until, within};

/// Sends back what it is sent.
async fn echo() -> (u16, AbortOnDropHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let serving = async move {
        let mut connections = JoinSet::new();
        loop {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            connections.spawn(async move {
                let (mut from, mut to) = stream.split();
                let _ = tokio::io::copy(&mut from, &mut to).await;
            });
        }
    };
    (port, AbortOnDropHandle::new(tokio::spawn(serving)))
}

/// A relay to a peer that echoes, and a connection through it.
async fn connected() -> (Proxy, TcpStream, AbortOnDropHandle<()>) {
    let (port, echo) = echo().await;
    let proxy = Proxy::to(port).await;
    let client = connect(&proxy).await;
    (proxy, client, echo)
}

async fn connect(proxy: &Proxy) -> TcpStream {
    within(ARRIVE, "connect", TcpStream::connect(("127.0.0.1", proxy.port()))).await.expect("it listens")
}

async fn answered(client: &mut TcpStream, bytes: &[u8]) {
    client.write_all(bytes).await.expect("it is open");
    let mut answer = vec![0; bytes.len()];
    within(ARRIVE, "an answer", client.read_exact(&mut answer)).await.expect("it is whole");
    assert_eq!(answer, bytes);
}

/// What arrives before the end, and whether that was in order.
async fn rest(client: &mut TcpStream) -> (Vec<u8>, bool) {
    let mut bytes = Vec::new();
    match within(ARRIVE, "the end", client.read_to_end(&mut bytes)).await {
        Ok(_) => (bytes, true),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
            (bytes, false)
        }
    }
}

pub(crate) async fn bytes_go_through_and_are_counted_and_kept() {
    let (proxy, mut client, _echo) = connected().await;
    answered(&mut client, b"hello").await;
    let mut other = connect(&proxy).await;
    answered(&mut other, b"me too").await;
    assert_eq!(proxy.connections(), 2);
    for direction in [Direction::ToBroker, Direction::FromBroker] {
        assert_eq!(proxy.bytes(direction), 11);
        let tape = proxy.tape(0, direction);
        assert_eq!((tape.passed, tape.sent), (5, b"hello".to_vec()));
    }
    assert_eq!(proxy.tape(2, Direction::ToBroker).passed, 0);
}

pub(crate) async fn a_cut_is_orderly_and_a_reset_is_not() {
    let (proxy, mut client, _echo) = connected().await;
    answered(&mut client, b"before").await;
    proxy.strike(Fault::Cut);
    assert_eq!(rest(&mut client).await, (vec![], true));
    // A new connection is let through.
    let mut again = connect(&proxy).await;
    answered(&mut again, b"after").await;
    proxy.strike(Fault::Reset);
    assert_eq!(rest(&mut again).await, (vec![], false));
}

pub(crate) async fn an_armed_cut_lets_through_exactly_what_is_before_its_offset() {
    for direction in [Direction::ToBroker, Direction::FromBroker] {
        for offset in [0, 1, 7, 9, 10] {
            let (proxy, mut client, _echo) = connected().await;
            let at = At { connection: 0, direction, offset };
            proxy.arm(at, Fault::Cut, &[]);
            // The relay may have closed already.
            let _ = client.write_all(b"0123456789").await;
            let (arrived, orderly) = rest(&mut client).await;
            assert!(orderly || offset == 0, "{at:?}");
            assert_eq!(proxy.tape(0, direction).passed, offset, "{at:?}");
            if direction == Direction::FromBroker && offset > 0 {
                assert_eq!(arrived, b"0123456789"[..offset], "{at:?}");
            }
            assert!(proxy.trip().expect("it has come").at_its_place);
        }
    }
}

pub(crate) async fn an_armed_fault_waits_for_its_connection_comes_once_and_takes_others_along() {
    let (proxy, mut first, _echo) = connected().await;
    let (neighbour, mut theirs, _their_echo) = connected().await;
    answered(&mut theirs, b"hello").await;
    proxy.arm(At { connection: 1, direction: Direction::ToBroker, offset: 3 }, Fault::Cut, &[&neighbour]);
    answered(&mut first, b"not this one").await;
    assert_eq!(proxy.trip(), None);
    let mut second = connect(&proxy).await;
    second.write_all(b"abcdef").await.expect("it is open");
    rest(&mut second).await;
    assert_eq!(proxy.tape(1, Direction::ToBroker).passed, 3);
    assert_eq!(rest(&mut first).await, (vec![], true));
    assert_eq!(rest(&mut theirs).await, (vec![], true));
    let mut third = connect(&proxy).await;
    answered(&mut third, b"abcdef").await;
}

pub(crate) async fn an_armed_fault_can_be_sprung_before_its_place() {
    let (proxy, mut client, _echo) = connected().await;
    answered(&mut client, b"hello").await;
    proxy.arm(At { connection: 0, direction: Direction::ToBroker, offset: 1_000 }, Fault::Reset, &[]);
    proxy.spring();
    assert_eq!(rest(&mut client).await, (vec![], false));
    let trip = proxy.trip();
    assert!(trip.is_some_and(|trip| !trip.at_its_place));
    proxy.spring();
    assert_eq!(proxy.trip(), trip);
}

pub(crate) async fn what_stands_still_goes_on_where_it_stood() {
    let (proxy, mut client, _echo) = connected().await;
    answered(&mut client, b"before").await;
    proxy.strike(Fault::Stall);
    client.write_all(b"meanwhile").await.expect("it is open");
    let mut answer = [0; 9];
    assert!(timeout(QUIET, client.read_exact(&mut answer)).await.is_err(), "nothing should come");
    // It meets new connections too.
    let mut new = connect(&proxy).await;
    new.write_all(b"new").await.expect("it is open");
    proxy.heal();
    for (stream, expected) in [(&mut client, &b"meanwhile"[..]), (&mut new, &b"new"[..])] {
        let mut answer = vec![0; expected.len()];
        within(ARRIVE, "an answer", stream.read_exact(&mut answer)).await.expect("it is whole");
        assert_eq!(answer, expected);
    }
}

pub(crate) async fn what_is_swallowed_is_read_and_never_arrives() {
    let (proxy, mut client, _echo) = connected().await;
    answered(&mut client, b"before").await;
    proxy.strike(Fault::BlackHole);
    let much = vec![b'm'; 8 * 1024 * 1024];
    within(ARRIVE, "writing", client.write_all(&much)).await.expect("everything is taken");
    proxy.heal();
    until("the relay to have read it all", async || proxy.tape(0, Direction::ToBroker).sent.len() == 1024 * 1024).await;
    assert!(proxy.bytes(Direction::ToBroker) < much.len());
}

pub(crate) async fn a_delay_is_waited_for_and_fragments_are_single_bytes() {
    let (proxy, mut client, _echo) = connected().await;
    let delay = Duration::from_millis(50);
    proxy.strike(Fault::Delay(delay));
    let begun = Instant::now();
    answered(&mut client, b"slow").await;
    assert!(begun.elapsed() >= 2 * delay, "once each way: {:?}", begun.elapsed());
    proxy.heal();
    proxy.strike(Fault::Fragment);
    answered(&mut client, &vec![b'f'; 5_000]).await;
    assert_eq!(proxy.bytes(Direction::FromBroker), 5_004);
}

pub(crate) async fn a_peer_that_is_not_there_and_one_that_closes_end_the_connection() {
    let (port, echo) = echo().await;
    let proxy = Proxy::to(port).await;
    let mut client = connect(&proxy).await;
    answered(&mut client, b"hello").await;
    drop(echo);
    rest(&mut client).await;
    until("the listener to be gone", async || TcpStream::connect(("127.0.0.1", port)).await.is_err()).await;
    let mut alone = connect(&proxy).await;
    rest(&mut alone).await;
}
