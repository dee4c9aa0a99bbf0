//! Rust source as words and punctuation, without comments and without the content of strings.

/// The words and the punctuation of `text`; `::` is one token. A string, a character and a lifetime leave nothing.
pub(super) fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = blank(rest);
        if length > 0 {
            rest = &rest[length..];
            continue;
        }
        let word = rest.find(|character| !is_part_of_word(character)).unwrap_or(rest.len());
        let length = match word {
            0 if rest.starts_with("::") => 2,
            0 => first.len_utf8(),
            word => word,
        };
        tokens.push(rest[..length].to_owned());
        rest = &rest[length..];
    }
    tokens
}

/// Whether a token is a name.
pub(super) fn is_word(token: &str) -> bool {
    token.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

/// How many bytes at the start of `text` are no token.
fn blank(text: &str) -> usize {
    let first = text.chars().next().filter(|first| first.is_whitespace());
    if let Some(space) = first {
        return space.len_utf8();
    }
    if text.starts_with("//") {
        return text.find('\n').unwrap_or(text.len());
    }
    if text.starts_with("/*") {
        return block_comment(text);
    }
    let raw = text.strip_prefix('b').unwrap_or(text);
    if let Some(quoted) = raw.strip_prefix('r') {
        let hashes = quoted.len() - quoted.trim_start_matches('#').len();
        if quoted[hashes..].starts_with('"') {
            let end = format!("\"{}", "#".repeat(hashes));
            let start = text.len() - quoted.len() + hashes + 1;
            return text[start..].find(&end).map_or(text.len(), |place| start + place + end.len());
        }
    }
    if raw.starts_with('"') {
        return quoted(text, text.len() - raw.len(), '"');
    }
    if raw.starts_with('\'') { character(text, text.len() - raw.len()) } else { 0 }
}

/// The length of a block comment, which may hold others.
fn block_comment(text: &str) -> usize {
    let (mut depth, mut place) = (0_usize, 0);
    while place < text.len() {
        let rest = &text[place..];
        if rest.starts_with("/*") {
            (depth, place) = (depth + 1, place + 2);
        } else if rest.starts_with("*/") {
            (depth, place) = (depth - 1, place + 2);
            if depth == 0 {
                return place;
            }
        } else {
            place += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// The length up to the quote that ends what begins with the one at `start`.
fn quoted(text: &str, start: usize, quote: char) -> usize {
    let mut escaped = false;
    for (place, character) in text.char_indices().skip_while(|(place, _)| *place <= start) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            end if end == quote => return place + end.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

/// The length of a character, or of a lifetime.
fn character(text: &str, start: usize) -> usize {
    let mut content = text[start + 1..].chars();
    match (content.next(), content.next()) {
        (Some('\\'), _) | (Some(_), Some('\'')) => quoted(text, start, '\''),
        _ => {
            let name = &text[start + 1..];
            start + 1 + name.find(|character| !is_part_of_word(character)).unwrap_or(name.len())
        }
    }
}

fn is_part_of_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_strings_characters_and_lifetimes_leave_nothing() {
        let text = "a /* b /* c */ d */ :: e // f\n\"g \\\" h\" r#\"i \" j\"# 'k' '\\'' '\\u{6c}' b\"m\" b'n' &'o p";
        assert_eq!(tokens(text), ["a", "::", "e", "&", "p"]);
    }

    #[test]
    fn words_and_punctuation_are_apart() {
        assert_eq!(tokens("use a::{b,c_1};"), ["use", "a", "::", "{", "b", ",", "c_1", "}", ";"]);
        assert!(is_word("_a") && !is_word("::") && !is_word("1"));
    }
}
