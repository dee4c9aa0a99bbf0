//! What must hold for every input. The fuzz targets of `fuzz/` run these checks, and so does the replay of the corpus.

use oslo_messaging::config::TransportUrl;
use oslo_messaging::driver::Message;
use oslo_messaging::wire::{Compression, Format, Notification, Reply, Request};
use oslo_messaging::{ConfigFile, Payload};
use serde_json::Value;

/// One check by the name of its target and of its corpus.
pub(crate) struct Check {
    pub(crate) name: &'static str,
    pub(crate) run: fn(&[u8]),
}

/// Every check.
pub(crate) const CHECKS: [Check; 6] = [
    Check { name: "request", run: request },
    Check { name: "reply", run: reply },
    Check { name: "notification", run: notification },
    Check { name: "compression", run: compression },
    Check { name: "url", run: url },
    Check { name: "config_file", run: config_file },
];

/// The most that a compressed input of a check may grow to.
const LIMIT: usize = 1 << 20;
/// Stands where a password was.
const MARKER: &str = "hunter2";

/// What is read as a request is read again from what is written of it.
///
/// # Panics
/// If it is not.
pub(crate) fn request(body: &[u8]) {
    let Ok(first) = Request::decode(&Message::new(body.to_vec())) else { return };
    let written = |request: &Request| Request::decode(&Message::new(request.encode())).expect("we wrote it");
    let second = written(&first);
    assert_eq!(written(&second), second);
    assert_same(&first.args, &second.args);
    assert_same_fields(&first.context, &second.context);
    assert_eq!(second.with_args(first.args.clone()).with_context(first.context.clone()), first);
}

/// As [`request`]; of a failure that Python rebuilt, what is written goes under its first name.
///
/// # Panics
/// If it is not.
pub(crate) fn reply(body: &[u8]) {
    let Ok(first) = Reply::decode(&Message::new(body.to_vec())) else { return };
    let written = |reply: &Reply| Reply::decode(&Message::new(reply.encode())).expect("we wrote it");
    let second = written(&first);
    assert_same(&first.result, &second.result);
    assert_eq!(first.failure.is_some(), second.failure.is_some());
    if let (Some(first), Some(second)) = (&first.failure, &second.failure) {
        assert_eq!((first.message(), first.traceback()), (second.message(), second.traceback()));
        assert_same(first.args(), second.args());
        assert_same(first.kwargs(), second.kwargs());
    }
    let named = |reply: &Reply| (reply.msg_id.clone(), reply.unique_id.clone(), reply.ending);
    assert_eq!(named(&first), named(&second));
}

/// As [`request`], in both formats.
///
/// # Panics
/// If it is not.
pub(crate) fn notification(body: &[u8]) {
    let Ok(first) = Notification::decode(&Message::new(body.to_vec())) else { return };
    for format in [Format::V1, Format::V2] {
        let written =
            |read: &Notification| Notification::decode(&Message::new(read.encode(format))).expect("we wrote it");
        let second = written(&first);
        assert_eq!(written(&second), second);
        assert_same(&first.payload, &second.payload);
        assert_same_fields(&first.context, &second.context);
        let first = first.clone();
        assert_eq!(
            {
                let mut second = second;
                (second.payload, second.context) = (first.payload.clone(), first.context.clone());
                second
            },
            first
        );
    }
}

/// What is compressed comes back, and what claims to be compressed grows no further than it may.
///
/// # Panics
/// If it does not.
pub(crate) fn compression(input: &[u8]) {
    for compression in [Compression::Zlib, Compression::Bzip2] {
        if let Ok(body) = compression.decompress(input, LIMIT) {
            assert!(body.len() <= LIMIT);
        }
        let compressed = compression.compress(input);
        assert_eq!(compression.decompress(&compressed, input.len()).expect("we compressed it"), input);
    }
}

/// A URL is printed so that it is read again, and what is shown of it does not depend on its passwords.
///
/// # Panics
/// If it is not, or does.
pub(crate) fn url(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    match TransportUrl::parse(&text) {
        Ok(url) => {
            let printed = url.to_secret_string();
            assert_eq!(TransportUrl::parse(&printed).expect("what is printed can be read"), url, "{printed}");
            let marked = marked(&url);
            assert!(marked.to_secret_string().contains(MARKER) || !has_secrets(&url), "{printed}");
            assert_eq!((marked.to_string(), format!("{marked:?}")), (url.to_string(), format!("{url:?}")), "{printed}");
            assert_eq!(format!("{:?}", marked.hosts()), format!("{:?}", url.hosts()), "{printed}");
        }
        Err(error) => {
            let secret = text.split_once("://").and_then(|(_, rest)| Some(rest.rsplit_once('@')?.0.split_once(':')?.1));
            let shown = error.to_string();
            // A shorter one may be a part of any sentence.
            assert!(secret.is_none_or(|secret| secret.len() < 8 || !shown.contains(secret)), "{shown}");
        }
    }
}

/// Reading a file and asking for each of its options never panics. An error never repeats a line of the file.
///
/// # Panics
/// If that is not so.
pub(crate) fn config_file(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    match ConfigFile::parse(&text) {
        Ok(file) => {
            for section in ["DEFAULT", "oslo_messaging_notifications", "oslo_messaging_rabbit", "s"] {
                for (option, value) in file.section(section) {
                    assert_eq!(file.get(section, option), Some(value));
                }
            }
            let _ = (file.transport_url(), file.notification_transport_url(), file.rpc_response_timeout());
            let _ = (file.control_exchange(), file.rpc_ping_enabled(), file.notification_topics());
        }
        Err(error) => {
            let shown = error.to_string();
            // A shorter one may be a part of any sentence.
            assert!(!text.lines().any(|line| line.len() >= 20 && shown.contains(line)), "{shown}");
        }
    }
}

/// What only Python writes goes on as what it counts as here, so the texts may differ. What no reader takes, such as an
/// array in a hundred others, is not read afterwards either.
fn assert_same(first: &Payload, second: &Payload) {
    match first.decode::<Value>() {
        Ok(value) => assert_eq!(second.decode::<Value>().expect("as the first"), value),
        Err(_) => assert!(second.decode::<Value>().is_err(), "{} became {}", first.as_str(), second.as_str()),
    }
}

fn assert_same_fields(first: &[(String, Payload)], second: &[(String, Payload)]) {
    assert_eq!(first.len(), second.len());
    for (first, second) in first.iter().zip(second) {
        assert_eq!(first.0, second.0);
        assert_same(&first.1, &second.1);
    }
}

fn has_secrets(url: &TransportUrl) -> bool {
    url.hosts().iter().any(|host| host.password.is_some()) || url.query().keys().any(|key| is_secret(key))
}

fn is_secret(key: &str) -> bool {
    key.to_ascii_lowercase().contains("password")
}

/// The same URL with other passwords.
fn marked(url: &TransportUrl) -> TransportUrl {
    let mut marked = TransportUrl::new(url.transport()).expect("it was read");
    for host in url.hosts() {
        let password = host.password.is_some();
        marked = marked.with_host(if password { host.clone().with_password(MARKER) } else { host.clone() });
    }
    if let Some(virtual_host) = url.virtual_host() {
        marked = marked.with_virtual_host(virtual_host);
    }
    let other = |key: &str, value: &str| if is_secret(key) { MARKER.to_owned() } else { value.to_owned() };
    url.query().iter().fold(marked, |marked, (key, value)| marked.with_query(key, other(key, value)))
}
