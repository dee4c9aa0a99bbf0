//! The notifier that a configuration file describes.

use super::notifier::Notifier;
use super::sink::log::LogSink;
use super::sink::messaging::MessagingSink;
use super::sink::noop::NoopSink;
#[cfg(feature = "yaml")]
use super::sink::routing::RoutingSink;
use crate::wire::Format;
use crate::{Bus, ConfigFile, Error, ErrorKind, Result};

impl Notifier {
    /// A notifier as `[oslo_messaging_notifications]` of `file` describes it: a sink for each `driver` (`messagingv2`,
    /// `messaging`, `log`, `noop`, and with the feature `yaml` `routing`, by `routing_config`), the `topics` and the
    /// number of retries by `retry`. A file without a `driver` publishes nothing, as in the reference.
    ///
    /// Events go out on `bus`. Where the file gives notifications a `transport_url` of their own,
    /// connect `bus` with [`Bus::from_config_for_notifications`].
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for another driver, a `retry` that is not a number, a routing file that
    /// cannot be read, and a `bus` that was connected by URL or file to another broker or virtual host than the
    /// `[oslo_messaging_notifications] transport_url` of `file`. Hosts are compared as they are written. Of a bus over
    /// a transport that the program made itself it is not known where it is.
    pub fn from_config(bus: &Bus, file: &ConfigFile, publisher_id: impl Into<String>) -> Result<Self> {
        let retry = file.notification_retry()?;
        let drivers = file.notification_drivers();
        // Sinks that stay in the process need no bus, so it does not matter where the bus leads.
        if drivers.iter().any(|driver| !matches!(driver.as_str(), "log" | "noop")) {
            leads_there(bus, file)?;
        }
        let none = Self::from_sink(publisher_id, NoopSink).timeout(bus.0.timeout).retry(retry);
        drivers.iter().try_fold(none, |notifier, driver| with_driver(notifier, driver, bus, file))
    }
}

/// Fails if `bus` was connected to another broker or virtual host than `file` names for notifications.
fn leads_there(bus: &Bus, file: &ConfigFile) -> Result<()> {
    match (&bus.0.url, file.own_notification_url()?) {
        (Some(connected), Some(configured)) if !connected.is_same_bus(&configured) => {
            let reason = "[oslo_messaging_notifications] transport_url is another broker or virtual host than the bus; \
                connect it with Bus::from_config_for_notifications";
            let error = Error::new(ErrorKind::Config, "make a notifier").with_context("reason", reason);
            Err(error.with_context("bus", connected).with_context("transport_url", configured))
        }
        _ => Ok(()),
    }
}

/// Adds the sink of one `driver` option; the error of an unknown name lists the known ones.
fn with_driver(notifier: Notifier, driver: &str, bus: &Bus, file: &ConfigFile) -> Result<Notifier> {
    let messaging = |format| MessagingSink::new(bus).topics(file.notification_topics()).format(format);
    match driver {
        "messagingv2" => Ok(notifier.with_sink(messaging(Format::V2))),
        "messaging" => Ok(notifier.with_sink(messaging(Format::V1))),
        "log" => Ok(notifier.with_sink(LogSink)),
        "noop" => Ok(notifier),
        #[cfg(feature = "yaml")]
        "routing" => {
            let sinks = RoutingSink::new()
                .sink("messagingv2", messaging(Format::V2))
                .sink("messaging", messaging(Format::V1))
                .sink("log", LogSink)
                .sink("noop", NoopSink);
            Ok(notifier.with_sink(sinks.routes_from_yaml(&file.notification_routes()?)?))
        }
        other => {
            let known = "messagingv2, messaging, log, noop, and routing with the feature `yaml`";
            Err(Error::new(ErrorKind::Config, "make a notifier")
                .with_context("driver", other)
                .with_context("known", known))
        }
    }
}
