//! The configuration file that a service in Python has already.

mod ini;
mod substitute;

use std::fmt;
use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::{Error, ErrorKind, Result, Retry, TransportUrl};
use ini::Sections;

/// An `oslo.config` file, such as `/etc/nova/nova.conf`, and what it says about messaging.
///
/// Read as `oslo.config` reads it: continued lines, quotes, `$name` and `${section.name}`, the last of several values.
/// Options of other libraries are there to be asked for and otherwise left alone. `Debug` shows no value, since some are
/// passwords.
///
/// ```
/// # use oslo_messaging::ConfigFile;
/// let file = ConfigFile::parse("[DEFAULT]\ncontrol_exchange = nova\ntransport_url = rabbit://u:p$$w@mq1:5672/prod\n")?;
/// assert_eq!(file.control_exchange(), "nova");
/// assert_eq!(file.transport_url()?.hosts()[0].hostname.as_deref(), Some("mq1"));
/// # Ok::<_, oslo_messaging::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ConfigFile {
    sections: Sections,
}

/// The section of what belongs to no library.
const DEFAULT: &str = "DEFAULT";
/// The section of notifications.
const NOTIFICATIONS: &str = "oslo_messaging_notifications";

impl ConfigFile {
    /// Reads a file.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if it cannot be read, or as [`parse`](Self::parse).
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let text = fs::read_to_string(path).map_err(|error| invalid("the file cannot be read").with_source(error));
        text.and_then(|text| Self::parse(&text)).map_err(|error| error.with("file", path.display()))
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] with the line that is none of a section, an assignment, a continuation and a comment.
    pub fn parse(text: &str) -> Result<Self> {
        Ok(Self { sections: ini::parse(text)? })
    }

    /// The last value of `option` in `section`, if there is one.
    #[must_use]
    pub fn get(&self, section: &str, option: &str) -> Option<String> {
        let value = self.sections.get(section)?.get(option)?.last()?;
        Some(substitute::substitute(&self.sections, section, value))
    }

    /// Every option of `section` with its last value, in alphabetical order.
    pub fn section(&self, section: &str) -> impl Iterator<Item = (&str, String)> {
        let options = self.sections.get(section).into_iter().flatten();
        options.filter_map(move |(option, values)| {
            let value = substitute::substitute(&self.sections, section, values.last()?);
            Some((option.as_str(), value))
        })
    }

    /// Where the bus is: `[DEFAULT] transport_url`. Default: `rabbit://`, as the reference.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if it is no URL.
    pub fn transport_url(&self) -> Result<TransportUrl> {
        TransportUrl::parse(&self.get(DEFAULT, "transport_url").unwrap_or_else(|| "rabbit://".to_owned()))
    }

    /// Where the bus of notifications is: `[oslo_messaging_notifications] transport_url`. Default: where the other one is.
    ///
    /// # Errors
    /// As [`transport_url`](Self::transport_url).
    pub fn notification_transport_url(&self) -> Result<TransportUrl> {
        self.get(NOTIFICATIONS, "transport_url").map_or_else(|| self.transport_url(), |url| TransportUrl::parse(&url))
    }

    /// The topic exchange of targets that name none: `[DEFAULT] control_exchange`. Default: `openstack`.
    #[must_use]
    pub fn control_exchange(&self) -> String {
        self.get(DEFAULT, "control_exchange").unwrap_or_else(|| "openstack".to_owned())
    }

    /// How long a call may take: `[DEFAULT] rpc_response_timeout`, in seconds. Default: 60 s.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if it is no number of seconds.
    pub fn rpc_response_timeout(&self) -> Result<Duration> {
        let Some(value) = self.get(DEFAULT, "rpc_response_timeout") else { return Ok(Duration::from_secs(60)) };
        let seconds = value.trim().parse().map(Duration::from_secs);
        seconds.map_err(|_| {
            invalid("a whole number of seconds is needed").with("option", "rpc_response_timeout").with("value", value)
        })
    }

    /// Whether servers answer pings: `[DEFAULT] rpc_ping_enabled`. Default: no. A server is told by
    /// [`RpcServerBuilder::ping`](crate::RpcServerBuilder::ping).
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if it is neither true nor false.
    pub fn rpc_ping_enabled(&self) -> Result<bool> {
        let Some(value) = self.get(DEFAULT, "rpc_ping_enabled") else { return Ok(false) };
        match value.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(true),
            "false" | "0" | "no" | "off" => Ok(false),
            _ => Err(invalid("true or false is needed").with("option", "rpc_ping_enabled").with("value", value)),
        }
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
    /// Default: that.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if it is no number, or another below 0.
    pub fn notification_retry(&self) -> Result<Retry> {
        let Some(value) = self.get(NOTIFICATIONS, "retry") else { return Ok(Retry::until_deadline()) };
        match value.trim().parse::<i64>().map(u32::try_from) {
            Ok(Ok(retries)) => Ok(Retry::times(retries)),
            Ok(Err(_)) if value.trim() == "-1" => Ok(Retry::until_deadline()),
            _ => Err(invalid("a number of retries is needed, or -1").with("option", "retry").with("value", value)),
        }
    }

    /// The text of the file that says which notifications go where: `[oslo_messaging_notifications] routing_config`.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if no file is named, or it cannot be read.
    #[cfg(feature = "yaml")]
    pub(crate) fn notification_routes(&self) -> Result<String> {
        let path = self.get(NOTIFICATIONS, "routing_config").filter(|path| !path.is_empty());
        let path = path.ok_or_else(|| invalid("the driver `routing` needs a file").with("option", "routing_config"))?;
        fs::read_to_string(&path).map_err(|error| {
            invalid("the file cannot be read").with("option", "routing_config").with("file", path).with_source(error)
        })
    }

    /// Every value of `option` in `section`, in their order.
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

