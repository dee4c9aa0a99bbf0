//! The brokers of a URL, in the order in which they are tried.
//!
//! The order is random per process, so the clients of a cluster spread over its nodes.
//! After a loss the next host is tried, not the lost one again.

use std::sync::Arc;

use oslo_messaging::config::TransportUrl;
use oslo_messaging::{Error, ErrorKind, Result};
use uuid::Uuid;

use crate::brokers::channel_quota::ChannelQuota;
use crate::config::AmqpConfig;
use crate::connection::endpoint::Endpoint;

/// The default ports of AMQP, without and with TLS. By IANA; a port in the URL takes precedence.
const PORTS: [u16; 2] = [5672, 5671];
/// The user and the password of a new RabbitMQ, and the default of the reference.
/// RabbitMQ lets this user in only from its own machine, unless it is configured otherwise.
const GUEST: &str = "guest";

/// The hosts of a transport in a random order, and which is next.
/// Owned by the first connect and then by the supervisor.
#[derive(Debug)]
pub(crate) struct Hosts {
    /// Never empty: a URL without hosts means `localhost`.
    endpoints: Vec<Endpoint>,
    /// Equal to the length at the end of a round.
    next: usize,
    /// `AmqpConfig::shuffle_hosts`: whether each round has a new order.
    shuffle: bool,
}

impl Hosts {
    /// The hosts of `url`, shuffled, so that many clients spread over a cluster.
    ///
    /// Fails with `Config` for an unsupported scheme, and for a virtual host of more than 255 bytes.
    pub(crate) fn of(url: &TransportUrl, config: &AmqpConfig) -> Result<Self> {
        let mut endpoints = endpoints(url, config.use_tls)?;
        shuffle(&mut endpoints);
        Ok(Self { endpoints, next: 0, shuffle: config.shuffle_hosts })
    }

    /// At least one. With more, the first attempt after a loss waits for at most 250 ms.
    pub(crate) fn len(&self) -> usize {
        self.endpoints.len()
    }

    /// The channel limit that all links of the transport share, whatever host they are connected to.
    pub(crate) fn quota(&self) -> Arc<ChannelQuota> {
        Arc::clone(&self.endpoints[0].quota)
    }

    /// The next host, in rotation. Shuffles again before each round if `shuffle_hosts` is set.
    pub(crate) fn next(&mut self) -> &Endpoint {
        if self.next == self.endpoints.len() {
            self.next = 0;
            if self.shuffle {
                shuffle(&mut self.endpoints);
            }
        }
        self.next += 1;
        &self.endpoints[self.next - 1]
    }
}

/// By random keys; this needs no random source beside that of the UUIDs.
fn shuffle(endpoints: &mut [Endpoint]) {
    endpoints.sort_by_cached_key(|_| Uuid::new_v4());
}

/// The hosts of `url`; `localhost` if it names none.
///
/// A missing user, password or port gets the default.
/// All hosts share one channel quota, because RabbitMQ may limit the channels of a user across nodes.
///
/// Fails with `Config` for an unsupported scheme, and for a virtual host that AMQP cannot carry: more than 255 bytes.
fn endpoints(url: &TransportUrl, tls: bool) -> Result<Vec<Endpoint>> {
    // The whole scheme with its suffix: core finds the driver by the part before it.
    is_ours(url.transport())?;
    let port = PORTS[usize::from(tls)];
    let vhost = url.virtual_host().filter(|vhost| !vhost.is_empty()).unwrap_or("/");
    // lapin's own conversion would panic.
    if vhost.len() > 255 {
        let error = Error::new(ErrorKind::Config, "connect").with_context("virtual_host", vhost);
        return Err(error.with_context("reason", "the name is longer than 255 bytes"));
    }
    let quota = Arc::new(ChannelQuota::default());
    let mut endpoints: Vec<Endpoint> = url
        .hosts()
        .iter()
        .map(|host| Endpoint {
            host: host.hostname.clone().unwrap_or_else(|| "localhost".to_owned()),
            port: host.port.unwrap_or(port),
            user: host.username.clone().unwrap_or_else(|| GUEST.to_owned()),
            password: host.password.as_ref().map_or_else(|| GUEST.to_owned(), |password| password.expose().to_owned()),
            vhost: vhost.to_owned(),
            facts: Arc::default(),
            quota: Arc::clone(&quota),
        })
        .collect();
    if endpoints.is_empty() {
        endpoints.push(Endpoint {
            host: "localhost".to_owned(),
            port,
            user: GUEST.to_owned(),
            password: GUEST.to_owned(),
            vhost: vhost.to_owned(),
            facts: Arc::default(),
            quota: Arc::clone(&quota),
        });
    }
    Ok(endpoints)
}

