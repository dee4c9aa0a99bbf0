//! The form of an `oslo.config` file (oslo.config `iniparser.BaseParser`). Pure.

use std::collections::BTreeMap;
use std::mem;

use super::invalid;
use crate::Result;

/// Sections, their options, and each value that an option was given.
pub(super) type Sections = BTreeMap<String, BTreeMap<String, Vec<String>>>;

/// Reads a whole file. An option that is given several times keeps all its values.
///
/// Errors: `Config` with the number of the invalid line, and never with its text, which may hold a password.
///
/// The first wrong line ends the reading.
pub(super) fn parse(text: &str) -> Result<Sections> {
    let mut reader = Parser::default();
    for (number, line) in text.lines().enumerate() {
        reader.line(line.trim_end()).map_err(|reason| invalid(reason).with_context("line", number + 1))?;
    }
    reader.flush();
    Ok(reader.sections)
}

/// Adds what a later file says: its values come behind those that are there.
pub(super) fn append(sections: &mut Sections, later: Sections) {
    for (section, options) in later {
        let there = sections.entry(section).or_default();
        for (option, values) in options {
            there.entry(option).or_default().extend(values);
        }
    }
}

/// The name under which a section is found (oslo.config `_normalize_group_name`):
/// upper and lower case are the same, but `DEFAULT` is not `default`.
pub(super) fn normalized(section: &str) -> String {
    if section == "DEFAULT" { section.to_owned() } else { section.to_lowercase() }
}

/// What was read so far, and the assignment that may go on in the next line.
///
/// `section` is empty before the first one, and `key` is empty while no assignment is open.
#[derive(Debug, Default)]
struct Parser {
    sections: Sections,
    /// Its normalized name.
    section: String,
    key: String,
    value: String,
}

impl Parser {
    /// Reads one line without its trailing blanks. Fails with the reason and never with the text.
    ///
    /// A line that begins with a blank continues the open value, joined by a line end.
    /// An empty line or a comment closes it.
    fn line(&mut self, line: &str) -> Result<(), &'static str> {
        if line.starts_with([' ', '\t']) {
            if self.key.is_empty() {
                return Err("nothing is continued here");
            }
            self.value.push('\n');
            self.value.push_str(line.trim_start());
            return Ok(());
        }
        self.flush();
        match line.chars().next() {
            None | Some('#' | ';') => Ok(()),
            Some('[') => self.begin(line),
            Some(_) => self.assign(line),
        }
    }

    /// Starts the section of a `[name]` line, or continues one of the same name.
    fn begin(&mut self, line: &str) -> Result<(), &'static str> {
        let name = line[1..].strip_suffix(']').ok_or("a section must end with ]")?;
        if name.is_empty() {
            return Err("a section must have a name");
        }
        self.section = normalized(name);
        self.sections.entry(self.section.clone()).or_default();
        Ok(())
    }

    /// Starts an assignment; it is stored when the next line does not continue it.
    fn assign(&mut self, line: &str) -> Result<(), &'static str> {
        let (key, value) = line.split_once([':', '=']).ok_or("an assignment needs = or :")?;
        if self.section.is_empty() {
            return Err("an assignment must stand in a section");
        }
        if key.trim().is_empty() {
            return Err("an assignment needs a name");
        }
        key.trim().clone_into(&mut self.key);
        unquoted(value.trim()).clone_into(&mut self.value);
        Ok(())
    }

    /// Stores the assignment that has ended.
    ///
    /// Does nothing if none is open. Repeated options keep all values, in their order.
    fn flush(&mut self) {
        let (key, value) = (mem::take(&mut self.key), mem::take(&mut self.value));
        if !key.is_empty() {
            let options = self.sections.entry(self.section.clone()).or_default();
            options.entry(key).or_default().push(value);
        }
    }
}

/// Removes quotes around a whole value. A value that is one quote alone becomes empty, as in the reference.
fn unquoted(value: &str) -> &str {
    let inside = |quote| match value.strip_prefix(quote) {
        Some("") => Some(""),
        rest => rest?.strip_suffix(quote),
    };
    inside('"').or_else(|| inside('\'')).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value(text: &str) -> String {
        parse(&format!("[s]\nk{text}\n")).unwrap()["s"]["k"].join("|")
    }

    #[test]
    fn an_assignment_is_read_as_the_reference_reads_it() {
        // oslo.config 10.7.0 reads each of them so.
        for (text, expected) in [
            ("=v", "v"),
            (" : a = b", "a = b"),
            (" = a : b ", "a : b"),
            ("=", ""),
            ("=\"quoted = \"", "quoted = "),
            ("='a\"", "'a\""),
            ("='", ""),
            ("=a # no comment", "a # no comment"),
            ("=a\n  b\n\tc", "a\nb\nc"),
            ("=a\n\nk=b", "a|b"),
        ] {
            assert_eq!(value(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_line_that_is_nothing_is_told_by_its_number_and_not_shown() {
        for text in
            ["[s]\nsecret", "[s\nsecret=1", "[]\n", "secret=1", "[s]\n=secret", "[s]\n  secret", "[s]\nk=v\n\n secret"]
        {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains("line: ") && !error.contains("secret"), "{text:?}: {error}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_a_panic(text in "[\\[\\]a=:'\" \t\n#;\\PC]{0,200}") {
            let _ = parse(&text);
        }
    }
}
