//! Value to text, in one canonical form: [`TransportUrl::parse`] gives the value back.
//!
//! A part that is absent is not printed, and an empty one is: `None` and an empty virtual host give different text.

use std::fmt::{self, Write};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{Host, TransportUrl};

/// Everything but the unreserved characters of RFC 3986, which Python's `urllib.parse.quote` leaves alone.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The same within a virtual host, where `/` stays.
const RESERVED_IN_PATH: &AsciiSet = &RESERVED.remove(b'/');
/// The same within `[]`, where `:` stays.
const RESERVED_IN_ADDRESS: &AsciiSet = &RESERVED.remove(b':');

/// Its `Display` prints the passwords, which that of the URL never does.
struct Revealed<'a>(&'a TransportUrl);

/// Whether passwords are printed or hidden.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Secrets {
    Shown,
    Hidden,
}

impl TransportUrl {
    /// The URL with its passwords, quoted canonically; for another process, never for a log.
    ///
    /// The same text as the reference's `str(url)`, but that a URL without a virtual host has no final `/`: the
    /// reference prints that one like a URL whose virtual host is empty.
    #[must_use]
    pub fn to_secret_string(&self) -> String {
        Revealed(self).to_string()
    }

    /// Options come in the order of their names, since they are kept sorted.
    fn print(&self, f: &mut fmt::Formatter<'_>, secrets: Secrets) -> fmt::Result {
        write!(f, "{}://", self.transport)?;
        for (index, host) in self.hosts.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { "," })?;
            print_host(f, host, secrets)?;
        }
        if let Some(virtual_host) = &self.virtual_host {
            write!(f, "/{}", utf8_percent_encode(virtual_host, RESERVED_IN_PATH))?;
        }
        for (index, (key, value)) in self.query.iter().enumerate() {
            f.write_str(if index == 0 { "?" } else { "&" })?;
            let hidden = secrets == Secrets::Hidden && names_secret(key);
            let value = if hidden { "***".to_owned() } else { quote_plus(value) };
            write!(f, "{}={value}", quote_plus(key))?;
        }
        Ok(())
    }
}

impl fmt::Display for Revealed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.print(f, Secrets::Shown)
    }
}

/// The URL with `***` for passwords and for the values of options that may be secrets. Safe to log.
impl fmt::Display for TransportUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.print(f, Secrets::Hidden)
    }
}

/// As `Display`, so that no `{:?}` of a containing struct shows a password.
impl fmt::Debug for TransportUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TransportUrl({self})")
    }
}

/// Whether an option called `key` may be a secret, also one that no driver has:
/// a mistaken one is printed with the rest.
///
/// A name that ends in `_file` is a path and shown.
fn names_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    let parts = ["pass", "pwd", "secret", "token", "credential", "auth", "api_key", "apikey", "private_key"];
    key == "pw" || (parts.iter().any(|part| key.contains(part)) && !key.ends_with("_file"))
}

/// An address with a colon gets brackets. `@` is printed if there is a user name or a password, even an empty one.
fn print_host(f: &mut fmt::Formatter<'_>, host: &Host, secrets: Secrets) -> fmt::Result {
    if let Some(username) = &host.username {
        write!(f, "{}", utf8_percent_encode(username, RESERVED))?;
    }
    match (&host.password, secrets) {
        (Some(password), Secrets::Shown) => write!(f, ":{}", utf8_percent_encode(password.expose(), RESERVED))?,
        (Some(_), Secrets::Hidden) => f.write_str(":***")?,
        (None, _) => {}
    }
    if host.username.is_some() || host.password.is_some() {
        f.write_char('@')?;
    }
    match host.hostname.as_deref() {
        // Only an IPv6 address has a colon; without brackets its end would read as a port.
        Some(name) if name.contains(':') => write!(f, "[{}]", utf8_percent_encode(name, RESERVED_IN_ADDRESS))?,
        Some(name) => write!(f, "{}", utf8_percent_encode(name, RESERVED))?,
        None => {}
    }
    match host.port {
        Some(port) => write!(f, ":{port}"),
        None => Ok(()),
    }
}

/// A space becomes `+`, as in Python's `urllib.parse.quote_plus`.
fn quote_plus(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string().replace("%20", "+")
}