/// Refuses a scheme that is not supported as a whole.
/// A suffix after `+` selects a transport in the library of the reference;
/// only AMQP exists here, and most suffixes that suggest TLS do not enable it there.
///
/// Fails with `Config`, which says what to write instead.
fn is_ours(scheme: &str) -> Result<()> {
    let refused = |reason| {
        Err(Error::new(ErrorKind::Config, "connect").with_context("scheme", scheme).with_context("reason", reason))
    };
    match scheme.split_once('+') {
        None if ["rabbit", "kombu", "amqp", "amqps"].contains(&scheme) => Ok(()),
        None => refused("unknown scheme; use rabbit, kombu, amqp or amqps"),
        Some(("kombu", "amqp" | "pyamqp" | "rabbit")) => Ok(()),
        Some((_, "ssl" | "tls" | "amqps" | "pyamqps")) => refused(
            "a suffix after `+` does not enable TLS (the reference connects in plain text); use amqps:// or the option ssl=true",
        ),
        Some(_) => refused("unknown suffix after `+`; use rabbit:// or amqps://"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> Result<Vec<Endpoint>> {
        endpoints(&TransportUrl::parse(url).unwrap(), false)
    }

    #[test]
    fn what_a_url_leaves_out_is_the_reference_s_default() {
        for url in ["rabbit://", "rabbit://localhost", "rabbit://guest:guest@localhost:5672/", "kombu://localhost/"] {
            let endpoint = &read(url).unwrap()[0];
            assert_eq!(
                (endpoint.host.as_str(), endpoint.port, endpoint.vhost.as_str()),
                ("localhost", 5672, "/"),
                "{url}"
            );
            assert_eq!((endpoint.user.as_str(), endpoint.password.as_str()), ("guest", "guest"), "{url}");
        }
    }

    #[test]
    fn hosts_are_shuffled_once_and_then_taken_in_turn() {
        let url = TransportUrl::parse("rabbit://one,two,three,four,five,six/").unwrap();
        let round = |hosts: &mut Hosts| -> Vec<_> { (0..6).map(|_| hosts.next().name()).collect() };
        let mut hosts = Hosts::of(&url, &AmqpConfig::default()).unwrap();
        let first = round(&mut hosts);
        assert_eq!(round(&mut hosts), first);
        // One order in 720 is the same: fifty times in a row it is not.
        assert!((0..50).any(|_| round(&mut Hosts::of(&url, &AmqpConfig::default()).unwrap()) != first));
        let mut sorted = first;
        sorted.sort();
        sorted.dedup();
        assert_eq!(sorted.len(), 6);
    }

    #[test]
    fn every_host_comes_with_its_own_credentials() {
        let found = read("rabbit://a:b@one:1,c:d@two:2/v").unwrap();
        let found: Vec<_> = found.iter().map(|e| (e.host.as_str(), e.user.as_str(), e.vhost.as_str())).collect();
        assert_eq!(found, [("one", "a", "v"), ("two", "c", "v")]);
    }

    #[test]
    fn a_scheme_that_only_sounds_like_tls_is_refused_with_what_to_write() {
        for scheme in ["rabbit+ssl", "amqp+amqps", "kombu+amqps", "rabbit+tls", "amqps+ssl"] {
            let error = read(&format!("{scheme}://u:secret@h/")).unwrap_err();
            let text = error.to_string();
            assert!(
                error.kind() == ErrorKind::Config && text.contains("amqps://") && text.contains("plain text"),
                "{text}"
            );
            assert!(!text.contains("secret"), "{text}");
        }
        for scheme in ["kombu+memory", "rabbit+", "amqp+http", "nats"] {
            assert_eq!(read(&format!("{scheme}://h/")).unwrap_err().kind(), ErrorKind::Config, "{scheme}");
        }
        for scheme in ["rabbit", "amqp", "amqps", "kombu", "kombu+amqp", "kombu+pyamqp"] {
            assert!(read(&format!("{scheme}://h/")).is_ok(), "{scheme}");
        }
    }

    #[test]
    fn tls_has_a_port_of_its_own_and_a_password_is_never_shown() {
        let url = TransportUrl::parse("amqps://h,k:1/").unwrap();
        let ports: Vec<_> = endpoints(&url, true).unwrap().iter().map(|endpoint| endpoint.port).collect();
        assert_eq!(ports, [5671, 1]);
        assert!(!format!("{:?}", read("rabbit://u:secret@h/").unwrap()).contains("secret"));
    }
}
