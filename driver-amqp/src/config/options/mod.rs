//! The reference's options, `[oslo_messaging_rabbit]` of its configuration file: from a URL, a file, or by name.

mod table;

use oslo_messaging::{ConfigFile, Error, ErrorKind, Result, TransportUrl};
use tracing::warn;

use crate::config::{AmqpConfig, unusable};
use table::OPTIONS;

impl AmqpConfig {
    /// These settings with those of the query of `url`, and TLS if its scheme is `amqps`.
    ///
    #[doc = include_str!("../../../OPTIONS.md")]
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for an option that is not known or a value that cannot be used, and where the scheme says
    /// `amqps` and the query that there shall be no TLS.
    pub fn with_query(mut self, url: &TransportUrl) -> Result<Self> {
        self.use_tls |= url.scheme() == "amqps";
        for (name, value) in url.query() {
            apply(&mut self, name, value)?;
        }
        if url.scheme() == "amqps" && !self.use_tls {
            // Whoever wrote the one did not mean to send the password in plain text.
            return Err(unusable()
                .with("option", "ssl")
                .with("reason", "the scheme `amqps` requires TLS, and the query sets `ssl=false`"));
        }
        Ok(self)
    }

    /// These settings with those of the section `[oslo_messaging_rabbit]` of `file`. What is not known is left out with a
    /// warning: a file may be older than we are.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for a value that cannot be used, or that refers to a name that the file does not give.
    pub fn with_file(mut self, file: &ConfigFile) -> Result<Self> {
        const SECTION: &str = "oslo_messaging_rabbit";
        for (name, _) in file.section(SECTION) {
            if is_known(name) {
                let value = file.resolve(SECTION, name)?.unwrap_or_default();
                apply(&mut self, name, &value)?;
            } else {
                warn!(
                    option = name,
                    "the configuration file has an unknown option in [oslo_messaging_rabbit]; it is ignored"
                );
            }
        }
        Ok(self)
    }

    /// These settings with one of the reference's options, as its configuration file has it.
    ///
    /// # Errors
    /// As [`with_query`](Self::with_query), which lists them.
    pub fn with_option(mut self, name: &str, value: &str) -> Result<Self> {
        apply(&mut self, name, value)?;
        Ok(self)
    }
}

/// Whether the reference has an option of this name.
pub(crate) fn is_known(name: &str) -> bool {
    OPTIONS.iter().any(|option| option.name == name)
}

/// Takes over the option `name`.
///
/// # Errors
/// `Config` if the reference has no such option, or the value cannot be used.
pub(crate) fn apply(config: &mut AmqpConfig, name: &str, value: &str) -> Result<()> {
    if let Some(option) = OPTIONS.iter().find(|option| option.name == name) {
        return option.apply(config, value.trim());
    }
    // It may be a password, or a part of one: neither its value is shown nor a name that can be none.
    let plain = name.len() <= 64 && name.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric());
    let name = if plain { name } else { "***" };
    Err(Error::new(ErrorKind::Config, "read options").with("option", name).with("reason", "unknown option"))
}

#[cfg(test)]
mod tests;
