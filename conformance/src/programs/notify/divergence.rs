//! Where the reference implementation breaks a rule of notifications: as data, so that reports list every excuse.
//!
//! A divergence excuses only the foreign listeners that it names. Each was seen on a
//! broker. The source is that of oslo.messaging 18.3.1.

use super::history::Answer;
use super::{Listener, rules};
use crate::programs::Divergence;
use crate::programs::divergence::Excuse;

impl Excuse<Listener> {
    /// `false` for every listener of this library: only foreign ones are excused.
    pub(crate) fn holds_for(&self, listener: &Listener) -> bool {
        listener.foreign && (self.concerns)(listener)
    }
}

/// A listener of the reference requeues an event whose handler raises, if it requeues at all.
pub(crate) static RAISED_COMES_BACK: Excuse<Listener> = Excuse {
    divergence: Divergence {
        id: "reference::what_a_handler_raises_is_given_back",
        rules: &[&rules::TRIES],
        says: "A listener that allows requeues also requeues an event whose handler raises, whenever it raises, and counts no \
               tries (`notify/dispatcher.py`, `NotificationDispatcher._exec_callback`; `notify/listener.py`, \
               `NotificationServer._process_incoming`). Any other acknowledges the event: it has one try, and drops.",
    },
    concerns: |listener| !listener.drops,
};

/// A listener of the reference requeues events with a batch that no handler has had.
pub(crate) static TAKES_OTHERS_ALONG: Excuse<Listener> = Excuse {
    divergence: Divergence {
        id: "reference::a_batch_gives_back_what_its_filter_left_out",
        rules: &[&rules::MARK],
        says: "If the handler of one priority requeues, a listener of batches requeues every event of that priority in the \
               batch, also those that the filter kept from the handler (`notify/dispatcher.py`, \
               `BatchNotificationDispatcher.dispatch`).",
    },
    concerns: |listener| listener.batch.is_some() && !listener.drops,
};

/// A listener of the reference with several threads starts handlers in any order.
pub(crate) static STARTS_IN_ANY_ORDER: Excuse<Listener> = Excuse {
    divergence: Divergence {
        id: "reference::threads_start_handlers_in_any_order",
        rules: &[&rules::ORDER],
        says: "A listener hands events in order to a pool of threads, two of which may start handlers in either order, unless \
               there is but one (`server.py`, `MessageHandlingServer._on_incoming`).",
    },
    concerns: |listener| listener.concurrency > 1,
};

/// A listener of the reference counts no events.
pub(crate) static COUNTS_NOTHING: Excuse<Listener> = Excuse {
    divergence: Divergence {
        id: "reference::a_listener_counts_no_events",
        rules: &[&rules::SUMS],
        says: "A listener keeps no count of the events that it is done with (`notify/listener.py`, \
               `NotificationServer._process_incoming`).",
    },
    concerns: |_| true,
};

/// Every divergence, in the order of the report.
pub(crate) static ALL: &[&Divergence] = &[
    &RAISED_COMES_BACK.divergence,
    &TAKES_OTHERS_ALONG.divergence,
    &STARTS_IN_ANY_ORDER.divergence,
    &COUNTS_NOTHING.divergence,
];

/// The effect of a handler's result at `listener`.
pub(crate) fn effect(listener: &Listener, answer: Answer) -> Answer {
    if answer == Answer::Failed && RAISED_COMES_BACK.holds_for(listener) { Answer::Requeued } else { answer }
}

#[cfg(test)]
mod tests {
    use oslo_messaging::Priority;

    use super::*;

    #[test]
    fn a_divergence_excuses_foreign_listeners_alone() {
        let ours = Listener::new("x", "t", Priority::Info).batch(2);
        for excuse in [&RAISED_COMES_BACK, &TAKES_OTHERS_ALONG, &STARTS_IN_ANY_ORDER, &COUNTS_NOTHING] {
            assert!(!excuse.holds_for(&ours), "{}", excuse.divergence.id);
            assert!(excuse.holds_for(&ours.clone().foreign()), "{}", excuse.divergence.id);
        }
        assert!(!STARTS_IN_ANY_ORDER.holds_for(&ours.clone().foreign().concurrency(1)));
        assert!(!TAKES_OTHERS_ALONG.holds_for(&Listener::new("x", "t", Priority::Info).foreign()));
        assert!(!RAISED_COMES_BACK.holds_for(&ours.foreign().drops()));
    }
}
