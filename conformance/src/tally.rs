//! [`Tally`]: reads the counters of the library while a program is played.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use metrics::{Counter, CounterFn, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

/// A `metrics` recorder that keeps counters by name and label values. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally(Arc<Mutex<BTreeMap<String, u64>>>);

impl Tally {
    /// The value of a counter. For a counter with labels, `name` ends with their values, each after a space.
    /// A counter that was never incremented is 0.
    pub(crate) fn of(&self, name: &str) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(name).copied().unwrap_or_default()
    }
}

/// One counter, from the call that registered it.
struct Counted {
    tally: Tally,
    /// With its label values, as [`Tally::of`] reads it.
    name: String,
}

impl CounterFn for Counted {
    /// Counters of one name and labels add up, wherever they were registered.
    fn increment(&self, value: u64) {
        let mut counts = self.tally.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(self.name.clone()).or_default() += value;
    }

    /// The library has no absolute counters.
    fn absolute(&self, _: u64) {}
}

impl Recorder for Tally {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    /// The name of a counter in the tally is its name and its label values, joined by spaces.
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let words: Vec<&str> = std::iter::once(key.name()).chain(key.labels().map(metrics::Label::value)).collect();
        Counter::from_arc(Arc::new(Counted { tally: self.clone(), name: words.join(" ") }))
    }

    /// Gauges are not kept.
    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    /// Histograms are not kept.
    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_read_by_name_and_label() {
        let tally = Tally::default();
        metrics::with_local_recorder(&tally, || {
            metrics::counter!("plain").increment(2);
            metrics::counter!("labelled", "outcome" => "done").increment(1);
            metrics::counter!("labelled", "outcome" => "done").increment(1);
        });
        assert_eq!([tally.of("plain"), tally.of("labelled done"), tally.of("labelled")], [2, 2, 0]);
    }
}
