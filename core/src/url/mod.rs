//! The URL that names a bus: which driver, which hosts, which credentials, which virtual host.
//!
//! The modules: `parse` reads a URL, `print` writes it in one canonical form with or without passwords,
//! `same_bus` compares where two URLs lead.

mod parse;
mod print;
mod same_bus;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use crate::{Error, ErrorKind, Result};

/// A parsed transport URL, such as `rabbit://alice:secret@mq1:5672,alice:secret@mq2/prod?rabbit_quorum_queue=true`.
///
/// The grammar is the reference's (oslo.messaging 18.3.1, `TransportURL.parse`):
/// `scheme[+sub]://[user[:password]@]host[:port][,...][/virtual_host][?key=value&...]`. Credentials belong to one
/// host and are not inherited by the next. User names, passwords, host names and the virtual host are
/// percent-decoded; what follows the last `@` of a host is where it is; an IPv6 address with a port stands in `[]`.
///
/// `Debug` and `Display` never show a password; [`to_secret_string`](Self::to_secret_string) does. Unlike the
/// reference's, equality takes the query into account.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TransportUrl {
    /// The whole scheme in lower case, with its `+sub`.
    transport: String,
    /// In the order of the text; empty means the driver's default host.
    hosts: Vec<Host>,
    /// `None` and the empty text are different URLs, although both lead to the default.
    virtual_host: Option<String>,
    /// Sorted, so that equal URLs print alike.
    query: BTreeMap<String, String>,
}

/// One place where the bus can be reached, and who we are there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Host {
    /// The user name. Default: none, so the driver's own.
    pub username: Option<String>,
    /// The password. Default: none, so the driver's own.
    pub password: Option<Password>,
    /// A name or an address, an IPv6 address without its `[]`. Default: none, so the driver's own.
    pub hostname: Option<String>,
    /// The port. Default: none, so the driver's own.
    pub port: Option<u16>,
}

/// A password. Its `Debug` and `Display` show `***`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Password(String);

impl TransportUrl {
    /// The URL of `transport`'s default bus: no hosts, no virtual host, no options.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if `transport` is not a scheme: a letter, then letters, digits, `+`, `-`, `.`.
    pub fn new(transport: &str) -> Result<Self> {
        if !parse::is_scheme(transport) {
            return Err(invalid("the scheme is a letter, then letters, digits, '+', '-' or '.'"));
        }
        Ok(Self {
            transport: transport.to_ascii_lowercase(),
            hosts: Vec::new(),
            virtual_host: None,
            query: BTreeMap::new(),
        })
    }

    /// Reads a URL and decodes its percent forms; options are checked by the driver.
    ///
    /// Logs a warning if some hosts have a user name and a password and others have not, since nothing is inherited.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] with the reason; never with a part of `text` that may be a password.
    pub fn parse(text: &str) -> Result<Self> {
        let url = parse::url(text)?;
        let complete = |host: &Host| host.username.is_some() && host.password.is_some();
        if url.hosts.iter().any(complete) && !url.hosts.iter().all(complete) {
            tracing::warn!(%url, "some hosts of the transport URL have no credentials; they inherit none");
        }
        Ok(url)
    }

    /// Adds a host. One that says nothing at all is left out.
    #[must_use]
    pub fn with_host(mut self, host: Host) -> Self {
        if host != Host::default() {
            self.hosts.push(host);
        }
        self
    }

    /// Sets the virtual host, which may be empty and may contain `/`.
    #[must_use]
    pub fn with_virtual_host(mut self, virtual_host: impl Into<String>) -> Self {
        self.virtual_host = Some(virtual_host.into());
        self
    }

    /// Sets one option of the query, in place of an earlier value of `key`.
    #[must_use]
    pub fn with_query(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.query.insert(key.into(), value.into());
        self
    }

    /// What finds the driver: the scheme up to its `+`, in lower case.
    #[must_use]
    pub fn scheme(&self) -> &str {
        self.transport.split('+').next().unwrap_or_default()
    }

    /// The whole scheme, such as `kombu+memory`, in lower case.
    #[must_use]
    pub fn transport(&self) -> &str {
        &self.transport
    }

    /// The hosts, in the order they were written.
    #[must_use]
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// The virtual host. `None` if the URL has no path, `""` for `/`, `"/"` for `//`.
    #[must_use]
    pub fn virtual_host(&self) -> Option<&str> {
        self.virtual_host.as_deref()
    }

    /// The options of the query; the values of a key that is written several times are joined by `,`.
    #[must_use]
    pub fn query(&self) -> &BTreeMap<String, String> {
        &self.query
    }
}

impl Host {
    /// A host by name or address, without credentials and port. An empty name counts as missing.
    #[must_use]
    pub fn new(hostname: impl Into<String>) -> Self {
        let hostname = Some(hostname.into()).filter(|name: &String| !name.is_empty());
        Self { hostname, ..Self::default() }
    }

    /// Sets the port. Default: none, so the driver's own.
    #[must_use]
    pub fn with_port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// Sets the user name in plain text; printing the URL puts it in percent form.
    #[must_use]
    pub fn with_username(mut self, username: impl Into<String>) -> Self {
        self.username = Some(username.into());
        self
    }

    /// Sets the password; where no user name was set, it becomes the empty one, as a URL cannot say less.
    #[must_use]
    pub fn with_password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(Password(password.into()));
        self.username.get_or_insert_default();
        self
    }
}

impl Password {
    /// The password in plain text. A place that shows it must call this by name.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Takes constant text alone, so that no part of a URL, and so no password, gets into an error.
fn invalid(reason: &'static str) -> Error {
    Error::new(ErrorKind::Config, "parse transport URL").with_context("reason", reason)
}
