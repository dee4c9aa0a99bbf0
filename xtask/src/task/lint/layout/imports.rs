//! The paths within its own crate that a source file names, read as text.
//!
//! Text, because a parser of Rust does not look into the arguments of macros. Test modules are left out: a test may reach
//! for anything.

use super::source::ModulePath;
use super::tokens::{is_word, tokens};

/// What one file names.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Imports {
    /// Paths from the root of the crate: modules first, then perhaps an item.
    pub(super) paths: Vec<Vec<String>>,
    /// What `pub use` shows under another path: the name in this file's module, and the path behind it.
    pub(super) exports: Vec<(String, Vec<String>)>,
    /// Modules below this one that exist for tests alone.
    pub(super) test_modules: Vec<ModulePath>,
}

impl Imports {
    /// Reads the file of `module`.
    pub(super) fn of(text: &str, module: &[String]) -> Self {
        let mut reader = Reader { tokens: tokens(text), place: 0, scope: module.to_vec(), imports: Self::default() };
        reader.items(false);
        reader.imports
    }
}

/// Goes through the tokens once.
struct Reader {
    tokens: Vec<String>,
    place: usize,
    /// The module that the tokens are in: an inline module has no file.
    scope: ModulePath,
    imports: Imports,
}

impl Reader {
    /// Reads up to the end of the text, or of the block if `within` one.
    fn items(&mut self, within: bool) {
        let (mut depth, mut public, mut for_tests) = (0_usize, false, false);
        while let Some(token) = self.next() {
            match token.as_str() {
                "#" => for_tests |= self.attribute(),
                "use" => self.use_item(std::mem::take(&mut public), std::mem::take(&mut for_tests)),
                "mod" => self.module(std::mem::take(&mut for_tests)),
                "pub" => public = true,
                "crate" | "super" | "self" if self.begins_a_path() => {
                    let path = self.rest_of_path(token);
                    self.add(&path);
                }
                "{" if for_tests => {
                    self.skip_block();
                    for_tests = false;
                }
                "{" => (depth, public) = (depth + 1, false),
                "}" if depth == 0 && within => return,
                "}" => {
                    depth = depth.saturating_sub(1);
                    (public, for_tests) = (false, false);
                }
                ";" => (public, for_tests) = (false, false),
                _ => {}
            }
        }
    }

    /// Reads an attribute, behind its `#`; true if it leaves its item to tests.
    fn attribute(&mut self) -> bool {
        let start = self.place;
        let (mut depth, mut end) = (0, self.place);
        for (place, token) in self.tokens.iter().enumerate().skip(start) {
            match token.as_str() {
                "[" => depth += 1,
                "]" => depth -= 1,
                _ => {}
            }
            end = place + 1;
            if depth == 0 && token != "!" {
                break;
            }
        }
        self.place = end;
        let words: Vec<&str> = self.tokens[start..end].iter().map(String::as_str).collect();
        words.starts_with(&["[", "cfg", "("]) && words.contains(&"test") && !words.contains(&"not")
    }

    fn module(&mut self, for_tests: bool) {
        let Some(name) = self.next() else { return };
        self.scope.push(name);
        match self.next().as_deref() {
            Some("{") if for_tests => self.skip_block(),
            Some("{") => self.items(true),
            Some(";") if for_tests => self.imports.test_modules.push(self.scope.clone()),
            _ => {}
        }
        self.scope.pop();
    }

    fn use_item(&mut self, public: bool, for_tests: bool) {
        let mut leaves = Vec::new();
        self.use_tree(&[], &mut leaves);
        if for_tests {
            return;
        }
        for (path, name) in leaves {
            let Some(path) = self.add(&path) else { continue };
            if public {
                self.imports.exports.push((name, path));
            }
        }
    }

    /// Reads one tree of a `use` behind `prefix`: each leaf is a path, and the name that it gets.
    fn use_tree(&mut self, prefix: &[String], leaves: &mut Vec<(Vec<String>, String)>) {
        let mut path = prefix.to_vec();
        loop {
            match self.next().as_deref() {
                Some("{") => {
                    while self.peek().is_some_and(|token| token != "}") {
                        self.use_tree(&path, leaves);
                        if self.peek() == Some(",") {
                            self.place += 1;
                        }
                    }
                    self.place += 1;
                    return;
                }
                Some("as") => {
                    let name = self.next().unwrap_or_default();
                    leaves.push((path, name));
                    return;
                }
                Some("self") if !path.is_empty() => {}
                Some("::") => continue,
                Some(name) => path.push(name.to_owned()),
                None => return,
            }
            if !matches!(self.peek(), Some("::" | "as")) {
                let name = path.last().cloned().unwrap_or_default();
                leaves.push((path, name));
                return;
            }
        }
    }

