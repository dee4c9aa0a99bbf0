//! Versions of endpoints and messages, and which of them go together.

use std::fmt;
use std::str::FromStr;

use crate::{Error, ErrorKind};

/// A version such as `1.3` or `1.3.2`, as a target and a message carry it.
///
/// The text is `major.minor` or `major.minor.revision` in decimal digits. The reference also takes what `int()` of
/// Python takes, such as blanks and signs, and ignores a fourth part; those are refused here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Version {
    /// Raised by what breaks callers: different majors never go together.
    pub(crate) major: u32,
    /// Raised by what adds: a server serves its own minor and every lower one.
    pub(crate) minor: u32,
    /// The third part; a missing one compares as 0.
    pub(crate) revision: Option<u32>,
}

impl Version {
    /// `major.minor`, without a revision.
    pub(crate) const fn new(major: u32, minor: u32) -> Self {
        Self { major, minor, revision: None }
    }
}

/// Whether an endpoint that implements one version serves a message that asks for another.
///
/// The same major, and a minor and revision no higher than the implemented ones; the revision counts only if the minors
/// are equal. `None` implemented serves every request; `None` requested is served by `None` alone (oslo.messaging
/// 18.3.1, `_utils.py:version_is_compatible`).
pub(crate) fn is_compatible(implemented: Option<&Version>, requested: Option<&Version>) -> bool {
    let Some(implemented) = implemented else { return true };
    let Some(requested) = requested else { return false };
    let rank = |version: &Version| (version.minor, version.revision.unwrap_or(0));
    requested.major == implemented.major && rank(requested) <= rank(implemented)
}

impl FromStr for Version {
    type Err = Error;

    /// Errors: [`ErrorKind::InvalidTarget`] unless the text is two or three integers joined by dots.
    fn from_str(text: &str) -> Result<Self, Error> {
        let parts: Option<Vec<u32>> = text.split('.').map(integer).collect();
        match parts.as_deref() {
            Some(&[major, minor]) => Ok(Self { major, minor, revision: None }),
            Some(&[major, minor, revision]) => Ok(Self { major, minor, revision: Some(revision) }),
            _ => Err(Error::new(ErrorKind::InvalidTarget, "parse version")
                .with_source(format!("Version must contain a major and minor integer. Got {text}"))),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)?;
        self.revision.map_or(Ok(()), |revision| write!(f, ".{revision}"))
    }
}

/// Digits only: `u32::from_str` takes a sign as well.
fn integer(part: &str) -> Option<u32> {
    part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn compatible(implemented: &str, requested: &str) -> bool {
        is_compatible(Some(&implemented.parse().unwrap()), Some(&requested.parse().unwrap()))
    }

    #[test]
    fn the_rule_of_the_reference_holds_in_its_ten_facts() {
        for (implemented, requested, expected) in [
            ("1.23", "1.23", true),
            ("1.24", "1.23", true),
            ("1.22", "1.23", false),
            ("2.23", "1.23", false),
            ("1.23", "2.23", false),
            ("1.23", "1.23.1", false),
            ("1.23.1", "1.23.2", false),
            ("1.23.2", "1.23.1", true),
            ("1.24", "1.23.1", true),
            ("1.23.0", "1.23", true),
        ] {
            assert_eq!(compatible(implemented, requested), expected, "{implemented} serves {requested}");
        }
    }

    #[test]
    fn nothing_implemented_serves_all_and_nothing_requested_needs_that() {
        let version = Version::new(1, 0);
        assert!(is_compatible(None, None));
        assert!(is_compatible(None, Some(&version)));
        assert!(!is_compatible(Some(&version), None));
    }

    #[test]
    fn what_is_not_two_or_three_integers_is_refused_in_the_words_of_the_reference() {
        for text in ["5", "5.a", "5.5.a", "", ".", "1.", "1..2", "1.2.3.4", "+1.2", "1. 2", "4294967296.0"] {
            let error = text.parse::<Version>().expect_err(text);
            assert_eq!(error.kind(), ErrorKind::InvalidTarget);
            assert!(error.to_string().contains("Version must contain a major and minor integer"), "{error}");
        }
    }

    fn versions() -> impl Strategy<Value = Version> {
        (0..4u32, 0..4u32, proptest::option::of(0..4u32)).prop_map(|(major, minor, revision)| Version {
            major,
            minor,
            revision,
        })
    }

    proptest! {
        #[test]
        fn a_version_reads_back_as_it_was_written(version in versions()) {
            prop_assert_eq!(version.to_string().parse::<Version>().unwrap(), version);
        }

        #[test]
        fn within_a_major_the_higher_serves_the_lower_and_never_across(a in versions(), b in versions()) {
            let (ab, ba) = (is_compatible(Some(&a), Some(&b)), is_compatible(Some(&b), Some(&a)));
            prop_assert!(is_compatible(Some(&a), Some(&a)));
            prop_assert_eq!(ab || ba, a.major == b.major);
            let rank = |v: &Version| (v.minor, v.revision.unwrap_or(0));
            prop_assert_eq!(ab && ba, a.major == b.major && rank(&a) == rank(&b));
        }
    }
}
