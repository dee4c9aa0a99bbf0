//! The releases of RabbitMQ that tests can be run against, beside the one that is installed.

use std::env;
use std::fmt;
use std::str::FromStr;

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

/// The variable that names the release to those who start nodes of their own; without it they take what is installed.
pub const BROKER: &str = "OSLO_TEST_BROKER";

/// A release, and how it is set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Release {
    /// 3.10, of Debian 12.
    V3_10,
    /// 4.0, of Debian 13.
    V4_0,
    /// 4.3, of the Debian that follows, whose package goes on taking transient queues.
    V4_3,
    /// 4.3 as its makers ship it: queues that are neither durable nor exclusive are denied.
    V4_3Denied,
}

impl Release {
    /// All of them, the oldest first.
    pub const ALL: [Self; 4] = [Self::V3_10, Self::V4_0, Self::V4_3, Self::V4_3Denied];

    /// The release that [`BROKER`] names, if it names one.
    ///
    /// # Errors
    /// When it names one that is not known.
    pub fn from_env() -> Result<Option<Self>> {
        let Some(name) = env::var_os(BROKER) else { return Ok(None) };
        let name = name.to_str().with_context(|| format!("{BROKER} is no text"))?;
        name.parse().map(Some).with_context(|| format!("{BROKER} makes no sense"))
    }

    /// As it is written at the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::V3_10 => "3.10",
            Self::V4_0 => "4.0",
            Self::V4_3 => "4.3",
            Self::V4_3Denied => "4.3-denied",
        }
    }

    /// What its version begins with, which is also the tag of its image.
    pub(crate) fn version(self) -> &'static str {
        match self {
            Self::V3_10 => "3.10",
            Self::V4_0 => "4.0",
            Self::V4_3 | Self::V4_3Denied => "4.3",
        }
    }

    /// The Debian that has it.
    pub(crate) fn suite(self) -> &'static str {
        match self {
            Self::V3_10 => "bookworm",
            Self::V4_0 => "trixie",
            Self::V4_3 | Self::V4_3Denied => "forky",
        }
    }

    /// What its `rabbitmq.conf` has beyond that of others. What is permitted is said too: Debian's package and the image
    /// differ in what they take for granted.
    pub(crate) fn configuration(self) -> &'static str {
        match self {
            Self::V3_10 | Self::V4_0 => "",
            Self::V4_3 => "deprecated_features.permit.transient_nonexcl_queues = true\n",
            Self::V4_3Denied => "deprecated_features.permit.transient_nonexcl_queues = false\n",
        }
    }

    /// Whether declaring a queue that is neither durable nor exclusive costs the connection.
    #[must_use]
    pub fn denies_transient(self) -> bool {
        self == Self::V4_3Denied
    }

    /// Whether a member of a cluster that is cut off from most others pauses if it is configured to. Later releases have no such
    /// setting: it goes on, and confirms nothing.
    #[must_use]
    pub fn pauses_minorities(self) -> bool {
        match self {
            Self::V3_10 | Self::V4_0 => true,
            Self::V4_3 | Self::V4_3Denied => false,
        }
    }

    /// `url` with the options without which the reference gets nowhere on this release.
    #[must_use]
    pub fn reference_url(self, url: &str) -> String {
        let separator = if url.contains('?') { '&' } else { '?' };
        if self.denies_transient() {
            format!("{url}{separator}amqp_durable_queues=true&rabbit_transient_quorum_queue=true")
        } else {
            url.to_owned()
        }
    }

    /// What is to be known of its nodes beside their version.
    pub(crate) fn remark(self) -> Option<&'static str> {
        self.denies_transient().then_some("transient queues denied")
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Release {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self> {
        match Self::ALL.into_iter().find(|release| release.name() == name) {
            Some(release) => Ok(release),
            None => bail!("no release is called {name:?}; there are {}", Self::ALL.map(Self::name).join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_release_is_found_by_its_name_and_nothing_else_is() {
        for release in Release::ALL {
            assert_eq!(release.to_string().parse::<Release>().unwrap(), release);
        }
        let error = "4".parse::<Release>().unwrap_err().to_string();
        assert!(error.contains("3.10, 4.0, 4.3, 4.3-denied"), "{error}");
    }

    #[test]
    fn the_reference_gets_the_options_it_needs_and_no_others() {
        let denied = Release::V4_3Denied.reference_url("rabbit://h/?ssl=true");
        assert_eq!(denied, "rabbit://h/?ssl=true&amqp_durable_queues=true&rabbit_transient_quorum_queue=true");
        assert_eq!(Release::V4_0.reference_url("rabbit://h/"), "rabbit://h/");
    }

    #[test]
    fn what_is_denied_differs_from_what_is_not_in_its_settings_alone() {
        let (open, denied) = (Release::V4_3, Release::V4_3Denied);
        assert_eq!((open.version(), open.suite()), (denied.version(), denied.suite()));
        assert_ne!(open.configuration(), denied.configuration());
    }
}
