//! Whether two URLs lead to the same bus, as far as their texts say.

use super::{Host, TransportUrl};

/// The ports of AMQP, without TLS and inside of it.
const PORTS: [u16; 2] = [5672, 5671];

impl TransportUrl {
    /// Whether a host and the virtual host are the same.
    /// One host is enough: nodes of one cluster may be listed differently.
    pub(crate) fn is_same_bus(&self, other: &Self) -> bool {
        let places = other.places();
        self.vhost() == other.vhost() && self.places().iter().any(|place| places.contains(place))
    }

    /// No virtual host, an empty one and `/` are the same.
    fn vhost(&self) -> &str {
        self.virtual_host().filter(|vhost| !vhost.is_empty()).unwrap_or("/")
    }

    /// Host names in lower case, each with the port of the scheme where the URL has none.
    fn places(&self) -> Vec<(String, u16)> {
        let port = PORTS[usize::from(self.scheme() == "amqps")];
        // A URL without hosts means the broker of this machine, as in the reference.
        let nowhere = [Host::default()];
        let hosts = if self.hosts.is_empty() { &nowhere[..] } else { &self.hosts };
        let place = |host: &Host| {
            let name = host.hostname.as_deref().unwrap_or("localhost").to_ascii_lowercase();
            (name, host.port.unwrap_or(port))
        };
        hosts.iter().map(place).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_urls_lead_to_one_bus_if_they_share_a_host_and_the_virtual_host() {
        let url = |text: &str| TransportUrl::parse(text).unwrap();
        for (one, other, same) in [
            ("rabbit://a:b@mq1/v", "rabbit://c:d@MQ1:5672/v?ssl=false", true),
            ("rabbit://mq1,mq2", "rabbit://mq2,mq3//", true),
            ("rabbit://", "rabbit://localhost/", true),
            ("amqps://mq1/v", "rabbit://mq1:5671/v", true),
            ("rabbit://mq1/v", "rabbit://mq1/w", false),
            ("rabbit://mq1/v", "rabbit://mq2/v", false),
            ("rabbit://mq1:5673/", "rabbit://mq1/", false),
            ("rabbit://mq1/v", "rabbit://mq1/", false),
        ] {
            assert_eq!(url(one).is_same_bus(&url(other)), same, "{one} {other}");
            assert_eq!(url(other).is_same_bus(&url(one)), same, "{other} {one}");
        }
    }
}
