//! A table of typed handlers of events over shared state.
//!
//! As for RPC, [`NotificationEndpoint`] is generic over its state and the listener keeps only its [`HandlerTable`]. A
//! handler gets the events of its priority and pattern; which one is decided by the first match.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde::de::DeserializeOwned;

use super::pattern::Pattern;
use super::{Event, NotificationFilter, NotificationResult, Priority};
use crate::{Error, Failure, Result};

/// Handlers of events, with the state they share.
///
/// Of one endpoint the first handler whose priority and pattern fit has the event, in the order in which they were
/// added. Each endpoint of a listener has every event, one endpoint after the other, so several endpoints see
/// the same event, as in the reference.
pub struct NotificationEndpoint<S> {
    /// Passed to each call of a handler.
    state: Arc<S>,
    /// Outlives the endpoint in the listener, which does not know `S`.
    table: HandlerTable,
}

/// The handlers of an endpoint without the type of their state.
#[derive(Clone, Default)]
pub(super) struct HandlerTable {
    /// Applied after priority and pattern; an event that it refuses counts as handled by this endpoint.
    filter: Option<NotificationFilter>,
    /// In the order in which they were added; the first that fits has the event.
    handlers: Vec<Handler>,
    /// Why it cannot be started.
    /// The first invalid pattern, reported by `check` when the listener starts.
    invalid: Option<Error>,
}

/// One handler, with the events that it takes and whether it takes many at once.
#[derive(Clone)]
pub(super) struct Handler {
    pub(super) priority: Priority,
    /// Matched against the whole event type.
    pattern: Pattern,
    /// Whether it is called once with a whole batch, or once for each event.
    pub(super) takes_many: bool,
    /// Hides the types of state and payload, so that one table holds handlers of all types.
    run: HandlerFn,
}

/// Decodes the payloads and starts the handler.
type HandlerFn = Arc<dyn Fn(Vec<Event>) -> StartedHandler + Send + Sync>;

/// What one call of a handler began: the events that it cannot take, and its work on the others.
pub(super) struct StartedHandler {
    /// Those whose payload it could not read, by their index among the events that it got.
    pub(super) unreadable: Vec<(usize, Error)>,
    /// The handler at work on the others, if there are any.
    pub(super) running: Option<BoxFuture<'static, Result<NotificationResult, Failure>>>,
}

