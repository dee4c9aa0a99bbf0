//! Counts what a transport does, so that a test can assert frames instead of times, and an operator sees rates.

use std::sync::atomic::{AtomicU64, Ordering};

use metrics::counter;

/// A snapshot of what a transport has done since it connected.
/// None of the counts is ever reset, so the difference of two snapshots is what happened in between.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Messages whose frames were queued, each attempt counted.
    /// An attempt that lapin refuses at once, because its channel is closed, does not count.
    pub publishes: u64,
    /// Messages that the broker confirmed, by an ack or a nack.
    ///
    /// A confirm of several messages counts each of them.
    /// A returned message is confirmed too, so it counts here as well.
    pub confirms: u64,
    /// Messages that the broker returned as undeliverable. Their publishes fail with `Undeliverable`.
    pub returns: u64,
    /// Messages that the driver acknowledged before handover, such as the requests of RPC servers by default.
    pub handed_over_acknowledged: u64,
    /// Acknowledgement frames for those: one may cover several messages.
    pub handover_acknowledgements: u64,
    /// Messages handed over for the receiver to settle. A message that is delivered again counts again.
    pub handed_over_unsettled: u64,
    /// Acknowledgement frames for those: one may cover several messages.
    pub receiver_acknowledgements: u64,
    /// Lost links. A link has two connections or more, and is lost with any of them.
    /// A failed attempt to connect is no loss.
    pub losses: u64,
    /// Links that were made after a loss. The first connect does not count.
    pub reconnects: u64,
    /// Listeners that resubscribed, and single consumers that were restored,
    /// after a loss or a cancellation by the broker.
    pub recoveries: u64,
    /// Messages that were settled after their channel was lost:
    /// the broker redelivers them. Requeues and rejects count too.
    pub settlements_dropped: u64,
    /// Messages that were received and not handed over when their channel was lost: the broker redelivers them.
    pub deliveries_dropped: u64,
    /// Messages of streams that retention deleted before their listener read them.
    pub stream_messages_missed: u64,
}

/// The live counters of one transport. Those with a name are added to the metrics of the process too.
/// Relaxed atomics: reading a count orders no other memory.
#[derive(Debug)]
pub(crate) struct Counts {
    /// Counted when lapin has queued the frames, before any confirm.
    pub(crate) publishes: Count,
    /// Counted when lapin resolves a confirm, and so once for each message of a `multiple` one.
    pub(crate) confirms: Count,
    /// Counted when the publisher takes in the frame reader's report:
    /// at the next confirm, or when it leaves the channel.
    pub(crate) returns: Count,
    /// Counted once the acknowledgement is written, so a message of a lost channel does not count.
    pub(crate) handed_over_acknowledged: Count,
    /// Counted when the write begins; it may fail.
    pub(crate) handover_acknowledgements: Count,
    /// Counted at the handover, however the receiver settles.
    pub(crate) handed_over_unsettled: Count,
    /// Counted when the settler begins to write them; the write may fail.
    pub(crate) receiver_acknowledgements: Count,
    /// Counted by the supervisor, which is why the two connections of a link count once.
    pub(crate) losses: Count,
    /// Counted when the link is up, before listeners resubscribe on it.
    pub(crate) reconnects: Count,
    /// Counted after the health shows the listener as restored, so a test can wait for it.
    pub(crate) recoveries: Count,
    /// Counted by the settler for what it holds at the loss, and by each later settlement.
    pub(crate) settlements_dropped: Count,
    /// Counted when the session is given up, and for a batch whose acknowledgement failed.
    pub(crate) deliveries_dropped: Count,
    /// Counted at the handover of the first message behind a gap, by the length of that gap.
    pub(crate) stream_messages_missed: Count,
}

/// One counter of one transport; some add to a metric of the process as well.
#[derive(Debug)]
pub(crate) struct Count {
    /// Since the transport connected.
    total: AtomicU64,
    /// The name of its metric, which sums up all transports of the process.
    /// `None` for counts that only tests and `Counters` read.
    metric: Option<&'static str>,
}

