//! The reference model: exchanges, topics, servers, namespaces and versions decide
//! which server runs a request. No clock, no bus.
//!
//! A queue has the name of its topic, or of its topic and server, and no exchange in it (oslo.messaging
//! `AMQPDriverBase.listen`). So servers of one topic in two exchanges read one queue, and a message through either
//! exchange reaches either server, once the queue is bound to that exchange.

use super::program::{Interface, Server};
use super::request::{Kind, Method, Request};

/// What a server does with a request that it receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dispatch {
    /// An interface matches in namespace and version, and has the method.
    Runs,
    /// An interface matches, but has no such method.
    NoSuchMethod,
    /// No interface matches. An unknown namespace is reported as an unknown version.
    UnsupportedVersion,
}

/// Whether `server`, once started, reads the queue to which `request` goes.
pub(crate) fn reads(server: &Server, request: &Request) -> bool {
    let named = request.server.as_ref().is_none_or(|name| *name == server.name);
    server.topic == request.topic && (request.kind == Kind::Fanout || named)
}

/// Whether `server`, once started, has bound that queue to the exchange through which `request` goes.
pub(crate) fn binds(server: &Server, request: &Request) -> bool {
    reads(server, request) && (request.kind == Kind::Fanout || server.exchange == request.exchange)
}

/// Any interface of the server may match. A request without a version asks for 1.0.
pub(crate) fn dispatch(server: &Server, request: &Request) -> Dispatch {
    let fits = |interface: &Interface| {
        interface.namespace == request.namespace
            && serves(&interface.version, request.version.as_deref().unwrap_or("1.0"))
    };
    match (server.interfaces.iter().any(fits), request.method) {
        (false, _) => Dispatch::UnsupportedVersion,
        (true, Method::Missing) => Dispatch::NoSuchMethod,
        (true, _) => Dispatch::Runs,
    }
}

/// The same major, and a minor no higher than the implemented one.
fn serves(implemented: &str, requested: &str) -> bool {
    let parts = |version: &str| -> Option<(u32, u32)> {
        let (major, minor) = version.split_once('.')?;
        Some((major.parse().ok()?, minor.parse().ok()?))
    };
    match (parts(implemented), parts(requested)) {
        (Some((major, minor)), Some((wanted, least))) => major == wanted && least <= minor,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_by_its_topic_and_bound_by_its_exchange() {
        let server = Server::new("t", "a").exchange("x");
        assert!(reads(&server, &Request::cast("t")) && !binds(&server, &Request::cast("t")));
        assert!(binds(&server, &Request::cast("t").exchange("x").server("a")));
        assert!(!reads(&server, &Request::cast("t").exchange("x").server("b")));
        assert!(!reads(&server, &Request::fanout("u")));
        assert!(binds(&server, &Request::fanout("t").exchange("y").server("b")));
    }

    #[test]
    fn namespace_and_version_choose_the_interface() {
        let server = Server::new("t", "a").interface("1.2").interface_in("n", "2.0");
        for (request, expected) in [
            (Request::call("t"), Dispatch::Runs),
            (Request::call("t").version("1.2"), Dispatch::Runs),
            (Request::call("t").version("1.3"), Dispatch::UnsupportedVersion),
            (Request::call("t").version("2.0"), Dispatch::UnsupportedVersion),
            (Request::call("t").namespace("n").version("2.0"), Dispatch::Runs),
            (Request::call("t").namespace("n"), Dispatch::UnsupportedVersion),
            (Request::call("t").namespace("o"), Dispatch::UnsupportedVersion),
            (Request::call("t").method(Method::Missing), Dispatch::NoSuchMethod),
        ] {
            assert_eq!(dispatch(&server, &request), expected, "{request}");
        }
    }
}
