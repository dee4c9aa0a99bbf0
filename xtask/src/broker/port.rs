//! Ports that no other node takes before a node binds them.

use std::net::{Ipv4Addr, TcpListener};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Result, bail};

/// Below those that systems give to clients, and to servers that do not care: a node binds its ports seconds after they were
/// chosen, and RabbitMQ starts without a TLS port that is in use.
const FIRST: u32 = 10_000;
const COUNT: u32 = 22_000;

/// Ports that are free, each given out once in this process.
///
/// # Errors
/// When none of them is free.
pub fn free_ports<const N: usize>() -> Result<[u16; N]> {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    let mut ports = [0; N];
    for port in &mut ports {
        let mut tries = (0..COUNT).map(|_| port_of(process::id(), GIVEN.fetch_add(1, Ordering::Relaxed)));
        let Some(free) = tries.find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok()) else {
            bail!("no port from {FIRST} on is free");
        };
        *port = free;
    }
    Ok(ports)
}

/// The port of a number, each process beginning somewhere else.
fn port_of(process: u32, number: u32) -> u16 {
    let place = process.wrapping_mul(7_919).wrapping_add(number) % COUNT;
    u16::try_from(FIRST + place).expect("it is below 65,536")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_port_is_given_twice_and_none_that_is_taken() {
        let [first, second] = free_ports().unwrap();
        assert_ne!(first, second);
        let taken =
            (1..5).filter_map(|after| TcpListener::bind((Ipv4Addr::LOCALHOST, second.wrapping_add(after))).ok());
        let taken: Vec<_> = taken.collect();
        let [third] = free_ports().unwrap();
        assert!(taken.iter().all(|taken| taken.local_addr().unwrap().port() != third), "{third}");
    }

    #[test]
    fn every_number_has_a_port_in_range_and_neighbours_differ() {
        for number in [0, 1, COUNT - 1, COUNT, u32::MAX] {
            let port = u32::from(port_of(u32::MAX, number));
            assert!((FIRST..FIRST + COUNT).contains(&port), "{port}");
        }
        assert_ne!(port_of(7, 1), port_of(7, 2));
    }
}
