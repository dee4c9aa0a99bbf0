//! A sink that passes events to other sinks by type and priority.

use std::sync::Arc;

use async_trait::async_trait;

use super::{NotificationSink, publish_to_all};
use crate::notify::outgoing_event::OutgoingEvent;
use crate::notify::pattern::Pattern;
use crate::notify::priority::Priority;
use crate::{Deadline, Error, ErrorKind, Result};

/// Passes each event to the sinks that a [`Route`] sends it to, each at most once: the reference's driver `routing`.
/// An event that no route matches goes nowhere, and that is no error.
///
/// With the feature `yaml` the routes can come from the reference's routing file: `routes_from_yaml`.
///
/// ```
/// use oslo_messaging::notify::{LogSink, NoopSink, Route, RoutingSink};
/// use oslo_messaging::{Notifier, Priority};
///
/// # fn main() -> oslo_messaging::Result<()> {
/// let sink = RoutingSink::new()
///     .sink("log", LogSink)
///     .sink("nowhere", NoopSink)
///     .route("log", Route::all().events(["order.*"])?.priorities([Priority::Warn, Priority::Error]))?
///     .route("nowhere", Route::all())?;
/// let notifier = Notifier::from_sink("shop.host-1", sink);
/// # let _ = notifier;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct RoutingSink {
    /// In the order in which they were added, which decides whose error is returned.
    sinks: Vec<Named>,
}

/// A sink with its name and the routes that lead to it.
#[derive(Debug, Clone)]
struct Named {
    name: String,
    sink: Arc<dyn NotificationSink>,
    /// One that an event passes is enough.
    routes: Vec<Route>,
}

/// Which events go to a sink: those that pass every check that is set.
#[derive(Debug, Clone, Default)]
pub struct Route {
    /// `None` passes every type; an empty list passes none.
    events: Option<Vec<Pattern>>,
    /// `None` passes every priority; an empty list passes none.
    priorities: Option<Vec<Priority>>,
}

impl RoutingSink {
    /// A sink without routes, which publishes nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives `sink` a name for routes. It replaces a sink of that name, whose routes are dropped.
    #[must_use]
    pub fn sink(mut self, name: impl Into<String>, sink: impl NotificationSink) -> Self {
        let name = name.into();
        // Removed and added, not replaced: the order of the sinks decides which error is returned.
        self.sinks.retain(|other| other.name != name);
        self.sinks.push(Named { name, sink: Arc::new(sink), routes: Vec::new() });
        self
    }

    /// Sends what passes `route` to the sink called `name`, beside what earlier routes send there.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if no sink has that name.
    pub fn route(mut self, name: &str, route: Route) -> Result<Self> {
        let known = self.names();
        match self.sinks.iter_mut().find(|sink| sink.name == name) {
            Some(sink) => sink.routes.push(route),
            None => {
                return Err(Error::new(ErrorKind::Config, "route")
                    .with_context("sink", name)
                    .with_context("known", known));
            }
        }
        Ok(self)
    }

    /// For the error of an unknown name, in the order in which the sinks were added.
    fn names(&self) -> String {
        self.sinks.iter().map(|sink| sink.name.as_str()).collect::<Vec<_>>().join(", ")
    }
}

#[async_trait]
impl NotificationSink for RoutingSink {
    async fn publish(&self, event: &OutgoingEvent, deadline: Deadline) -> Result<()> {
        let chosen = self.sinks.iter().filter(|sink| sink.routes.iter().any(|route| route.accepts(event)));
        publish_to_all(chosen.map(|chosen| chosen.sink.as_ref()), event, deadline).await
    }

    fn is_noop(&self) -> bool {
        self.sinks.iter().all(|sink| sink.routes.is_empty() || sink.sink.is_noop())
    }
}

impl Route {
    /// A route that every event takes, until it is narrowed.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// Narrows the route to events whose type matches one of `patterns`; a second call replaces the first.
    ///
    /// The language is that of [`NotificationEndpoint::on`](crate::NotificationEndpoint::on).
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if one of the patterns is not valid.
    pub fn events<'a>(self, patterns: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        Ok(self.patterns(patterns.into_iter().map(Pattern::new).collect::<Result<_>>()?))
    }

    /// Narrows the route to events of one of `priorities`; a second call replaces the first.
    #[must_use]
    pub fn priorities(mut self, priorities: impl IntoIterator<Item = Priority>) -> Self {
        self.priorities = Some(priorities.into_iter().collect());
        self
    }

    /// As [`events`](Self::events), for patterns that are compiled already.
    pub(super) fn patterns(mut self, patterns: Vec<Pattern>) -> Self {
        self.events = Some(patterns);
        self
    }

    /// Whether every check that is set passes.
    fn accepts(&self, event: &OutgoingEvent) -> bool {
        let type_matches = |patterns: &Vec<Pattern>| patterns.iter().any(|pattern| pattern.matches(&event.event_type));
        let priority_matches = |priorities: &Vec<Priority>| priorities.contains(&event.priority);
        self.events.as_ref().is_none_or(type_matches) && self.priorities.as_ref().is_none_or(priority_matches)
    }
}
