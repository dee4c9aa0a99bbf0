//! References between values (oslo.config `ConfigOpts._substitute`, Python's `string.Template`). Pure.
//!
//! Depth and number of references are bounded, because options may refer to each other in circles or multiply.

use super::ini::Sections;

/// How deep references may go; one that refers to itself stays as it is written from there on.
const DEPTH: usize = 8;

/// How many references one value may take in all; those behind stay as they are written. Values that each refer ten
/// times to the next would otherwise grow tenfold with each.
const REFERENCES: usize = 100;

/// `value` of `section` with `$name`, `${name}` and `${section.name}` put in place, and `$$` and `\$` as a dollar. A
/// name without a section is looked for in the value's own, and then in `DEFAULT`. What is not in the file stays as it
/// is: it may have a default, which its library alone knows.
pub(super) fn substitute(sections: &Sections, section: &str, value: &str) -> String {
    let mut walk = Expansion::new(sections);
    walk.expand(section, value, DEPTH, false)
}

/// As [`substitute`], but a name that is not in the file is an error.
///
/// Errors: the first reference that leads nowhere.
pub(super) fn resolve(sections: &Sections, section: &str, value: &str) -> Result<String, UnresolvedReference> {
    let mut walk = Expansion::new(sections);
    let expanded = walk.expand(section, value, DEPTH, false);
    walk.missing.map_or(Ok(expanded), Err)
}

/// A reference to a name that no section has. It never holds a value.
#[derive(Debug)]
pub(super) struct UnresolvedReference {
    /// What it refers to, unless that may be a part of a password.
    pub(super) name: Option<String>,
}

/// The expansion of one value, which bounds how many references it may take.
struct Expansion<'a> {
    sections: &'a Sections,
    /// Counts down from [`REFERENCES`] over the whole value, nested references included.
    left: usize,
    /// Set once, since the error names the first such reference alone.
    missing: Option<UnresolvedReference>,
}

impl<'a> Expansion<'a> {
    fn new(sections: &'a Sections) -> Self {
        Self { sections, left: REFERENCES, missing: None }
    }

    /// Expands `value`; `secret` if what it becomes stands in front of an `@`, where a password is.
    fn expand(&mut self, section: &str, value: &str, depth: usize, secret: bool) -> String {
        let value = value.replace("\\$", "$$");
        let mut rest = value.as_str();
        let mut expanded = String::with_capacity(rest.len());
        while let Some(at) = rest.find('$') {
            expanded.push_str(&rest[..at]);
            let after = &rest[at + 1..];
            if let Some(after) = after.strip_prefix('$') {
                expanded.push('$');
                rest = after;
                continue;
            }
            let (name, end) = reference(after);
            // What stands before an `@` may be the password of a URL, so its name is not shown in an error.
            let secret = secret || after.contains('@');
            let left = depth > 0 && self.left > 0;
            let found = name.filter(|_| left).and_then(|name| find(self.sections, section, name));
            if let Some((section, value)) = found {
                self.left -= 1;
                expanded.push_str(&self.expand(section, value, depth - 1, secret));
            } else {
                expanded.push_str(&rest[at..=at + end]);
                if let Some(name) = name {
                    let shown = (!secret).then(|| name.to_owned());
                    self.missing.get_or_insert(UnresolvedReference { name: shown });
                }
            }
            rest = &after[end..];
        }
        expanded + rest
    }
}

/// The name after a dollar, and how many bytes it takes with its braces.
fn reference(after: &str) -> (Option<&str>, usize) {
    if let Some(inside) = after.strip_prefix('{') {
        let length = name_length(inside);
        let whole = length > 0 && inside[length..].starts_with('}');
        return if whole { (Some(&inside[..length]), length + 2) } else { (None, 0) };
    }
    match name_length(after) {
        0 => (None, 0),
        length => (Some(&after[..length]), length),
    }
}

/// Upper and lower case are the same to Python's templates.
fn name_length(text: &str) -> usize {
    let starts = text.starts_with(|first: char| first == '_' || first.is_ascii_alphabetic());
    let part = |letter: char| matches!(letter, '_' | '.') || letter.is_ascii_alphanumeric();
    if starts { text.find(|letter| !part(letter)).unwrap_or(text.len()) } else { 0 }
}

/// Looks in `section` and then in `DEFAULT`, unless the name says its section itself.
fn find<'a>(sections: &'a Sections, section: &'a str, name: &str) -> Option<(&'a str, &'a str)> {
    let in_section = |section: &str, name: &str| {
        let (section, options) = sections.get_key_value(section)?;
        Some((section.as_str(), options.get(name)?.last()?.as_str()))
    };
    match name.split_once('.') {
        Some((section, name)) => in_section(section, name),
        None => in_section(section, name).or_else(|| in_section("DEFAULT", name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::config_file::ini;

    fn value(text: &str) -> String {
        let file = format!("[DEFAULT]\nhost = mq1\nloop = $loop\ndeep = <$host>\n[s]\nport = 5672\nk = {text}\n");
        let sections = ini::parse(&file).unwrap();
        substitute(&sections, "s", &sections["s"]["k"][0])
    }

    #[test]
    fn references_are_put_in_place_and_all_else_is_left() {
        for (text, expected) in [
            ("$host:$port", "mq1:5672"),
            ("${host}name", "mq1name"),
            ("${s.port}", "5672"),
            ("$deep", "<mq1>"),
            ("p$$w", "p$w"),
            (r"p\$w", "p$w"),
            ("$", "$"),
            ("$ {", "$ {"),
            ("${", "${"),
            ("${host", "${host"),
            ("$nobody ${nobody} $1", "$nobody ${nobody} $1"),
            ("$loop", "$loop"),
            ("grün$hostß", "grünmq1ß"),
        ] {
            assert_eq!(value(text), expected, "{text}");
        }
    }
    #[test]
    fn references_that_multiply_come_to_an_end() {
        let level = |(name, next): (char, char)| format!("{name}={}\n", format!("${next}").repeat(40));
        let levels: Vec<_> = ('a'..='h').zip('b'..='i').map(level).collect();
        let levels = levels.concat();
        let sections = ini::parse(&format!("[s]\n{levels}i=x\n")).unwrap();
        let value = substitute(&sections, "s", "$a");
        // The first of them as deep as references go, the last ones as they are written.
        assert!(value.starts_with("$i") && value.ends_with("$b") && value.len() < 100 * REFERENCES, "{}", value.len());
    }
}
