//! Import cycles between the modules of one folder.
//!
//! An import from `a::b` of `a::c::d` makes `b` depend on `c` within `a`. Within each module these dependencies must have
//! no cycle. A module and what lies below it do not count: a parent shows what its children make.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

use super::imports::Imports;
use super::source::{ModulePath, Sources};

/// How many exports lead from one to the next before a path is taken for what it says: more than any that ends.
const EXPORTS: usize = 8;

/// One line for each set of modules that depend on each other, with a shortest cycle and an import for each step of it.
pub(super) fn findings(sources: &Sources) -> Vec<String> {
    let read: Vec<_> = sources.files.iter().map(|file| (file, Imports::of(&file.text, &file.module))).collect();
    let for_tests: BTreeSet<&[String]> =
        read.iter().flat_map(|(_, imports)| imports.test_modules.iter().map(Vec::as_slice)).collect();
    let mut modules = Crate { modules: sources.modules(), exports: BTreeMap::new() };
    for (file, imports) in &read {
        let exports = imports.exports.iter().map(|(name, path)| ((file.module.clone(), name.clone()), path.clone()));
        modules.exports.extend(exports);
    }
    let mut graphs = BTreeMap::<ModulePath, Graph>::new();
    for (file, imports) in &read {
        if for_tests.iter().any(|module| file.module.starts_with(module)) {
            continue;
        }
        for path in &imports.paths {
            let target = modules.module_of(path);
            let common = file.module.iter().zip(&target).take_while(|(one, other)| one == other).count();
            if let (Some(from), Some(to)) = (file.module.get(common), target.get(common)) {
                let import = Import { path: file.path.clone(), target: path.join("::") };
                let graph = graphs.entry(file.module[..common].to_vec()).or_default();
                graph.entry(from.clone()).or_default().entry(to.clone()).or_insert(import);
            }
        }
    }
    graphs
        .iter()
        .flat_map(|(parent, graph)| {
            cycles(graph).into_iter().map(|cycle| describe(&folder(sources, parent), graph, &cycle))
        })
        .collect()
}

/// What each module depends on, with one import that says so.
type Graph = BTreeMap<String, BTreeMap<String, Import>>;

#[derive(Debug)]
struct Import {
    path: PathBuf,
    target: String,
}

struct Crate {
    modules: BTreeSet<ModulePath>,
    exports: BTreeMap<(ModulePath, String), Vec<String>>,
}

impl Crate {
    /// The module that `path` leads to, through the exports of those on its way.
    fn module_of(&self, path: &[String]) -> ModulePath {
        let mut path = path.to_vec();
        for _ in 0..EXPORTS {
            let module = self.longest_module(&path);
            let Some(name) = path.get(module.len()) else { return module };
            let Some(behind) = self.exports.get(&(module.clone(), name.clone())) else { return module };
            path = [behind.as_slice(), &path[module.len() + 1..]].concat();
        }
        self.longest_module(&path)
    }

    fn longest_module(&self, path: &[String]) -> ModulePath {
        let mut length = path.len();
        while length > 0 && !self.modules.contains(&path[..length]) {
            length -= 1;
        }
        path[..length].to_vec()
    }
}

/// A shortest cycle through the first module of each set of modules that depend on each other.
fn cycles(graph: &Graph) -> Vec<Vec<String>> {
    let (mut found, mut known) = (Vec::new(), BTreeSet::new());
    for start in graph.keys() {
        if known.contains(start) {
            continue;
        }
        if let Some(cycle) = shortest(graph, start) {
            let reached = reachable(graph, start);
            known.extend(reached.into_iter().filter(|module| reachable(graph, module).contains(start)));
            found.push(cycle);
        }
    }
    found
}

/// The modules from `start` until it comes again, which is not in the list a second time.
fn shortest(graph: &Graph, start: &str) -> Option<Vec<String>> {
    let mut before = BTreeMap::<&str, &str>::new();
    let mut waiting = VecDeque::from([start]);
    while let Some(module) = waiting.pop_front() {
        for next in graph.get(module).into_iter().flat_map(BTreeMap::keys) {
            if next == start {
                let mut cycle = vec![module.to_owned()];
                while let Some(earlier) = before.get(cycle.last()?.as_str()) {
                    cycle.push((*earlier).to_owned());
                }
                cycle.reverse();
                return Some(cycle);
            }
            if !before.contains_key(next.as_str()) {
                before.insert(next, module);
                waiting.push_back(next);
            }
        }
    }
    None
}

