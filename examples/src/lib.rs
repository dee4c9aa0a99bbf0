//! What the examples share: which bus to use.

use std::time::Duration;

use clap::Parser;
use oslo_messaging::{Bus, Deadline, Registry, Result};
use oslo_messaging_amqp::AmqpConnector;
use oslo_messaging_fake::FakeConnector;

/// The options of every example.
#[derive(Debug, Parser)]
pub struct Options {
    /// The bus: the in-memory broker, or `rabbit://user:password@host:port/vhost`.
    #[arg(long, default_value = "fake://")]
    pub url: String,
}

/// The drivers that the examples know.
#[must_use]
pub fn registry() -> Registry {
    Registry::new().register(FakeConnector::default()).register(AmqpConnector::default())
}

/// Connects to the bus of the command line.
///
/// # Errors
/// What the URL, the registry or the driver objects to.
pub async fn connect() -> Result<Bus> {
    connect_to(&Options::parse().url).await
}

/// Connects to the bus at `url`.
///
/// # Errors
/// What the URL, the registry or the driver objects to.
pub async fn connect_to(url: &str) -> Result<Bus> {
    let _ = tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .try_init();
    Bus::connect(url, &registry(), Deadline::after(Duration::from_secs(10))).await
}

/// The code of the README, compiled and run with the documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