impl<S: Send + Sync + 'static> NotificationEndpoint<S> {
    /// An endpoint without handlers. Every handler that is added gets the `state`.
    #[must_use]
    pub fn new(state: S) -> Self {
        Self::shared(Arc::new(state))
    }

    /// As [`new`](Self::new), over state that others hold too.
    #[must_use]
    pub fn shared(state: Arc<S>) -> Self {
        Self { state, table: HandlerTable::default() }
    }

    /// Passes only the events that match `filter` to the handlers; the others count as handled here.
    ///
    /// A second filter replaces the first. Without one every event passes.
    #[must_use]
    pub fn filter(mut self, filter: NotificationFilter) -> Self {
        self.table.filter = Some(filter);
        self
    }

    /// Handles events of `priority` whose type is as the pattern `events` says: `order.*`, or `*` for all.
    ///
    /// A pattern is of whole types, in the language of Python's `fnmatch`: `*` is any text, `?` any character,
    /// `[ab]` and `[!ab]` one of a set or none of it. Dots are characters like any other:
    /// `order.*` does not match `order`.
    ///
    /// The payload is decoded into `T`. An event whose payload does not decode goes to the dead-letter queue at once.
    /// The handler returns `()` or a [`NotificationResult`]. An error or a panic is a failed attempt,
    /// to which the [`FailurePolicy`](super::FailurePolicy) applies.
    /// An invalid pattern is refused when the listener is started.
    ///
    /// The handler is first polled in the order in which events arrived, on the task that receives them: work that
    /// blocks the thread belongs on `tokio::task::spawn_blocking`.
    ///
    /// An `async move |..|` closure that captures is refused by the compiler, since its future borrows what it captured.
    /// Put that into the state, or clone it for each event: `move |state, event| { let x = x.clone(); async move { .. } }`.
    #[must_use]
    pub fn on<F, Fut, T, R, E>(self, priority: Priority, events: &str, handler: F) -> Self
    where
        F: Fn(Arc<S>, Event<T>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, E>> + Send + 'static,
        T: DeserializeOwned + Send + 'static,
        R: Into<NotificationResult>,
        E: Into<Failure>,
    {
        self.add(priority, events, false, move |state, mut events: Vec<Event<T>>| {
            let event = events.pop().expect("a handler of single events is given one");
            handler(state, event)
        })
    }

    /// As [`on`](Self::on), for many events at once: the batches of
    /// [`NotificationListenerBuilder::batch`](super::NotificationListenerBuilder::batch), or one event at a time
    /// without it. What is returned holds for all of them.
    ///
    /// An event whose payload does not decode is taken out of the batch and goes to the dead-letter queue.
    #[must_use]
    pub fn on_batch<F, Fut, T, R, E>(self, priority: Priority, events: &str, handler: F) -> Self
    where
        F: Fn(Arc<S>, Vec<Event<T>>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, E>> + Send + 'static,
        T: DeserializeOwned + Send + 'static,
        R: Into<NotificationResult>,
        E: Into<Failure>,
    {
        self.add(priority, events, true, handler)
    }

    /// Adds a handler of many events; an invalid pattern is kept for [`HandlerTable::check`].
    fn add<F, Fut, T, R, E>(mut self, priority: Priority, events: &str, takes_many: bool, handler: F) -> Self
    where
        F: Fn(Arc<S>, Vec<Event<T>>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, E>> + Send + 'static,
        T: DeserializeOwned + Send + 'static,
        R: Into<NotificationResult>,
        E: Into<Failure>,
    {
        let pattern = match Pattern::new(events) {
            Ok(pattern) => pattern,
            Err(error) => {
                self.table.invalid.get_or_insert(error);
                return self;
            }
        };
        let state = Arc::clone(&self.state);
        let run = move |events: Vec<Event>| {
            let (events, unreadable) = decode(events);
            let running = (!events.is_empty()).then(|| {
                let running = handler(Arc::clone(&state), events);
                let running = async move { running.await.map(Into::into).map_err(Into::into) };
                Box::pin(running) as BoxFuture<'static, _>
            });
            StartedHandler { unreadable, running }
        };
        self.table.handlers.push(Handler { priority, pattern, takes_many, run: Arc::new(run) });
        self
    }

    /// Drops its own reference to the state; the handlers hold theirs.
    pub(super) fn into_table(self) -> HandlerTable {
        self.table
    }
}

impl HandlerTable {
    /// Reports what `on` could not, since it returns the endpoint: the first pattern that is not valid.
    ///
    /// Errors: [`Config`](crate::ErrorKind::Config) with that pattern.
    pub(super) fn check(&self) -> Result<()> {
        self.invalid.clone().map_or(Ok(()), Err)
    }

    /// The priorities of the handlers, possibly repeated.
    ///
    /// The listener subscribes to these, for each of its topics.
    pub(super) fn priorities(&self) -> impl Iterator<Item = Priority> {
        self.handlers.iter().map(|handler| handler.priority)
    }

    /// The index of the handler that has `event`.
    ///
    /// `None` if no handler fits, or if the filter refuses the event.
    /// A later handler is not tried after the filter refused.
    pub(super) fn handler_of(&self, event: &Event) -> Option<usize> {
        let handler = self
            .handlers
            .iter()
            .position(|handler| handler.priority == event.priority && handler.pattern.matches(&event.event_type))?;
        self.filter.as_ref().is_none_or(|filter| filter.matches(event)).then_some(handler)
    }

    /// Panics if `index` is not one that [`handler_of`](Self::handler_of) gave.
    pub(super) fn handler(&self, index: usize) -> &Handler {
        &self.handlers[index]
    }
}

impl Handler {
    /// Decodes the events and starts the handler on those that decode.
    ///
    /// The handler is called here, and runs when the returned future is polled.
    pub(super) fn begin(&self, events: Vec<Event>) -> StartedHandler {
        (self.run)(events)
    }
}

/// The events with their payloads read, and those that have none that is a `T`, by their index in `events`.
fn decode<T: DeserializeOwned>(events: Vec<Event>) -> (Vec<Event<T>>, Vec<(usize, Error)>) {
    let mut unreadable = Vec::new();
    let read = events.into_iter().enumerate().filter_map(|(index, event)| match event.payload.decode::<T>() {
        Ok(payload) => Some(event.with_payload(payload)),
        Err(error) => {
            unreadable.push((index, error));
            None
        }
    });
    (read.collect(), unreadable)
}

impl<S> fmt::Debug for NotificationEndpoint<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.table.fmt(f)
    }
}

impl fmt::Debug for HandlerTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotificationEndpoint")
            .field("filter", &self.filter)
            .field("handlers", &self.handlers)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.priority, self.pattern.as_str())
    }
}
