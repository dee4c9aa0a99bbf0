//! The rules of notifications.

use crate::programs::rule::rules;

rules! {
    /// Sending an event succeeds, with or without a listener, and whatever connections are lost.
    SENT = "notify::an_event_is_told" [EnsureQueue];
    /// An event that was sent is handled, or given up after its last try, by the readers of each queue that was bound
    /// before, if all of them want it; and by each tap that was there before and until then.
    NOT_LOST = "notify::every_copy_is_handled_or_given_up" [Retention, Requeue, EnsureQueue, Pools];
    /// What a handler has handled is not handed to any reader of that queue again, unless its listener was dropped;
    /// nor, over a loss of connections, to that listener.
    ONCE = "notify::what_is_handled_is_done_with" [];
    /// Readers of one queue share its events: while one works on an event no other has it, unless the one was dropped
    /// or its connection lost, and none has it twice at a time.
    ONE_HAS_IT = "notify::one_reader_has_it_at_a_time" [];
    /// A handler has only events of its priorities, types and publishers, from a queue of its listener that may have
    /// been bound when the event was sent.
    FITS = "notify::a_handler_has_what_it_wants" [];
    /// Payload, priority, type, publisher and context of an event are those that were sent, what its context must not
    /// let out is missing, and every copy has the one message id.
    UNCHANGED = "notify::an_event_arrives_as_it_was_told" [];
    /// What fails is tried again at its listener, each try with the next number and the last with that of the policy;
    /// it begins at 1 where it is new or was given back.
    TRIES = "notify::what_fails_is_tried_as_often_as_it_may" [];
    /// What a handler gives back, and what waits at a listener that stops, comes from the broker once more.
    GIVES_BACK = "notify::what_is_given_back_comes_as_new" [Requeue];
    /// An event is a dead letter of its queue once for each time that its last try failed, which may come again only if
    /// its listener was dropped then or connections were lost, which may also double the letter; and nothing else is a
    /// dead letter, nor anything of taps and of those who drop.
    DEAD = "notify::what_failed_for_good_is_one_dead_letter" [Requeue, Retention];
    /// Where a queue limits deliveries, a handler has an event at most so often from it, unless connections were lost;
    /// an event whose next failure would exceed the limit becomes one dead letter that says so, and no other event
    /// does.
    AT_LIMIT = "notify::the_last_delivery_is_a_dead_letter" [Requeue, Retention];
    /// Every copy of a confirmed event is counted as handled, as a dead letter or as dropped, or lies in its queue; so
    /// does nothing else, unless a listener was dropped or connections were lost; and what was counted as a dead letter
    /// is one.
    SUMS = "notify::the_sums_agree" [Retention, Requeue, EnsureQueue, Pools];
    /// A dead letter names its queue, the failure and as many tries as the policy allows.
    DEAD_SAYS = "notify::a_dead_letter_says_why" [Requeue, Retention];
    /// A handler has as many events at once as the size of a batch, at most; and one where there are no batches.
    BATCH = "notify::a_batch_is_no_larger_than_its_size" [];
    /// At a listener where nothing is slow and nothing fails, an event is handled when the window has passed since it
    /// was sent or its listener started. Held only on a paused clock.
    WINDOW = "notify::nothing_waits_longer_than_the_window" [];
    /// Of two events of one notifier to one topic and priority, the second sent when the first was confirmed, a
    /// listener that has both for the first time has the first one first; unless it works on several batches at once,
    /// where an event may wait for the handler of another priority in its batch.
    ORDER = "notify::order_holds_from_one_notifier" [];
    /// An event says that it was handed over before if its queue gave it to a reader before, and only if a reader of
    /// the queue may have had it. Over a loss of connections, where it may be there twice, only the latter.
    MARK = "notify::what_comes_back_says_so" [RedeliveredFlag];
    /// A listener starts.
    STARTS = "notify::a_listener_starts" [Pools];
    /// A listener that is stopped ends when its handlers have.
    STOPS = "notify::a_listener_ends_when_it_is_stopped" [];
    /// Every connection that is lost is made again by itself.
    BACK = "notify::every_bus_is_back_after_a_cut" [];
    /// No handler runs at a listener that has ended.
    NOTHING_LATER = "notify::nothing_is_handled_after_the_end" [];
    /// An event whose publisher makes the queue is there once if the queue never has a reader; twice if a connection was
    /// lost under its publisher.
    KEPT = "notify::what_nobody_reads_is_kept" [EnsureQueue, Retention];
    /// When every listener has ended, no queue holds what all its readers want, and one without readers only what it
    /// kept.
    NOTHING_LEFT = "notify::nothing_is_left" [];
}
