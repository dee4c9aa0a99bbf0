//! The reference's routing file (oslo.messaging 18.3.1, `notify/_impl_routing.py`).

use saphyr::{LoadableYamlNode, MarkedYaml, YamlData};

use super::routing::{Route, RoutingSink};
use crate::notify::pattern::Pattern;
use crate::notify::priority::Priority;
use crate::{Error, ErrorKind, Result};

impl RoutingSink {
    /// Adds the routes of a routing file of the reference, in YAML: groups of drivers, by the names of the sinks here,
    /// each with `accepted_events` and `accepted_priorities`, lists of patterns. An empty file has no routes.
    ///
    /// ```
    /// use oslo_messaging::notify::{LogSink, RoutingSink};
    ///
    /// let sink = RoutingSink::new().sink("log", LogSink).routes_from_yaml("
    /// billing:
    ///   log:
    ///     accepted_events: ['order.*', invoice.?]
    ///     accepted_priorities: [info, error]
    /// ")?;
    /// # let _ = sink;
    /// # Ok::<(), oslo_messaging::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Config`] with the line and column: the text is not YAML or not such a file, a driver is the name of
    /// no sink, a key is unknown, a pattern is not valid or matches no priority.
    /// The reference ignores all but the first.
    pub fn routes_from_yaml(self, text: &str) -> Result<Self> {
        routes(text)?.into_iter().try_fold(self, |sink, (name, place, route)| {
            sink.route(&name, route).map_err(|error| error.with_context("place", place))
        })
    }
}

/// The routes of `text`, each with the name of its sink and where that stands.
///
/// Errors: [`ErrorKind::Config`] with the line and column where the text is not a routing file.
fn routes(text: &str) -> Result<Vec<(String, String, Route)>> {
    let documents = MarkedYaml::load_from_str(text).map_err(|error| invalid("this is not YAML").with_source(error))?;
    let [file] = documents.as_slice() else {
        return if documents.is_empty() { Ok(Vec::new()) } else { Err(invalid("the file has more than one document")) };
    };
    if is_null(file) {
        return Ok(Vec::new());
    }
    let mut routes = Vec::new();
    for (_, group) in fields(file, "the file")? {
        for (driver, rules) in fields(group, "a group")? {
            let name = text_of(driver)?.to_owned();
            routes.push((name, place(driver), route(rules)?));
        }
    }
    Ok(routes)
}

/// The route of one driver. A key that is missing accepts everything; an unknown key is an error.
fn route(rules: &MarkedYaml<'_>) -> Result<Route> {
    let mut route = Route::all();
    // A driver without rules takes everything, as one with an empty mapping does.
    if is_null(rules) {
        return Ok(route);
    }
    for (key, patterns) in fields(rules, "a driver")? {
        match text_of(key)? {
            "accepted_events" => route = route.patterns(each(patterns, Pattern::new)?),
            "accepted_priorities" => route = route.priorities(each(patterns, priorities)?.into_iter().flatten()),
            other => {
                return Err(
                    at(key, "a driver has accepted_events and accepted_priorities alone").with_context("key", other)
                );
            }
        }
    }
    Ok(route)
}

/// The priorities that `pattern` matches in any case; matching none is an error.
fn priorities(pattern: &str) -> Result<Vec<Priority>> {
    // The reference lowers the pattern as well and compares it with the priority in lower case.
    let compiled = Pattern::new(&pattern.to_lowercase())?;
    let matching: Vec<_> = Priority::ALL.into_iter().filter(|priority| compiled.matches(priority.as_str())).collect();
    if matching.is_empty() {
        return Err(invalid("no priority is called so")
            .with_context("pattern", pattern)
            .with_context("known", Priority::ALL.map(Priority::as_str).join(", ")));
    }
    Ok(matching)
}

type Fields<'a, 'input> = Vec<(&'a MarkedYaml<'input>, &'a MarkedYaml<'input>)>;

/// The fields of a mapping; an error names `what` should be one.
fn fields<'a, 'input>(node: &'a MarkedYaml<'input>, what: &str) -> Result<Fields<'a, 'input>> {
    match &node.data {
        YamlData::Mapping(fields) => Ok(fields.iter().collect()),
        _ => Err(at(node, &format!("{what} must be a mapping"))),
    }
}

/// Errors: `Config` with the place, if the node is not a list.
fn items<'a, 'input>(node: &'a MarkedYaml<'input>) -> Result<&'a [MarkedYaml<'input>]> {
    match &node.data {
        YamlData::Sequence(items) => Ok(items),
        _ => Err(at(node, "patterns must be a list")),
    }
}

/// What `read` makes of each text in a list; its errors get the place of the text.
fn each<T>(node: &MarkedYaml<'_>, read: impl Fn(&str) -> Result<T>) -> Result<Vec<T>> {
    let read_one = |item| {
        let text = text_of(item)?;
        read(text).map_err(|error| error.with_context("place", place(item)))
    };
    items(node)?.iter().map(read_one).collect()
}

/// Errors: `Config` with the place, if the node is not text.
fn text_of<'a>(node: &'a MarkedYaml<'_>) -> Result<&'a str> {
    node.data.as_str().ok_or_else(|| at(node, "this must be text"))
}

fn is_null(node: &MarkedYaml<'_>) -> bool {
    node.data.is_null()
}

fn at(node: &MarkedYaml<'_>, reason: &str) -> Error {
    invalid(reason).with_context("place", place(node))
}

/// Line and column, both counted from 1.
fn place(node: &MarkedYaml<'_>) -> String {
    format!("line {}, column {}", node.span.start.line(), node.span.start.col() + 1)
}

fn invalid(reason: &str) -> Error {
    Error::new(ErrorKind::Config, "read a routing file").with_context("reason", reason)
}
