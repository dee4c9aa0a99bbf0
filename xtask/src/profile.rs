//! Sets of queue options that tests run with.

use std::env;
use std::fmt;
use std::str::FromStr;

use anyhow::{Context as _, Result, bail};

/// The variable that names the profiles which a suite runs in, with commas between them.
pub const PROFILES: &str = "OSLO_TEST_PROFILES";

/// A set of options that belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// The defaults of the reference: shared queues that a restart of the broker takes away.
    Oslo,
    /// Shared queues that outlive a restart.
    Durable,
    /// Every queue is a quorum queue.
    Quorum,
    /// As quorum, with fanouts over streams.
    Stream,
}

impl Profile {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Oslo, Self::Durable, Self::Quorum, Self::Stream];

    /// Those that [`PROFILES`] names, or `usual` where it is not set.
    ///
    /// # Errors
    /// When it names one that is not known.
    pub fn from_env(usual: &[Self]) -> Result<Vec<Self>> {
        let Some(names) = env::var_os(PROFILES) else { return Ok(usual.to_vec()) };
        let names = names.to_str().with_context(|| format!("{PROFILES} is no text"))?;
        names.split(',').map(str::parse).collect::<Result<_>>().with_context(|| format!("{PROFILES} makes no sense"))
    }

    /// As it is written at the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Oslo => "oslo",
            Self::Durable => "durable",
            Self::Quorum => "quorum",
            Self::Stream => "stream",
        }
    }

    /// What a report says of it; nothing of what is usual.
    #[must_use]
    pub fn remark(self) -> Option<&'static str> {
        match self {
            Self::Oslo => None,
            Self::Durable => Some("durable queues"),
            Self::Quorum => Some("quorum queues"),
            Self::Stream => Some("quorum queues, stream fanout"),
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Profile {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self> {
        match Self::ALL.into_iter().find(|profile| profile.name() == name) {
            Some(profile) => Ok(profile),
            None => bail!("no profile is called {name:?}; there are {}", Self::ALL.map(Self::name).join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_is_found_by_its_name_and_nothing_else_is() {
        for profile in Profile::ALL {
            assert_eq!(profile.to_string().parse::<Profile>().unwrap(), profile);
        }
        let error = "Quorum".parse::<Profile>().unwrap_err().to_string();
        assert!(error.contains("oslo, durable, quorum, stream"), "{error}");
    }
}