fn invalid(reason: &str) -> Error {
    Error::new(ErrorKind::Config, "read configuration").with("reason", reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOVA: &str = "\
# Of a real service.
[DEFAULT]
transport_url = rabbit://nova:s$$cret@mq1:5672,nova:s$$cret@mq2:5672/nova
control_exchange=nova
rpc_response_timeout: 90
rpc_ping_enabled = True
state_path = /var/lib/nova

[oslo_messaging_notifications]
driver = messagingv2
driver = log
topics = notifications, billing
retry = 3
transport_url = rabbit://${user}@mq3/
user = auditor

[oslo_messaging_rabbit]
amqp_durable_queues = false
amqp_durable_queues = true
heartbeat_in_pthread = false
";

    #[test]
    fn what_an_operator_has_written_is_what_is_read() {
        let file = ConfigFile::parse(NOVA).unwrap();
        let url = file.transport_url().unwrap();
        assert_eq!(url.hosts()[1].password.as_ref().unwrap().expose(), "s$cret");
        assert_eq!(file.control_exchange(), "nova");
        assert_eq!(file.rpc_response_timeout().unwrap(), Duration::from_secs(90));
        assert!(file.rpc_ping_enabled().unwrap());
        assert_eq!(file.notification_topics(), ["notifications", "billing"]);
        assert_eq!(file.notification_drivers(), ["messagingv2", "log"]);
        assert_eq!(file.notification_retry().unwrap(), Retry::times(3));
        let notifications = file.notification_transport_url().unwrap();
        assert_eq!(notifications.hosts()[0].username.as_deref(), Some("auditor"));
        let rabbit: Vec<_> = file.section("oslo_messaging_rabbit").collect();
        assert_eq!(rabbit, [("amqp_durable_queues", "true".to_owned()), ("heartbeat_in_pthread", "false".to_owned())]);
    }

    #[test]
    fn what_a_file_leaves_out_is_the_reference_s_default() {
        let file = ConfigFile::parse("").unwrap();
        assert_eq!(file.transport_url().unwrap().to_secret_string(), "rabbit://");
        assert_eq!(file.notification_transport_url().unwrap(), file.transport_url().unwrap());
        assert_eq!((file.control_exchange().as_str(), file.rpc_ping_enabled().unwrap()), ("openstack", false));
        assert_eq!(file.rpc_response_timeout().unwrap(), Duration::from_secs(60));
        assert_eq!(file.notification_topics(), ["notifications"]);
        assert_eq!(file.notification_drivers(), [""; 0]);
        assert_eq!(file.notification_retry().unwrap(), Retry::until_deadline());
    }

    #[test]
    fn retries_are_a_number_or_minus_one() {
        let read = |value: &str| {
            ConfigFile::parse(&format!("[oslo_messaging_notifications]\nretry = {value}\n"))
                .unwrap()
                .notification_retry()
        };
        assert_eq!((read("-1").unwrap(), read("0").unwrap()), (Retry::until_deadline(), Retry::never()));
        for wrong in ["-2", "often", "99999999999"] {
            let error = read(wrong).unwrap_err();
            assert!(error.kind() == ErrorKind::Config && error.to_string().contains("retry"), "{error}");
        }
    }

    #[test]
    fn values_that_cannot_be_read_are_named() {
        let file = ConfigFile::parse("[DEFAULT]\nrpc_response_timeout = soon\nrpc_ping_enabled = maybe\n").unwrap();
        for error in [file.rpc_response_timeout().unwrap_err(), file.rpc_ping_enabled().unwrap_err()] {
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains("option: rpc_"), "{error}");
        }
        let missing = ConfigFile::read("/nowhere/nova.conf").unwrap_err();
        assert!(missing.kind() == ErrorKind::Config && missing.to_string().contains("/nowhere/nova.conf"), "{missing}");
    }

    #[test]
    fn passwords_are_not_shown() {
        assert!(!format!("{:?}", ConfigFile::parse(NOVA).unwrap()).contains("cret"));
    }
}
