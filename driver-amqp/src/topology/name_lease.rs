//! Names of private queues that outlive their process,
//! `<hostname>:<processname>:<number>` as the reference makes them (oslo.messaging `amqpdriver.py:QManager`).
//! A lease reserves one on this machine; the broker refuses a second consumer of another machine.

use std::io::ErrorKind as Io;
use std::path::Path;

use oslo_messaging::driver::{Lifetime, Subscription};
use oslo_messaging::{Error, ErrorKind, Executed, Result};

use crate::config::AmqpConfig;

/// More leases of one kind on one machine are a fault.
const MOST: u32 = 10_000;

/// The reason of a refused queue that has another consumer.
/// It is also the mark by which such an error is recognised.
const TAKEN: &str =
    "another process consumes the queue of this name; give each process a unique `hostname` and `processname`";

/// Reserves a name on this machine until it is dropped.
/// Two leases of one kind never have the same number, also in two processes (on Linux).
/// The kernel or this process frees the name, so a crash leaves nothing behind.
#[derive(Debug)]
pub(crate) struct NameLease {
    /// The part of queue names that is a random UUID where names are not stable.
    pub(crate) unique: String,
    /// Frees the name when it is dropped.
    _held: HeldName,
}

impl NameLease {
    /// Reserves the lowest number that is free on this machine for the private queue of `subscription`,
    /// so that a restarted process gets the same name. `None` for a subscription without such a queue.
    ///
    /// On Linux two processes that start at the same time get different numbers. At most 10,000 numbers are tried.
    ///
    /// Fails with `Config` if the host or program name cannot be read, or no number is free.
    pub(crate) fn take(config: &AmqpConfig, subscription: &Subscription) -> Result<Option<Self>> {
        let (host, process) = (hostname(config)?, processname(config)?);
        // From 1, so that a restarted process finds the queue that it left.
        for number in 1..=MOST {
            let unique = format!("{host}:{process}:{number}");
            let queues = subscription.queues(&unique);
            let Some(queue) = queues.iter().find(|queue| queue.lifetime == Lifetime::Private) else { return Ok(None) };
            match HeldName::take(&queue.name) {
                Ok(held) => return Ok(Some(Self { unique, _held: held })),
                Err(error) if error.kind() == Io::AddrInUse => {}
                Err(error) => return Err(refused("the name cannot be reserved on this machine").with_source(error)),
            }
        }
        Err(refused("all numbers are in use on this machine"))
    }
}

/// The error of a queue with a stable name that has another consumer: `Topology`, not transient, executed `No`.
/// It names the queue, so the recovery knows its role.
pub(crate) fn taken(queue: &str) -> Error {
    Error::new(ErrorKind::Topology, "consume")
        .with_executed(Executed::No)
        .with_context("queue", queue)
        .with_context("reason", TAKEN)
}

/// Whether `error` is [`taken`]. Compared by the reason, because core has no kind of its own for it.
pub(crate) fn is_taken(error: &Error) -> bool {
    error.context().any(|(key, value)| key == "reason" && value == TAKEN)
}

/// The configured host name, or the node name of the system (`uname`), without a lookup.
///
/// Fails with `Config` if the system's name is not UTF-8.
fn hostname(config: &AmqpConfig) -> Result<String> {
    if let Some(name) = &config.hostname {
        return Ok(name.clone());
    }
    let name = rustix::system::uname().nodename().to_str().map(str::to_owned);
    name.map_err(|error| refused("the host name is not UTF-8; set `hostname`").with_source(error))
}

/// The configured name, or the file name of the program, as the reference takes that of the script.
///
/// Fails with `Config` if the program has no name, or one that is not UTF-8.
fn processname(config: &AmqpConfig) -> Result<String> {
    if let Some(name) = &config.processname {
        return Ok(name.clone());
    }
    let program = std::env::args_os().next();
    let name = program.as_deref().and_then(|program| Path::new(program).file_name()?.to_str().map(str::to_owned));
    name.ok_or_else(|| refused("the program name is not UTF-8; set `processname`"))
}

/// `Config`, with the option to set or the cause in `reason`.
fn refused(reason: &str) -> Error {
    Error::new(ErrorKind::Config, "name a queue").with_context("reason", reason)
}

