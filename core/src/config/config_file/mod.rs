//! The configuration file that a service in Python has already.
//!
//! A service can move from Python to Rust, or run beside it, with the files that it has. Options are read on demand
//! and as text; only the accessors of this library parse values.
//! Options of `[oslo_messaging_rabbit]` are read by the AMQP driver.

mod files;
mod ini;
mod substitute;

use std::fmt;
#[cfg(feature = "yaml")]
use std::fs;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use tracing::warn;

use super::TransportUrl;
use crate::{Error, ErrorKind, Result, Retry};
use ini::{Sections, normalized};

/// One or several `oslo.config` files, such as `/etc/nova/nova.conf`, and what they say about messaging.
///
/// Read as `oslo.config` reads them: continued lines, quotes, `$name` and `${section.name}`, the last of several
/// values, section names in any case but for `DEFAULT`. The environment (`OS_<GROUP>__<OPTION>`) is not read. Options
/// of other libraries are there to be asked for and otherwise left alone.
/// `Debug` shows no value, since some are passwords.
///
/// ```
/// # use oslo_messaging::ConfigFile;
/// let file = ConfigFile::parse("[DEFAULT]\ntransport_url = rabbit://u:p$$w@mq1:5672/prod\n")?;
/// let file = file.with_default_exchange("nova");
/// assert_eq!(file.control_exchange(), "nova");
/// assert_eq!(file.transport_url()?.hosts()[0].hostname.as_deref(), Some("mq1"));
/// # Ok::<_, oslo_messaging::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ConfigFile {
    /// The values as they are written; references are resolved when a value is read.
    sections: Sections,
}

/// The section of what belongs to no library.
const DEFAULT: &str = "DEFAULT";
/// Where the reference's notifier finds its options; its `transport_url` may name another broker.
const NOTIFICATIONS: &str = "oslo_messaging_notifications";
/// Where the reference looks for a broker that no file names.
const LOCALHOST: &str = "rabbit://";

