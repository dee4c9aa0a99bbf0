//! Text from outside, made safe for one line of a log.
//!
//! Peers choose method names, ids and texts of errors. Logged as they are, they could forge log lines or control a
//! terminal, so every such text passes through [`Excerpt`].

use std::fmt::{self, Display, Write};

/// How much of one text is shown, in bytes.
const LONGEST: usize = 1_024;

/// Shows text that a peer or a broker wrote as part of one line: characters that control a terminal, end a line or turn
/// the direction of writing are escaped as in Rust (`\n`, `\u{1b}`),
/// and what is over 1 KiB is cut, with the length of the whole.
///
/// Everything of this crate's that is logged, and the `Display` of its errors, is written through it. A driver does so
/// with the broker's texts; an [`Error`](crate::Error) needs no more, since it does so itself.
///
/// ```
/// use oslo_messaging::driver::Excerpt;
///
/// assert_eq!(Excerpt("order\u{1b}[31m\ncreated").to_string(), "order\\u{1b}[31m\\ncreated");
/// assert!(Excerpt(&"a".repeat(5_000)).to_string().ends_with("aaa… (5000 bytes)"));
/// ```
#[derive(Clone, Copy)]
pub struct Excerpt<'a>(pub &'a str);

impl Display for Excerpt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = LineWriter::new(f);
        line.write_str(self.0)?;
        line.end()
    }
}

/// In quotes, for `{:#?}` of what holds it.
impl fmt::Debug for Excerpt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// Writes `value` as an [`Excerpt`] of its text, which is never held whole.
pub(crate) fn excerpt(f: &mut fmt::Formatter<'_>, value: &dyn Display) -> fmt::Result {
    let mut line = LineWriter::new(f);
    write!(line, "{value}")?;
    line.end()
}

/// The text of `value`, cut as an [`Excerpt`] is but not escaped.
pub(crate) fn cut(value: impl Display) -> String {
    let mut short = Truncated { text: String::new(), whole: 0 };
    write!(short, "{value}").expect("a String takes every write");
    if short.whole > short.text.len() {
        write!(short.text, "… ({} bytes)", short.whole).expect("a String takes every write");
    }
    short.text
}

/// Escapes and cuts piece by piece, so that a long text is never held whole.
struct LineWriter<'a, 'f> {
    out: &'a mut fmt::Formatter<'f>,
    /// Counts down from [`LONGEST`]; an escape that does not fit is left out whole.
    left: usize,
    /// Whether something was left out already: nothing behind it is shown.
    full: bool,
    whole: usize,
}

impl<'a, 'f> LineWriter<'a, 'f> {
    fn new(out: &'a mut fmt::Formatter<'f>) -> Self {
        Self { out, left: LONGEST, full: false, whole: 0 }
    }

    /// Writes the length of the whole if something was left out.
    fn end(self) -> fmt::Result {
        if self.full { write!(self.out, "… ({} bytes)", self.whole) } else { Ok(()) }
    }
}

impl Write for LineWriter<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.whole += text.len();
        let mut rest = text;
        while !self.full && !rest.is_empty() {
            let plain = rest.find(unsafe_in_a_line).unwrap_or(rest.len());
            let shown = first(&rest[..plain], self.left);
            self.out.write_str(shown)?;
            self.left -= shown.len();
            self.full = shown.len() < plain;
            rest = &rest[plain..];
            let Some(character) = rest.chars().next().filter(|_| !self.full) else { continue };
            // An escape is shown whole or not at all.
            let escaped = character.escape_default();
            self.full = escaped.len() > self.left;
            if !self.full {
                write!(self.out, "{escaped}")?;
                self.left -= escaped.len();
            }
            rest = &rest[character.len_utf8()..];
        }
        Ok(())
    }
}

/// Keeps the first [`LONGEST`] bytes of what is written to it, and counts the rest.
struct Truncated {
    /// At most [`LONGEST`] bytes, never cut inside a character.
    text: String,
    whole: usize,
}

impl Write for Truncated {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // Only while nothing was cut: a shorter piece after the cut must not be appended.
        if self.whole == self.text.len() {
            self.text.push_str(first(text, LONGEST - self.text.len().min(LONGEST)));
        }
        self.whole += text.len();
        Ok(())
    }
}

/// Whether `character` could end the line, speak to the terminal, or hide or reorder its neighbours.
fn unsafe_in_a_line(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}

/// The first `length` bytes of `text`, or fewer if they end inside a character.
pub(crate) fn first(text: &str, length: usize) -> &str {
    let mut end = length.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_speaks_to_a_terminal_or_ends_a_line_is_escaped_and_the_rest_stays() {
        for (text, shown) in [
            ("\u{1b}[31mred\n2026-01-01 ERROR forged", "\\u{1b}[31mred\\n2026-01-01 ERROR forged"),
            ("a\tb\r\0\u{7f}\u{9b}", "a\\tb\\r\\u{0}\\u{7f}\\u{9b}"),
            (
                "\u{202e}drowssap\u{2028}\u{2066}\u{feff}\u{200b}",
                "\\u{202e}drowssap\\u{2028}\\u{2066}\\u{feff}\\u{200b}",
            ),
            ("C:\\new \"quoted\" caf\u{e9} \u{1f600} {}", "C:\\new \"quoted\" caf\u{e9} \u{1f600} {}"),
            ("", ""),
        ] {
            assert_eq!(Excerpt(text).to_string(), shown);
        }
    }

    #[test]
    fn a_long_text_is_cut_between_characters_and_says_how_long_it_was() {
        let long = "\u{e4}".repeat(1 << 20);
        let shown = Excerpt(&long).to_string();
        assert!(shown.starts_with("\u{e4}\u{e4}") && shown.ends_with("\u{e4}… (2097152 bytes)"), "{shown}");
        assert_eq!(cut(&long), shown);
        let escaped = Excerpt(&"\u{1b}".repeat(1 << 20)).to_string();
        assert!(escaped.len() <= LONGEST + 24, "{}", escaped.len());
        assert_eq!(Excerpt(&"a".repeat(LONGEST)).to_string(), "a".repeat(LONGEST));
    }

    proptest! {
        #[test]
        fn no_text_makes_more_than_one_short_line(text in any::<String>(), times in 1..200_usize) {
            let shown = Excerpt(&text.repeat(times)).to_string();
            prop_assert!(!shown.contains(unsafe_in_a_line) && shown.len() <= LONGEST + 24);
        }

        #[test]
        fn a_text_in_pieces_is_shown_as_if_it_were_whole(pieces in prop::collection::vec(".{0,400}", 0..6)) {
            struct Pieces<'a>(&'a [String]);
            impl Display for Pieces<'_> {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    self.0.iter().try_for_each(|piece| f.write_str(piece))
                }
            }
            struct Shown<'a>(&'a dyn Display);
            impl Display for Shown<'_> {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    excerpt(f, self.0)
                }
            }
            let whole = pieces.concat();
            prop_assert_eq!(Shown(&Pieces(&pieces)).to_string(), Excerpt(&whole).to_string());
            prop_assert_eq!(cut(Pieces(&pieces)), cut(&whole));
        }
    }
}