    /// Whether the token before this place is the first of a path of its own.
    fn begins_a_path(&self) -> bool {
        let before = self.place.checked_sub(2).map(|place| self.tokens[place].as_str());
        self.peek() == Some("::") && !matches!(before, Some("::" | "in"))
    }

    fn rest_of_path(&mut self, first: String) -> Vec<String> {
        let mut path = vec![first];
        while self.peek() == Some("::") && self.tokens.get(self.place + 1).is_some_and(|next| is_word(next)) {
            path.push(self.tokens[self.place + 1].clone());
            self.place += 2;
        }
        path
    }

    /// Notes `path` if it lies in this crate, and returns it from the crate's root.
    fn add(&mut self, path: &[String]) -> Option<Vec<String>> {
        let mut absolute = match path.first().map(String::as_str) {
            Some("crate") => Vec::new(),
            Some("self" | "super") => self.scope.clone(),
            // Another crate, or a module below this one, which is no import from elsewhere.
            _ => return (!path.is_empty()).then(|| [self.scope.as_slice(), path].concat()),
        };
        for name in path {
            match name.as_str() {
                "crate" | "self" => {}
                "super" => drop(absolute.pop()),
                _ => absolute.push(name.clone()),
            }
        }
        self.imports.paths.push(absolute.clone());
        Some(absolute)
    }

    fn skip_block(&mut self) {
        let mut depth = 1_usize;
        while depth > 0 {
            match self.next().as_deref() {
                Some("{") => depth += 1,
                Some("}") => depth -= 1,
                Some(_) => {}
                None => return,
            }
        }
    }

    fn next(&mut self) -> Option<String> {
        let token = self.tokens.get(self.place)?.clone();
        self.place += 1;
        Some(token)
    }

    fn peek(&self) -> Option<&str> {
        self.tokens.get(self.place).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(text: &str, module: &str) -> Vec<String> {
        let module: Vec<String> = module.split("::").map(str::to_owned).collect();
        Imports::of(text, &module).paths.iter().map(|path| path.join("::")).collect()
    }

    #[test]
    fn nested_braces_and_names_of_imports_are_read() {
        let text = "use crate::{a, b::{self, c as d, e::*}, f};\nuse std::{fmt, io};";
        assert_eq!(paths(text, "m"), ["a", "b", "b::c", "b::e::*", "f"]);
    }

    #[test]
    fn super_and_self_start_at_the_module_that_they_stand_in() {
        let text = "use super::super::x; fn f() { self::y(); } mod inner { use super::z; }";
        assert_eq!(paths(text, "a::b"), ["x", "a::b::y", "a::b::z"]);
    }

    #[test]
    fn paths_in_code_and_in_macros_are_read_and_text_is_not() {
        let text = "// crate::a\nfn f<'a>(x: crate::b::T) { m!(crate::c::g(\"crate::d\", 'e')) } /* crate::e */";
        assert_eq!(paths(text, "m"), ["b::T", "c::g"]);
        assert_eq!(paths("pub(in crate::a) fn f() {}", "m"), [""; 0]);
    }

    #[test]
    fn what_is_for_tests_alone_is_left_out() {
        let text = "#[cfg(test)]\nuse crate::a;\n#[cfg(test)]\nmod tests { use crate::b; }\nuse crate::c;\n\
                    #[cfg(test)] mod more;\n#[cfg(not(test))] use crate::d;";
        let imports = Imports::of(text, &["m".to_owned()]);
        assert_eq!(paths(text, "m"), ["c", "d"]);
        assert_eq!(imports.test_modules, [["m", "more"]]);
    }

    #[test]
    fn what_a_module_shows_of_another_is_known_by_its_name() {
        let imports = Imports::of("pub use a::X;\npub(crate) use crate::b::Y as Z;\nuse c::W;", &[]);
        let exports: Vec<_> =
            imports.exports.iter().map(|(name, path)| format!("{name} {}", path.join("::"))).collect();
        assert_eq!(exports, ["X a::X", "Z b::Y"]);
    }
}