fn reachable(graph: &Graph, start: &str) -> BTreeSet<String> {
    let (mut reached, mut waiting) = (BTreeSet::new(), vec![start.to_owned()]);
    while let Some(module) = waiting.pop() {
        for next in graph.get(&module).into_iter().flat_map(BTreeMap::keys) {
            if reached.insert(next.clone()) {
                waiting.push(next.clone());
            }
        }
    }
    reached
}

fn folder(sources: &Sources, parent: &[String]) -> PathBuf {
    parent.iter().fold(sources.directory.clone(), |folder, name| folder.join(name))
}

fn describe(folder: &Path, graph: &Graph, cycle: &[String]) -> String {
    let steps = cycle.iter().zip(cycle.iter().cycle().skip(1));
    let imports: Vec<String> = steps
        .map(|(from, to)| &graph[from][to])
        .map(|import| format!("{} names crate::{}", import.path.display(), import.target))
        .collect();
    let names: Vec<&str> = cycle.iter().chain(cycle.first()).map(String::as_str).collect();
    format!("{}: import cycle {} ({})", folder.display(), names.join(" -> "), imports.join("; "))
}

#[cfg(test)]
mod tests {
    use super::super::source::{Source, module_of};
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let source = |&(path, text): &(&str, &str)| Source {
            path: Path::new(path).to_owned(),
            module: module_of(Path::new(path)),
            text: text.to_owned(),
        };
        findings(&Sources { directory: "core/src".into(), files: files.iter().map(source).collect() })
    }

    #[test]
    fn two_modules_that_import_each_other_are_a_cycle() {
        let found = found(&[("a.rs", "use crate::b::X;"), ("b.rs", "use super::a;"), ("c.rs", "use crate::a;")]);
        assert_eq!(found, ["core/src: import cycle a -> b -> a (a.rs names crate::b::X; b.rs names crate::a)"]);
    }

    #[test]
    fn what_lies_below_counts_for_the_modules_of_one_folder() {
        let found =
            found(&[("a/mod.rs", ""), ("a/x.rs", "use crate::b::y;"), ("b/mod.rs", ""), ("b/y.rs", "use crate::a;")]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("core/src: import cycle a -> b -> a"), "{found:?}");
    }

    #[test]
    fn a_cycle_within_a_folder_names_the_folder() {
        let found = found(&[
            ("a/mod.rs", ""),
            ("a/x.rs", "use super::y;"),
            ("a/y.rs", "use super::z;"),
            ("a/z.rs", "use super::x;"),
        ]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("core/src/a: import cycle x -> y -> z -> x"), "{found:?}");
    }

    #[test]
    fn a_parent_and_its_child_may_import_each_other() {
        assert_eq!(
            found(&[("lib.rs", "use a::X;"), ("a/mod.rs", "use x::Y;"), ("a/x.rs", "use super::X; use crate::Z;")]),
            [""; 0]
        );
    }

    #[test]
    fn what_a_parent_shows_is_looked_for_where_it_is() {
        let found = found(&[("lib.rs", "pub use a::X;"), ("a.rs", "use crate::b;"), ("b.rs", "use crate::X;")]);
        assert_eq!(found, ["core/src: import cycle a -> b -> a (a.rs names crate::b; b.rs names crate::X)"]);
    }

    #[test]
    fn what_tests_import_is_no_part_of_a_cycle() {
        let files = [
            ("a/mod.rs", "use crate::b; #[cfg(test)] mod tests;"),
            ("a/tests.rs", ""),
            ("b/mod.rs", "#[cfg(test)] mod tests;"),
            ("b/tests.rs", "use crate::a;"),
        ];
        assert_eq!(found(&files), [""; 0]);
    }

    #[test]
    fn each_set_of_modules_is_found_once() {
        let found = found(&[
            ("a.rs", "use crate::b; use crate::c;"),
            ("b.rs", "use crate::a;"),
            ("c.rs", "use crate::a;"),
            ("d.rs", "use crate::e;"),
            ("e.rs", "use crate::d;"),
        ]);
        assert_eq!(found.len(), 2, "{found:?}");
    }
}