/// An abstract socket of that name, which the kernel frees when the process ends, however it ends.
/// A lock file would have to be cleaned up. The counter of the reference belongs to one group of processes:
/// another group starts at 1 again, and takes the same names.
#[cfg(target_os = "linux")]
#[derive(Debug)]
struct HeldName(#[allow(dead_code, reason = "it is held, and nothing else")] std::os::unix::net::UnixDatagram);

#[cfg(target_os = "linux")]
impl HeldName {
    /// Fails with `AddrInUse` if any process of this machine holds the name, in the same network namespace.
    fn take(queue: &str) -> std::io::Result<Self> {
        use std::os::linux::net::SocketAddrExt;
        use std::os::unix::net::{SocketAddr, UnixDatagram};

        // A socket name has 107 bytes and a queue name 255, so the name is hashed. Of two queues with one
        // hash, the second takes the next number.
        let name = SocketAddr::from_abstract_name(format!("oslo-messaging/{:016x}", fnv(queue)))?;
        UnixDatagram::bind_addr(&name).map(Self)
    }
}

/// On other systems a name is reserved in this process only; the broker refuses a second consumer of another process.
#[cfg(not(target_os = "linux"))]
#[derive(Debug)]
struct HeldName(u64);

#[cfg(not(target_os = "linux"))]
mod table {
    use std::collections::BTreeSet;
    use std::io;
    use std::sync::{Mutex, PoisonError};

    /// The hashes of the names that this process holds.
    static HELD: Mutex<BTreeSet<u64>> = Mutex::new(BTreeSet::new());

    impl super::HeldName {
        /// Fails with `AddrInUse` if this process holds the name already.
        pub(super) fn take(queue: &str) -> io::Result<Self> {
            let name = super::fnv(queue);
            let new = HELD.lock().unwrap_or_else(PoisonError::into_inner).insert(name);
            new.then_some(Self(name)).ok_or_else(|| io::ErrorKind::AddrInUse.into())
        }
    }

    impl Drop for super::HeldName {
        /// Frees the name for the next lease of this process.
        fn drop(&mut self) {
            HELD.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.0);
        }
    }
}

/// FNV-1a: the same in every build, unlike the hashes of the standard library.
fn fnv(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use oslo_messaging::driver::Source;

    use super::*;

    fn config() -> AmqpConfig {
        // Of this process: tests of other checkouts may run beside it.
        let processname = Some(format!("claim-{}", std::process::id()));
        AmqpConfig { hostname: Some("h".into()), processname, ..AmqpConfig::default() }
    }

    fn server(topic: &str) -> Subscription {
        Subscription::new(Source::Server { exchange: "x".into(), topic: topic.into(), server: "s".into() })
    }

    fn take(subscription: &Subscription) -> NameLease {
        NameLease::take(&config(), subscription).unwrap().unwrap()
    }

    #[test]
    fn each_reader_has_the_lowest_number_that_is_free_for_its_queue() {
        let process = config().processname.unwrap();
        let (first, second, other) = (take(&server("a")), take(&server("a")), take(&server("b")));
        let names = [&first, &second, &other].map(|lease| lease.unique.as_str());
        assert_eq!(names, [1, 2, 1].map(|number| format!("h:{process}:{number}")));
        let name = first.unique.clone();
        drop(first);
        assert_eq!(take(&server("a")).unique, name, "a restart finds its name again");
    }

    #[test]
    fn a_subscription_without_a_private_queue_claims_nothing() {
        let queue = Subscription::new(Source::Queue { name: "q".into() });
        assert!(NameLease::take(&config(), &queue).unwrap().is_none());
    }

    #[test]
    fn machine_and_program_have_names_by_themselves() {
        let lease = NameLease::take(&AmqpConfig::default(), &server("defaults")).unwrap().unwrap();
        let parts: Vec<_> = lease.unique.rsplitn(3, ':').collect();
        assert!(parts.len() == 3 && parts.iter().all(|part| !part.is_empty()), "{parts:?}");
    }

    #[test]
    fn an_error_about_a_queue_in_use_is_known_as_such() {
        assert!(is_taken(&taken("q")));
        assert!(!is_taken(&refused("something else")));
    }
}
