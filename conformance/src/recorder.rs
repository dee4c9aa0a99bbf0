//! [`Recorder`]: a list of events that a case can await.

use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::timeout;

use crate::{Budget, Failed};

/// One recorded event: what happened, and where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Event {
    /// The name of the server or listener.
    pub(crate) place: String,
    /// The text of a message, or a call with its argument.
    pub(crate) what: String,
}

/// A list of [`Event`]s that servers and listeners append to and a case awaits. Clones share the list.
#[derive(Debug, Clone)]
pub(crate) struct Recorder {
    /// A watch channel, so that waits see every change.
    events: Arc<watch::Sender<Vec<Event>>>,
    /// How long [`wait`](Self::wait) and [`quiet`](Self::quiet) last.
    budget: Budget,
}

impl Recorder {
    /// A new, empty list; its waits use `budget`.
    #[must_use]
    pub(crate) fn new(budget: Budget) -> Self {
        Self { events: Arc::new(watch::Sender::new(Vec::new())), budget }
    }

    /// Appends an event, and wakes every wait on the list.
    pub(crate) fn record(&self, place: &str, what: impl fmt::Display) {
        let event = Event { place: place.to_owned(), what: what.to_string() };
        self.events.send_modify(|events| events.push(event));
    }

    /// The events so far, in order.
    #[must_use]
    pub(crate) fn events(&self) -> Vec<Event> {
        self.events.borrow().clone()
    }

    /// The events at `place` so far, in order.
    #[must_use]
    pub(crate) fn at(&self, place: &str) -> Vec<String> {
        self.events().into_iter().filter(|event| event.place == place).map(|event| event.what).collect()
    }

    /// Waits until there are at least `count` events and returns all of them.
    ///
    /// Fails if they do not come within [`Budget::arrive`]; the text lists those that did.
    ///
    /// Can be cancelled: it only reads.
    pub(crate) async fn wait(&self, count: usize) -> Result<Vec<Event>, Failed> {
        let mut events = self.events.subscribe();
        if let Ok(arrived) = timeout(self.budget.arrive, events.wait_for(|events| events.len() >= count)).await {
            return Ok(arrived.expect("the recorder that is waited on keeps its sender alive").clone());
        }
        let (arrive, came) = (self.budget.arrive, self.events());
        Err(format!("{count} events were to come within {arrive:?}, but {} came: {came:?}", came.len()).into())
    }

    /// Waits for [`Budget::quiet`], checks that nothing is recorded meanwhile, and returns all events.
    ///
    /// Fails if something is recorded; the text lists it.
    ///
    /// Can be cancelled: it only reads.
    pub(crate) async fn quiet(&self) -> Result<Vec<Event>, Failed> {
        let before = self.events();
        let mut events = self.events.subscribe();
        match timeout(self.budget.quiet, events.wait_for(|events| events.len() > before.len())).await {
            Err(_) => Ok(before),
            Ok(_) => Err(format!("there was to be silence, but {:?} came", &self.events()[before.len()..]).into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{Instant, sleep};

    use super::*;

    const BUDGET: Budget = Budget { arrive: Duration::from_secs(10), quiet: Duration::from_secs(1) };

    fn message(outcome: Result<Vec<Event>, Failed>) -> String {
        outcome.unwrap_err().message().to_owned()
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_ends_with_the_last_event_that_is_needed() {
        let (recorder, begin) = (Recorder::new(BUDGET), Instant::now());
        let writer = recorder.clone();
        let write = async move {
            for n in 0..3 {
                sleep(Duration::from_secs(2)).await;
                writer.record("a", n);
            }
        };
        let (events, ()) = tokio::join!(recorder.wait(3), write);
        assert_eq!(events.unwrap().len(), 3);
        assert_eq!(recorder.at("a"), ["0", "1", "2"]);
        assert_eq!(begin.elapsed(), Duration::from_secs(6));
    }

    #[tokio::test(start_paused = true)]
    async fn earlier_events_end_a_wait_at_once() {
        let (recorder, begin) = (Recorder::new(BUDGET), Instant::now());
        recorder.record("a", 1);
        recorder.wait(1).await.unwrap();
        assert_eq!(begin.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_missing_event_is_an_error_that_lists_the_others() {
        let recorder = Recorder::new(BUDGET);
        recorder.record("here", "this");
        let text = message(recorder.wait(2).await);
        assert!(text.contains("2 events") && text.contains("10s") && text.contains("this"), "{text}");
    }

    #[tokio::test(start_paused = true)]
    async fn silence_costs_its_whole_budget_and_ends_with_the_first_event() {
        let (recorder, begin) = (Recorder::new(BUDGET), Instant::now());
        recorder.record("a", "early");
        assert_eq!(recorder.quiet().await.unwrap().len(), 1);
        assert_eq!(begin.elapsed(), BUDGET.quiet);
        let late = async {
            sleep(Duration::from_millis(1)).await;
            recorder.record("a", "late");
        };
        let (silence, ()) = tokio::join!(recorder.quiet(), late);
        let text = message(silence);
        assert!(text.contains("late") && !text.contains("early"), "{text}");
    }
}
