//! The settings of the driver, and how a URL gives them.

use std::time::Duration;

use oslo_messaging::{Error, ErrorKind, Result, TransportUrl};

/// The settings of an [`AmqpTransport`](crate::AmqpTransport). Hosts, credentials and virtual host come from the URL.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AmqpConfig {
    /// How long one host may take to accept a connection and finish the handshake. Default: 10 s.
    pub connect_timeout: Duration,
    /// How long the broker may take to answer one declaration or other request. Default: 15 s.
    pub request_timeout: Duration,
    /// How old an unconfirmed publish may get before its channel is given up. Default: 30 s.
    pub confirm_timeout: Duration,
    /// How often each side says that it is there, in whole seconds; zero turns it off. Default: 10 s.
    pub heartbeat: Duration,
    /// How many tasks publish, each on a channel of its own. One destination always has the same. Default: 4.
    pub lanes: usize,
    /// How many publishes of one lane may wait for their confirm. Default: 512.
    pub publish_window: usize,
    /// The largest body that is sent, in bytes. Default: 128 MiB, the limit of RabbitMQ 3; RabbitMQ 4 refuses more than
    /// 16 MiB unless it is told otherwise, which is then [`ErrorKind::TooLarge`] all the same.
    pub max_message_size: usize,
    /// How long a private queue outlives its reader; zero for ever. Default: 30 min.
    pub transient_queues_ttl: Duration,
    /// Whether shared queues and topic exchanges are declared durable. Default: no, as the reference.
    pub durable_queues: bool,
    /// Whether shared queues and topic exchanges go with their last user. Default: no.
    pub auto_delete: bool,
    /// Whether an object that exists in another form is an error instead of a warning. Default: no.
    pub strict: bool,
}

impl Default for AmqpConfig {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(15),
            confirm_timeout: Duration::from_secs(30),
            heartbeat: Duration::from_secs(10),
            lanes: 4,
            publish_window: 512,
            max_message_size: 128 * 1024 * 1024,
            transient_queues_ttl: Duration::from_secs(1_800),
            durable_queues: false,
            auto_delete: false,
            strict: false,
        }
    }
}

impl AmqpConfig {
    /// These settings with those of the query of `url`, under the reference's names.
    ///
    /// Known are `heartbeat_timeout_threshold` and `rabbit_transient_queues_ttl` (seconds), `amqp_durable_queues`,
    /// `amqp_auto_delete` and `ssl` (booleans; `ssl` may only be false, since this build has no TLS).
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for an option that is not known or a value that cannot be read.
    pub fn with_query(mut self, url: &TransportUrl) -> Result<Self> {
        for (option, value) in url.query() {
            match option.as_str() {
                "heartbeat_timeout_threshold" => self.heartbeat = seconds(option, value)?,
                "rabbit_transient_queues_ttl" => self.transient_queues_ttl = seconds(option, value)?,
                "amqp_durable_queues" => self.durable_queues = boolean(option, value)?,
                "amqp_auto_delete" => self.auto_delete = boolean(option, value)?,
                "ssl" if !boolean(option, value)? => {}
                "ssl" => return Err(without_tls()),
                _ => return Err(refused(option, value, "the option is not known")),
            }
        }
        Ok(self)
    }

    /// Sets whether an object that exists in another form is an error.
    #[must_use]
    pub fn with_strict(mut self, strict: bool) -> Self {
        self.strict = strict;
        self
    }

    /// Sets whether shared queues and topic exchanges are declared durable.
    #[must_use]
    pub fn with_durable_queues(mut self, durable: bool) -> Self {
        self.durable_queues = durable;
        self
    }

    /// Sets how long one host may take to accept a connection.
    #[must_use]
    pub fn with_connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets the largest body that is sent.
    #[must_use]
    pub fn with_max_message_size(mut self, bytes: usize) -> Self {
        self.max_message_size = bytes;
        self
    }
}

/// What asking for TLS is answered with.
pub(crate) fn without_tls() -> Error {
    Error::new(ErrorKind::Config, "connect").with("reason", "this build of the driver has no TLS support")
}

fn seconds(option: &str, value: &str) -> Result<Duration> {
    value.parse().map(Duration::from_secs).map_err(|_| refused(option, value, "a whole number of seconds is needed"))
}

fn boolean(option: &str, value: &str) -> Result<bool> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err(refused(option, value, "true or false is needed")),
    }
}

fn refused(option: &str, value: &str, reason: &str) -> Error {
    Error::new(ErrorKind::Config, "read URL").with("option", option).with("value", value).with("reason", reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<AmqpConfig> {
        AmqpConfig::default().with_query(&TransportUrl::parse(&format!("rabbit://h/?{query}"))?)
    }

    #[test]
    fn the_reference_s_options_are_read_from_the_url() {
        let config = read("heartbeat_timeout_threshold=60&amqp_durable_queues=true&ssl=False").unwrap();
        assert_eq!((config.heartbeat, config.durable_queues), (Duration::from_secs(60), true));
    }

    #[test]
    fn an_unknown_option_an_unreadable_value_and_tls_are_refused() {
        for query in ["nonsense=1", "heartbeat_timeout_threshold=soon", "amqp_auto_delete=maybe", "ssl=true"] {
            assert_eq!(read(query).unwrap_err().kind(), ErrorKind::Config, "{query}");
        }
    }
}
