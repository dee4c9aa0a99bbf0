//! The rules that every history of a program of notifications satisfies, each as a sentence.

use crate::programs::rule::rules;

rules! {
    /// Sending an event succeeds, with or without a listener, and whatever connections are lost.
    SENT = "notify::an_event_is_told" [EnsureQueue];
    /// A sent event is handled, or given up after its last try, by the readers of each queue that was bound before,
    /// if all of them accept it; and by each tap that is up from before the send until the end.
    NOT_LOST = "notify::every_copy_is_handled_or_given_up" [Retention, Requeue, EnsureQueue, Pools];
    /// A handled event is not delivered again to any reader of its queue, unless its listener was dropped; after a
    /// cut, not to the same listener.
    ONCE = "notify::what_is_handled_is_done_with" [];
    /// Readers of one queue share its events: while one works on an event, no other has it, unless the listener was
    /// dropped or its connection lost. No listener has an event twice at a time.
    ONE_HAS_IT = "notify::one_reader_has_it_at_a_time" [];
    /// A handler gets only events of its priorities, types and publishers, from a queue of its listener that may have
    /// been bound when the event was sent.
    FITS = "notify::a_handler_has_what_it_wants" [];
    /// Payload, priority, type, publisher and allowed context of an event arrive as they were sent, without the
    /// context that must not be sent, and all copies have one message id.
    UNCHANGED = "notify::an_event_arrives_as_it_was_told" [];
    /// A failed event is tried again at its listener with the next number, up to the number of
    /// the policy. A new or requeued event begins at 1.
    TRIES = "notify::what_fails_is_tried_as_often_as_it_may" [];
    /// An event that a handler requeues, or that waits at a stopping listener, is redelivered by the broker.
    GIVES_BACK = "notify::what_is_given_back_comes_as_new" [Requeue];
    /// Each failed last try of an event makes one dead letter of its queue. It may come again only if its listener
    /// was dropped then or connections were lost, which may also double the letter. Nothing else is a dead letter,
    /// and neither taps nor listeners that drop events make any.
    DEAD = "notify::what_failed_for_good_is_one_dead_letter" [Requeue, Retention];
    /// Where a queue limits deliveries, it delivers an event at most that many times, unless connections were lost.
    /// An event whose next failure would exceed the limit becomes one dead
    /// letter with that reason, and no other event does.
    AT_LIMIT = "notify::the_last_delivery_is_a_dead_letter" [Requeue, Retention];
    /// Every copy of a confirmed event is counted as handled, dead letter or dropped, or is in its queue. Nothing
    /// else is counted, unless a listener was dropped or connections were lost. Every counted dead letter exists.
    SUMS = "notify::the_sums_agree" [Retention, Requeue, EnsureQueue, Pools];
    /// A dead letter names its queue, the failure and the number of tries of the policy.
    DEAD_SAYS = "notify::a_dead_letter_says_why" [Requeue, Retention];
    /// A handler gets at most as many events at once as its batch size; one, without batches.
    BATCH = "notify::a_batch_is_no_larger_than_its_size" [];
    /// At a listener without slow and failing events, an event is handled when the window has passed since it was
    /// sent or the listener started. Checked only on a paused clock.
    WINDOW = "notify::nothing_waits_longer_than_the_window" [];
    /// Of two events of one notifier to one topic and priority, the second sent after the first was confirmed, a
    /// listener gets the first one first if both are new to it. Concurrent batches are exempt: an event may wait
    /// there for the handler of another priority.
    ORDER = "notify::order_holds_from_one_notifier" [];
    /// An event is marked as redelivered if its queue delivered it before, and only if a reader of the queue may have
    /// had it. After a cut, where the event may be in the queue twice, only the latter holds.
    MARK = "notify::what_comes_back_says_so" [RedeliveredFlag];
    /// A listener that is started subscribes to its queues without an error.
    STARTS = "notify::a_listener_starts" [Pools];
    /// A stopped listener ends when its handlers have ended.
    STOPS = "notify::a_listener_ends_when_it_is_stopped" [];
    /// Every lost connection is restored without further action.
    BACK = "notify::every_bus_is_back_after_a_cut" [];
    /// No handler runs at a listener that has ended.
    NOTHING_LATER = "notify::nothing_is_handled_after_the_end" [];
    /// An event whose publisher declares the queue is in it once if the queue never has a reader; twice only if the
    /// publisher's connection was lost.
    KEPT = "notify::what_nobody_reads_is_kept" [EnsureQueue, Retention];
    /// When every listener has ended, a queue with readers holds no event that all of them accept, and one without
    /// readers only the events sent to it.
    NOTHING_LEFT = "notify::nothing_is_left" [];
}
