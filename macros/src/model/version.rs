//! A version of an interface, as its author writes it.

use syn::{Error, LitStr, Result};

/// `major.minor`, with the place where it stands.
#[derive(Clone)]
pub(crate) struct Version {
    pub(crate) major: u32,
    pub(crate) minor: u32,
    /// For messages; the text is canonical, so it also goes on the wire.
    pub(crate) literal: LitStr,
}

impl Version {
    /// Reads `literal`.
    ///
    /// # Errors
    /// Unless it is two numbers without leading zeros, joined by a dot: two texts of one version would not compare.
    pub(crate) fn read(literal: LitStr) -> Result<Self> {
        let text = literal.value();
        let numbers = text.split_once('.').and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
        match numbers {
            Some((major, minor)) if format!("{major}.{minor}") == text => Ok(Self { major, minor, literal }),
            _ => Err(Error::new(literal.span(), "a version is `major.minor`, such as \"1.2\"")),
        }
    }

    /// The first version of its major: what a method without `since` has.
    pub(crate) fn first(&self) -> Self {
        let literal = LitStr::new(&format!("{}.0", self.major), self.literal.span());
        Self { major: self.major, minor: 0, literal }
    }

    /// Checks that a method or argument can have come with `self` to an interface that is at `interface` now.
    ///
    /// # Errors
    /// If it is of another major version, or above the interface.
    pub(crate) fn check_since(&self, interface: &Self) -> Result<()> {
        let now = interface.literal.value();
        if self.major != interface.major {
            let message = format!(
                "`since` is of another major version than the interface, {now}: a new major version starts at .0, so what \
                 was there before it has no `since`"
            );
            return Err(Error::new(self.literal.span(), message));
        }
        if self.minor > interface.minor {
            let since = self.literal.value();
            let message = format!("`since` is above the version of the interface, {now}: raise that to \"{since}\"");
            return Err(Error::new(self.literal.span(), message));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proc_macro2::Span;

    use super::*;

    fn version(text: &str) -> Result<Version> {
        Version::read(LitStr::new(text, Span::call_site()))
    }

    #[test]
    fn only_two_plain_numbers_are_a_version() {
        let read = version("1.23").unwrap();
        assert_eq!((read.major, read.minor), (1, 23));
        for text in ["", "1", "1.", ".1", "1.2.3", "1.02", "+1.2", "1. 2", "a.b", "4294967296.0"] {
            assert!(version(text).is_err(), "{text}");
        }
    }

    #[test]
    fn since_is_of_the_same_major_and_not_above_the_interface() {
        for (since, interface, fits) in [
            ("1.0", "1.3", true),
            ("1.3", "1.3", true),
            ("1.4", "1.3", false),
            ("2.0", "1.3", false),
            ("1.0", "2.0", false),
        ] {
            let checked = version(since).unwrap().check_since(&version(interface).unwrap());
            assert_eq!(checked.is_ok(), fits, "{since} in {interface}");
        }
    }
}