/// Adds `more` to one counter, and to its metric.
/// The metric is looked up by its name each time, so a recorder that is installed late still gets later increments.
pub(crate) fn count(counter: &Count, more: usize) {
    counter.total.fetch_add(more as u64, Ordering::Relaxed);
    if let Some(metric) = counter.metric {
        counter!(metric).increment(more as u64);
    }
}

impl Count {
    /// The crate documentation must list the name; a test compares both.
    const fn named(metric: &'static str) -> Self {
        Self { total: AtomicU64::new(0), metric: Some(metric) }
    }

    /// A count without a metric: only tests and `Counters` read it.
    const fn unnamed() -> Self {
        Self { total: AtomicU64::new(0), metric: None }
    }
}

impl Default for Counts {
    /// The names are part of the interface, and listed in the documentation of the crate.
    fn default() -> Self {
        Self {
            publishes: Count::named("oslo_messaging_amqp_publishes_total"),
            confirms: Count::named("oslo_messaging_amqp_confirms_total"),
            returns: Count::named("oslo_messaging_amqp_returns_total"),
            handed_over_acknowledged: Count::unnamed(),
            handover_acknowledgements: Count::unnamed(),
            handed_over_unsettled: Count::unnamed(),
            receiver_acknowledgements: Count::unnamed(),
            losses: Count::named("oslo_messaging_amqp_losses_total"),
            reconnects: Count::named("oslo_messaging_amqp_reconnects_total"),
            recoveries: Count::named("oslo_messaging_amqp_recoveries_total"),
            settlements_dropped: Count::named("oslo_messaging_amqp_settlements_dropped_total"),
            deliveries_dropped: Count::named("oslo_messaging_amqp_deliveries_dropped_total"),
            stream_messages_missed: Count::named("oslo_messaging_amqp_stream_messages_missed_total"),
        }
    }
}

impl Counts {
    /// Each count is read on its own, so two counts of one snapshot may differ by work that is under way.
    pub(crate) fn read(&self) -> Counters {
        let read = |counter: &Count| counter.total.load(Ordering::Relaxed);
        Counters {
            publishes: read(&self.publishes),
            confirms: read(&self.confirms),
            returns: read(&self.returns),
            handed_over_acknowledged: read(&self.handed_over_acknowledged),
            handover_acknowledgements: read(&self.handover_acknowledgements),
            handed_over_unsettled: read(&self.handed_over_unsettled),
            receiver_acknowledgements: read(&self.receiver_acknowledgements),
            losses: read(&self.losses),
            reconnects: read(&self.reconnects),
            recoveries: read(&self.recoveries),
            settlements_dropped: read(&self.settlements_dropped),
            deliveries_dropped: read(&self.deliveries_dropped),
            stream_messages_missed: read(&self.stream_messages_missed),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    /// The names of metrics between the `quotes` of `text`.
    fn names<'a>(text: &'a str, quotes: &'a [char]) -> impl Iterator<Item = &'a str> {
        let name = |part: &&str| part.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        text.split(quotes).filter(|part| part.starts_with("oslo_messaging_amqp_") && !part.ends_with('_')).filter(name)
    }

    #[test]
    fn every_metric_is_in_the_documentation_and_nothing_else_is() {
        let sources = [include_str!("counters.rs"), include_str!("link/health.rs"), include_str!("frames/notices.rs")];
        let used: BTreeSet<_> = sources.iter().flat_map(|source| names(source, &['"'])).collect();
        let rows = include_str!("lib.rs").lines().filter(|line| line.starts_with("//! | `oslo"));
        let listed: BTreeSet<_> = rows.filter_map(|row| names(row, &['`', '{']).next()).collect();
        assert_eq!(used, listed);
        assert_eq!(used.len(), 11);
    }
}
