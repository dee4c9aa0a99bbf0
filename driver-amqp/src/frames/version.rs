//! The version that a broker sends before login.
//!
//! RabbitMQ puts it into the server properties of connection.start, under `version`.
//! It decides only what cannot be asked for: the default of the delivery limit, and a warning.

use std::fmt;

use super::parse::fields::{plain_length, u32_at};

/// The version of a broker, ordered by its numbers. A pre-release counts as its release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ServerVersion {
    /// The driver's decisions depend on it: 4 brought the default delivery limit, and -1 for none.
    pub(crate) major: u16,
    /// RabbitMQ changes behaviour in minor releases too; the driver decides by the major number only.
    pub(crate) minor: u16,
    /// 0 if the text has none.
    pub(crate) patch: u16,
}

impl ServerVersion {
    /// Parses the numbers at the start of `text`: `3.10.8`, `4.3.0-rc.1`, `4.0`.
    ///
    /// White space around it is ignored, and so is whatever follows the digits of a part.
    /// `None` without a major and a minor number of 16 bits each.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.trim().splitn(3, '.').map(|part| {
            let digits = part.find(|c: char| !c.is_ascii_digit()).map_or(part, |end| &part[..end]);
            digits.parse().ok()
        });
        let (major, minor) = (numbers.next()??, numbers.next()??);
        Some(Self { major, minor, patch: numbers.next().flatten().unwrap_or_default() })
    }

    /// The version in `table`: the server properties, checked, with their length in front.
    ///
    /// `None` if there is no text under `version`. The table was repaired before,
    /// so its lengths can be trusted; they are checked all the same.
    pub(super) fn of_properties(table: &[u8]) -> Option<Self> {
        let mut rest = table.get(4..)?;
        while let Some((&length, after)) = rest.split_first() {
            let (name, after) = after.split_at_checked(length.into())?;
            let (&tag, after) = after.split_first()?;
            let (length, after) = match plain_length(tag) {
                Some(length) => (length, after),
                None => (usize::try_from(u32_at(after, 0)).ok()?, after.get(4..)?),
            };
            let (value, after) = after.split_at_checked(length)?;
            if name == b"version" && tag == b'S' {
                return Self::parse(&String::from_utf8_lossy(value));
            }
            rest = after;
        }
        None
    }
}

impl fmt::Display for ServerVersion {
    /// The numbers alone, also of a pre-release.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_whatever_follows_its_numbers() {
        for (text, version) in [
            ("3.10.8", Some((3, 10, 8))),
            ("4.3.0-rc.1", Some((4, 3, 0))),
            ("4.0", Some((4, 0, 0))),
            ("4.1.5+12.gabcdef", Some((4, 1, 5))),
            ("4", None),
            ("x.y.z", None),
            ("99999999.1.1", None),
            ("", None),
        ] {
            let read = ServerVersion::parse(text).map(|read| (read.major, read.minor, read.patch));
            assert_eq!(read, version, "{text}");
        }
    }

    #[test]
    fn versions_are_ordered_by_their_numbers() {
        let [old, new] = ["3.10.8", "4.0.5"].map(|text| ServerVersion::parse(text).unwrap());
        assert!(old < new);
        assert_eq!(new.to_string(), "4.0.5");
    }
}
