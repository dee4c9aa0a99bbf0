//! Connects to one of the addresses of a host name: the first that accepts wins (RFC 8305,
//! happy eyeballs), so an address that drops packets delays the others only a moment.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::net::lookup_host;
use tokio::time::sleep;

/// How long an address is tried before the next one starts beside it: the value that RFC 8305 recommends.
/// An address that fails starts the next one at once.
const HEAD_START: Duration = Duration::from_millis(250);

/// The distinct addresses of `host`, in the order of the resolver.
///
/// The resolver decides which family comes first.
///
/// Fails with the resolver's error. A name without an address is no error: the list is empty.
pub(crate) async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let mut addresses = Vec::new();
    for address in lookup_host((host, port)).await? {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    Ok(addresses)
}

/// The first of `addresses` that `connect` succeeds with.
/// Each starts [`HEAD_START`] after the one before it, or when that one fails.
///
/// Attempts that lose are dropped, which closes their sockets.
///
/// Cancellation drops every attempt, and closes its socket.
///
/// Fails with the last failure, once all have failed; with `NotFound` if there is no address.
pub(crate) async fn race<A: Copy, T, F>(addresses: &[A], connect: impl Fn(A) -> F) -> io::Result<(A, T)>
where
    F: Future<Output = io::Result<T>>,
{
    let connect = &connect;
    let mut waiting = addresses.iter().copied();
    let mut trying = FuturesUnordered::new();
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "the host name has no address");
    loop {
        match waiting.next() {
            Some(address) => trying.push(async move { connect(address).await.map(|stream| (address, stream)) }),
            None if trying.is_empty() => return Err(failed),
            None => {}
        }
        tokio::select! {
            biased;
            Some(tried) = trying.next() => match tried {
                Ok(connected) => return Ok(connected),
                Err(error) => failed = error,
            },
            // Without another address there is nothing to start.
            () = sleep(HEAD_START), if waiting.len() > 0 => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::io::ErrorKind::{ConnectionRefused, NotFound};

    use tokio::time::Instant;

    use super::*;

    /// 0 swallows packets, 1 refuses, and any other answers after so many seconds.
    async fn connect(address: u64) -> io::Result<()> {
        match address {
            0 => pending().await,
            1 => Err(ConnectionRefused.into()),
            seconds => {
                sleep(Duration::from_secs(seconds)).await;
                Ok(())
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_swallows_packets_costs_the_next_one_a_head_start() {
        let begun = Instant::now();
        let (address, ()) = race(&[0, 2], connect).await.unwrap();
        assert_eq!((address, begun.elapsed()), (2, HEAD_START + Duration::from_secs(2)));
        let begun = Instant::now();
        race(&[0, 0, 0, 2], connect).await.unwrap();
        assert_eq!(begun.elapsed(), 3 * HEAD_START + Duration::from_secs(2));
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_refuses_costs_nothing_and_a_slow_one_may_still_be_first() {
        let begun = Instant::now();
        assert_eq!(race(&[1, 1, 2], connect).await.unwrap().0, 2);
        assert_eq!(begun.elapsed(), Duration::from_secs(2));
        assert_eq!(race(&[2, 3, 1], connect).await.unwrap().0, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_failure_is_returned_once_all_have_failed() {
        assert_eq!(race(&[1, 1], connect).await.unwrap_err().kind(), ConnectionRefused);
        assert_eq!(race(&[], connect).await.unwrap_err().kind(), NotFound);
    }
}
