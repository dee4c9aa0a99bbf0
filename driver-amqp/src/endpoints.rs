//! The brokers that a URL names, in the order in which they are tried.

use oslo_messaging::{Error, ErrorKind, Result, TransportUrl};
use uuid::Uuid;

use crate::config::without_tls;
use crate::connection::Endpoint;

/// The port of AMQP without TLS.
const PORT: u16 = 5672;
/// The account that RabbitMQ has when it is new, and what the reference falls back to.
const GUEST: &str = "guest";

/// The hosts of `url`, starting at a random one so that many clients spread over a cluster.
///
/// # Errors
/// `Config` for a scheme that asks for TLS or is not ours, and for a virtual host whose name AMQP cannot carry.
pub(crate) fn endpoints(url: &TransportUrl) -> Result<Vec<Endpoint>> {
    match url.scheme() {
        "rabbit" | "kombu" | "amqp" => {}
        "amqps" => return Err(without_tls()),
        other => return Err(Error::new(ErrorKind::Config, "connect").with("scheme", other)),
    }
    let vhost = url.virtual_host().filter(|vhost| !vhost.is_empty()).unwrap_or("/");
    // lapin's own conversion would panic.
    if vhost.len() > 255 {
        let error = Error::new(ErrorKind::Config, "connect").with("virtual host", vhost);
        return Err(error.with("reason", "its name is longer than 255 bytes"));
    }
    let mut endpoints: Vec<Endpoint> = url
        .hosts()
        .iter()
        .map(|host| Endpoint {
            host: host.hostname.clone().unwrap_or_else(|| "localhost".to_owned()),
            port: host.port.unwrap_or(PORT),
            user: host.username.clone().unwrap_or_else(|| GUEST.to_owned()),
            password: host.password.as_ref().map_or_else(|| GUEST.to_owned(), |password| password.expose().to_owned()),
            vhost: vhost.to_owned(),
        })
        .collect();
    if endpoints.is_empty() {
        endpoints.push(Endpoint {
            host: "localhost".to_owned(),
            port: PORT,
            user: GUEST.to_owned(),
            password: GUEST.to_owned(),
            vhost: vhost.to_owned(),
        });
    }
    let first = usize::from(Uuid::new_v4().as_bytes()[0]) % endpoints.len();
    endpoints.rotate_left(first);
    Ok(endpoints)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> Result<Vec<Endpoint>> {
        endpoints(&TransportUrl::parse(url).unwrap())
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
    fn every_host_is_tried_once_with_its_own_credentials() {
        let mut found = read("rabbit://a:b@one:1,c:d@two:2/v").unwrap();
        found.sort_by_key(|endpoint| endpoint.port);
        let found: Vec<_> = found.iter().map(|e| (e.host.as_str(), e.user.as_str(), e.vhost.as_str())).collect();
        assert_eq!(found, [("one", "a", "v"), ("two", "c", "v")]);
    }

    #[test]
    fn tls_is_refused_and_a_password_is_never_shown() {
        assert_eq!(read("amqps://h/").unwrap_err().kind(), ErrorKind::Config);
        assert!(!format!("{:?}", read("rabbit://u:secret@h/").unwrap()).contains("secret"));
    }
}