impl ConfigFile {
    /// Reads one file on the calling thread; values are interpreted only when they are asked for.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if it cannot be read, or as [`parse`](Self::parse).
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        files::read(path.as_ref()).map(|sections| Self { sections })
    }

    /// Reads several files as one, such as those of `--config-file` and `--config-dir`, in the order in which the
    /// service in Python gets them: of an option's values the last one counts. Of a directory the files `*.conf` are
    /// read in lexical order; hidden files and directories in it are not.
    ///
    /// ```no_run
    /// # use oslo_messaging::ConfigFile;
    /// let file = ConfigFile::read_all(["/etc/nova/nova.conf", "/etc/nova/nova.conf.d"])?;
    /// # Ok::<_, oslo_messaging::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Config`] with the file or directory that cannot be read, or as [`parse`](Self::parse).
    pub fn read_all(paths: impl IntoIterator<Item = impl AsRef<Path>>) -> Result<Self> {
        let mut all = Sections::new();
        for path in paths {
            for file in files::of(path.as_ref())? {
                ini::append(&mut all, files::read(&file)?);
            }
        }
        Ok(Self { sections: all })
    }

    /// Parses the text of a file, such as one that a test has as a string.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] with the number of a line that is neither a section, an assignment, a continuation
    /// nor a comment.
    pub fn parse(text: &str) -> Result<Self> {
        Ok(Self { sections: ini::parse(text)? })
    }

    /// Gives `option` of `section` a value where no file gives it one.
    /// A service in Python does so in its code (`oslo_config.cfg.set_defaults`).
    /// Needed also for what a value refers to: a `$my_ip` that the file leaves to the service.
    #[must_use]
    pub fn with_default(mut self, section: &str, option: &str, value: impl Into<String>) -> Self {
        let options = self.sections.entry(normalized(section)).or_default();
        options.entry(option.to_owned()).or_insert_with(|| vec![value.into()]);
        self
    }

    /// Gives `[DEFAULT] control_exchange` a value where no file gives it one: the reference's `set_transport_defaults`.
    /// Nova, Neutron and Designate, for example, set theirs to their own names in code.
    #[must_use]
    pub fn with_default_exchange(self, exchange: impl Into<String>) -> Self {
        self.with_default(DEFAULT, "control_exchange", exchange)
    }

    /// The last value of `option` in `section`, if there is one. A reference to a name that no file gives
    /// is left as it is written; [`resolve`](Self::resolve) makes it an error.
    #[must_use]
    pub fn get(&self, section: &str, option: &str) -> Option<String> {
        let value = self.sections.get(&normalized(section))?.get(option)?.last()?;
        Some(substitute::substitute(&self.sections, &normalized(section), value))
    }

    /// The last value of `option` in `section`, if there is one, with every reference in it resolved.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for a reference to a name that no file gives, as in the reference. The name is shown
    /// unless it may be a part of a password.
    pub fn resolve(&self, section: &str, option: &str) -> Result<Option<String>> {
        let section = normalized(section);
        let value = self.sections.get(&section).and_then(|options| options.get(option)?.last());
        let Some(value) = value else { return Ok(None) };
        let resolved = substitute::resolve(&self.sections, &section, value);
        resolved.map(Some).map_err(|missing| {
            let reason = "it refers by `$` to a name that no file gives; a dollar itself is written `$$`";
            let error = invalid(reason).with_context("section", &section).with_context("option", option);
            match missing.name {
                Some(name) => error.with_context("name", format_args!("${name}")),
                None => error,
            }
        })
    }

    /// Every option of `section` with its last value, in alphabetical order.
    pub fn section(&self, section: &str) -> impl Iterator<Item = (&str, String)> {
        let section = normalized(section);
        let options = self.sections.get(&section).into_iter().flatten();
        options.filter_map(move |(option, values)| {
            let value = substitute::substitute(&self.sections, &section, values.last()?);
            Some((option.as_str(), value))
        })
    }

    /// Where the bus is: `[DEFAULT] transport_url`, which may go over several lines. Default: `rabbit://`, the broker
    /// of this machine, as the reference; since that is hardly meant, it is logged as a warning.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if it is not a URL, or refers to a name that no file gives.
    pub fn transport_url(&self) -> Result<TransportUrl> {
        if let Some(url) = self.url_of(DEFAULT)? {
            return Ok(url);
        }
        warn!("[DEFAULT] transport_url is not configured; connecting to the broker of this machine, {LOCALHOST}");
        TransportUrl::parse(LOCALHOST)
    }

    /// Where the bus of notifications is: `[oslo_messaging_notifications] transport_url`.
    /// Default: [`transport_url`](Self::transport_url).
    ///
    /// # Errors
    /// As [`transport_url`](Self::transport_url), for the option that is used.
    pub fn notification_transport_url(&self) -> Result<TransportUrl> {
        self.own_notification_url()?.map_or_else(|| self.transport_url(), Ok)
    }

    /// Where the bus of notifications is, if it has a URL of its own.
    /// An empty URL counts as missing, as in the reference.
    pub(crate) fn own_notification_url(&self) -> Result<Option<TransportUrl>> {
        let empty = self.get(NOTIFICATIONS, "transport_url").is_none_or(|url| url.is_empty());
        if empty { Ok(None) } else { self.url_of(NOTIFICATIONS) }
    }

    /// The `transport_url` of `section`, joined over its lines; errors name the option and the section.
    fn url_of(&self, section: &'static str) -> Result<Option<TransportUrl>> {
        let Some(text) = self.resolve(section, "transport_url")? else { return Ok(None) };
        // Python's `urlsplit` takes out what joins continued lines.
        let text = text.replace(['\n', '\r', '\t'], "");
        let url = TransportUrl::parse(&text);
        url.map(Some).map_err(|error| error.with_context("option", "transport_url").with_context("section", section))
    }

    /// The topic exchange of targets that name none: `[DEFAULT] control_exchange`. Default: `openstack`.
    #[must_use]
    pub fn control_exchange(&self) -> String {
        self.get(DEFAULT, "control_exchange").unwrap_or_else(|| "openstack".to_owned())
    }

    /// How long a call may take: `[DEFAULT] rpc_response_timeout`, in seconds. Default: 60 s, also for an empty value.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if it is not a whole number of seconds.
    pub fn rpc_response_timeout(&self) -> Result<Duration> {
        let seconds = self.number("rpc_response_timeout", "a whole number of seconds is needed")?;
        Ok(seconds.map_or(Duration::from_secs(60), Duration::from_secs))
    }

    /// How many methods a server runs at once, and how many handlers a listener: `[DEFAULT] executor_thread_pool_size`,
    /// or `rpc_thread_pool_size`, its old name. [`Bus::from_config`](crate::Bus::from_config) hands it to both.
    /// Default: none, also for an empty value; their builders have defaults of their own.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if it is not a whole number above 0.
    pub fn executor_thread_pool_size(&self) -> Result<Option<usize>> {
        let needed = "a number above 0 is needed";
        let (name, old) = ("executor_thread_pool_size", "rpc_thread_pool_size");
        // The new name wins if both are there, as for a deprecated name of `oslo.config`.
        let option = if self.get(DEFAULT, name).is_some() { name } else { old };
        match self.number(option, needed)? {
            Some(0) => Err(invalid(needed).with_context("option", option).with_context("value", 0)),
            size => Ok(size),
        }
    }

    /// Whether servers answer pings: `[DEFAULT] rpc_ping_enabled`. Default: no.
    /// [`Bus::from_config`](crate::Bus::from_config) hands it to servers.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if it is neither true nor false.
    pub fn rpc_ping_enabled(&self) -> Result<bool> {
        let Some(value) = self.resolve(DEFAULT, "rpc_ping_enabled")? else { return Ok(false) };
        match value.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(true),
            "false" | "0" | "no" | "off" => Ok(false),
            _ => Err(invalid("true or false is needed")
                .with_context("option", "rpc_ping_enabled")
                .with_context("value", value)),
        }
    }

    /// A number of `[DEFAULT]`; an empty value counts as missing, as in `oslo.config`.
    fn number<N: FromStr>(&self, option: &'static str, needed: &str) -> Result<Option<N>> {
        let value = self.resolve(DEFAULT, option)?.filter(|value| !value.trim().is_empty());
        let Some(value) = value else { return Ok(None) };
        value
            .trim()
            .parse()
            .map(Some)
            .map_err(|_| invalid(needed).with_context("option", option).with_context("value", value))
    }

    /// What becomes of notifications: each `[oslo_messaging_notifications] driver`. Default: none, so nothing.
    #[must_use]
    pub fn notification_drivers(&self) -> Vec<String> {
        self.all(NOTIFICATIONS, "driver")
            .map(|driver| driver.trim().to_owned())
            .filter(|name| !name.is_empty())
            .collect()
    }

    /// How often a notification is tried again: `[oslo_messaging_notifications] retry`, where -1 is until its deadline.
    /// Default: -1, also for an empty value.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if it is neither -1 nor a whole number from 0 on.
    pub fn notification_retry(&self) -> Result<Retry> {
        let value = self.resolve(NOTIFICATIONS, "retry")?.filter(|value| !value.trim().is_empty());
        let Some(value) = value else { return Ok(Retry::until_deadline()) };
        match value.trim().parse::<i64>().map(u32::try_from) {
            Ok(Ok(retries)) => Ok(Retry::times(retries)),
            Ok(Err(_)) if value.trim() == "-1" => Ok(Retry::until_deadline()),
            _ => Err(invalid("a number of retries is needed, or -1")
                .with_context("option", "retry")
                .with_context("value", value)),
        }
    }

    /// The text of the file that says which notifications go where: `[oslo_messaging_notifications] routing_config`.
    ///
    /// Errors: [`ErrorKind::Config`] if no file is named, or it cannot be read.
    #[cfg(feature = "yaml")]
    pub(crate) fn notification_routes(&self) -> Result<String> {
        let path = self.get(NOTIFICATIONS, "routing_config").filter(|path| !path.is_empty());
        let path =
            path.ok_or_else(|| invalid("the driver `routing` needs a file").with_context("option", "routing_config"))?;
        fs::read_to_string(&path).map_err(|error| {
            invalid("the file cannot be read")
                .with_context("option", "routing_config")
                .with_context("file", path)
                .with_source(error)
        })
    }

    /// The topic exchange, with every reference in its name resolved.
    ///
    /// Errors: as [`resolve`](Self::resolve), for a reference in the name of the exchange.
    pub(crate) fn resolved_exchange(&self) -> Result<String> {
        self.resolve(DEFAULT, "control_exchange").map(|exchange| exchange.unwrap_or_else(|| "openstack".to_owned()))
    }

    /// Every value of an option that may be repeated, in the order of the files and their lines.
    fn all(&self, section: &'static str, option: &str) -> impl Iterator<Item = String> {
        let values = self.sections.get(section).and_then(|options| options.get(option)).into_iter().flatten();
        values.map(move |value| substitute::substitute(&self.sections, section, value))
    }

    /// The topics of notifications: `[oslo_messaging_notifications] topics`, by commas. Default: `notifications`.
    #[must_use]
    pub fn notification_topics(&self) -> Vec<String> {
        let topics = self.get(NOTIFICATIONS, "topics").unwrap_or_else(|| "notifications".to_owned());
        topics.split(',').map(str::trim).filter(|topic| !topic.is_empty()).map(str::to_owned).collect()
    }
}

impl fmt::Debug for ConfigFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigFile").field("sections", &self.sections.keys()).finish_non_exhaustive()
    }
}

/// The one shape of error of this module: kind `Config`, operation `read configuration`.
fn invalid(reason: &str) -> Error {
    Error::new(ErrorKind::Config, "read configuration").with_context("reason", reason)
}

#[cfg(test)]
mod tests;
