//! [`Counters`]: what became of the messages of a broker, counted by event.

/// Counts since the broker was created. Tests compare these instead of measuring time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Messages that publishers sent, including those that were refused, returned or lost.
    pub published: u64,
    /// Deliveries to consumers; a redelivered message counts each time.
    pub delivered: u64,
    /// Messages that were acknowledged, by their receivers or by the poll before handover.
    pub acknowledged: u64,
    /// Acknowledgements written: one for all messages that a poll acknowledges before handover,
    /// one for each message that its receiver settles.
    pub acknowledgement_writes: u64,
    /// Messages returned to their queues: by their receivers, or because a consumer ended.
    pub requeued: u64,
    /// Messages that their receivers rejected; the broker drops them.
    pub rejected: u64,
    /// Mandatory messages that no queue was bound for; their publishers get `Undeliverable`.
    pub returned: u64,
    /// Messages dropped at the end of their time to live.
    pub expired: u64,
    /// Messages dropped because they exceeded the delivery limit of their queue.
    pub over_limit: u64,
}
