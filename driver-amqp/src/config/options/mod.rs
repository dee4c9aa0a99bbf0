//! The options of the reference, `[oslo_messaging_rabbit]` in its configuration file: from a URL, a file, or by name.
//!
//! The table is the single list: it drives the parser, the reference documentation and the warnings.
//! A URL and a file end in the same function, so a value means the same in both.

mod table;

use oslo_messaging::config::TransportUrl;
use oslo_messaging::{ConfigFile, Error, ErrorKind, Result};
use tracing::warn;

use crate::config::{AmqpConfig, unusable};
use table::OPTIONS;

impl AmqpConfig {
    /// Applies the options in the query of `url`, and turns TLS on if its scheme is `amqps`.
    ///
    /// Options are applied in the order of their names, so their order in the query does not matter.
    ///
    #[doc = include_str!("../../../OPTIONS.md")]
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for an unknown option or an unusable value,
    /// and if the query turns TLS off although the scheme is `amqps`.
    pub fn with_query(mut self, url: &TransportUrl) -> Result<Self> {
        self.use_tls |= url.scheme() == "amqps";
        for (name, value) in url.query() {
            apply(&mut self, name, value)?;
        }
        if url.scheme() == "amqps" && !self.use_tls {
            // Continuing would send the password in plain text.
            return Err(unusable()
                .with_context("option", "ssl")
                .with_context("reason", "the scheme `amqps` requires TLS, and the query sets `ssl=false`"));
        }
        Ok(self)
    }

    /// Applies the options in the section `[oslo_messaging_rabbit]` of `file`.
    /// Unknown ones are ignored with a warning: the file may be written for a later version.
    ///
    /// References such as `$name` are resolved first.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for an unusable value, or a reference to a name that the file does not define.
    pub fn with_file(mut self, file: &ConfigFile) -> Result<Self> {
        const SECTION: &str = "oslo_messaging_rabbit";
        for (name, _) in file.section(SECTION) {
            if is_known(name) {
                // After the check of the name: a reference in an unknown option must not be an error.
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

    /// Applies one option by its name in the reference, with the value that its configuration file would have.
    /// A later value of the same option replaces an earlier one.
    ///
    /// White space around the value is ignored.
    ///
    /// # Errors
    /// As [`with_query`](Self::with_query), which lists the options.
    pub fn with_option(mut self, name: &str, value: &str) -> Result<Self> {
        apply(&mut self, name, value)?;
        Ok(self)
    }
}

/// Whether the reference has an option with exactly this name, in lower case.
/// A file may have others, which are warned of and not refused.
pub(crate) fn is_known(name: &str) -> bool {
    OPTIONS.iter().any(|option| option.name == name)
}

/// Sets the field of the option `name`, or only warns if the option has no effect here.
///
/// White space around the value is ignored. The errors never show the value of an unknown option,
/// because a misplaced password could be one.
///
/// Fails with `Config` for an unknown option or an unusable value.
pub(crate) fn apply(config: &mut AmqpConfig, name: &str, value: &str) -> Result<()> {
    if let Some(option) = OPTIONS.iter().find(|option| option.name == name) {
        return option.apply(config, value.trim());
    }
    // A misplaced password could appear here, so the value is not shown, and the name only if it looks like one.
    let plain = name.len() <= 64 && name.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric());
    let name = if plain { name } else { "***" };
    Err(Error::new(ErrorKind::Config, "read options")
        .with_context("option", name)
        .with_context("reason", "unknown option"))
}

#[cfg(test)]
mod tests;
