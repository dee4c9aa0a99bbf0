//! Patterns of event types, as the shell knows them for file names.

use std::fmt;

use regex::bytes::Regex;

use crate::{Error, ErrorKind, Result};

/// A pattern of whole names: `*` is any text, `?` any character, `[ab]` and `[!ab]` one of a set or none of it; all
/// else stands for itself. The dots of an event type are characters like any other.
///
/// The language of Python's `fnmatch`, which the reference's routing files are written in
/// (oslo.messaging `notify/_impl_routing.py`). `order.*` does not match `order`.
#[derive(Clone)]
pub(crate) struct Pattern {
    /// As it was written, for `Debug` and the log.
    text: String,
    /// Over bytes, which compiles to far less than over characters.
    regex: Regex,
}

impl Pattern {
    /// Compiles a pattern. A match then takes time linear in the length of the name.
    ///
    /// Errors: [`ErrorKind::Config`] if a set is not one, such as `[z-a]`, or the pattern is too large.
    pub(crate) fn new(text: &str) -> Result<Self> {
        let invalid =
            |error| Error::new(ErrorKind::Config, "read a pattern").with_context("pattern", text).with_source(error);
        Ok(Self { text: text.to_owned(), regex: Regex::new(&translate(text)).map_err(invalid)? })
    }

    /// Whether the whole of `name` is as the pattern says.
    pub(crate) fn matches(&self, name: &str) -> bool {
        self.regex.is_match(name.as_bytes())
    }

    /// The pattern as it was written, with `*` and `?`.
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pattern").field(&self.text).finish()
    }
}

/// A regular expression that is anchored at both ends, since the whole name must match.
fn translate(pattern: &str) -> String {
    let mut regex = String::from(r"(?s)\A");
    let mut rest = pattern;
    while let Some(next) = rest.chars().next() {
        rest = &rest[next.len_utf8()..];
        match next {
            // Bytes, not characters: far less to compile, and what follows begins with a character all the same.
            '*' => regex.push_str("(?s-u:.*)"),
            '?' => regex.push('.'),
            '[' => match set(rest) {
                Some((class, after)) => {
                    regex.push_str(&class);
                    rest = after;
                }
                None => regex.push_str(r"\["),
            },
            other => regex.push_str(&regex::escape(other.encode_utf8(&mut [0; 4]))),
        }
    }
    regex.push_str(r"\z");
    regex
}

/// The set that `text`, what follows a `[`, begins with, and what is behind it; `None` if it is not closed.
///
/// A `]` that comes first is a member, as in Python.
fn set(text: &str) -> Option<(String, &str)> {
    let (negated, members) = text.strip_prefix('!').map_or((false, text), |members| (true, members));
    let first = members.chars().next()?.len_utf8();
    // Searched behind the first member, which may itself be a `]`.
    let close = first + members.get(first..)?.find(']')?;
    let mut class = String::from(if negated { "[^" } else { "[" });
    for member in members[..close].chars() {
        // All that has a meaning inside a class, save the hyphen, which means the same here and there.
        if matches!(member, '\\' | '[' | ']' | '^' | '&' | '~') {
            class.push('\\');
        }
        class.push(member);
    }
    class.push(']');
    Some((class, &members[close + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, name: &str) -> bool {
        Pattern::new(pattern).unwrap().matches(name)
    }

    #[test]
    fn patterns_mean_what_they_mean_in_python() {
        // Each as `fnmatch.fnmatchcase(name, pattern)` of Python 3.13 answers it.
        for (pattern, name, expected) in [
            ("foo.*", "foo.bar", true),
            ("foo.*", "foo.", true),
            ("foo.*", "foo", false),
            ("foo.*", "foo.bar.baz", true),
            ("*", "", true),
            ("*.end", "order.create.end", true),
            ("order.?", "order.1", true),
            ("order.?", "order.12", false),
            ("order.[ab]", "order.a", true),
            ("order.[!ab]", "order.a", false),
            ("order.[!ab]", "order.c", true),
            ("order.[a-c]", "order.b", true),
            ("[]]", "]", true),
            ("[!]]", "]", false),
            ("[", "[", true),
            ("a[b", "a[b", true),
            ("[a&&b]", "&", true),
            ("[^a]", "^", true),
            ("[\\]", "\\", true),
            ("a.b", "axb", false),
            ("a*", "a\nb", true),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern:?} on {name:?}");
        }
    }

    #[test]
    fn a_set_that_is_none_is_refused() {
        assert_eq!(Pattern::new("[z-a]").unwrap_err().kind(), ErrorKind::Config);
    }

    proptest::proptest! {
        #[test]
        fn text_without_wildcards_matches_itself_alone(name in "[^*?\\[]{0,20}", other in "[^*?\\[]{0,20}") {
            proptest::prop_assert_eq!(matches(&name, &other), name == other);
        }

        #[test]
        fn no_text_makes_it_panic(pattern in proptest::prelude::any::<String>(), name in proptest::prelude::any::<String>()) {
            if let Ok(pattern) = Pattern::new(&pattern) {
                let _ = pattern.matches(&name);
            }
        }
    }
}
