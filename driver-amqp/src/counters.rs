//! What went over the wire, counted so that a test can assert frames instead of times.

use std::sync::atomic::{AtomicU64, Ordering};

/// How much of everything a transport has done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Messages whose frames were queued.
    pub publishes: u64,
    /// Messages the broker confirmed, one way or the other.
    pub confirms: u64,
    /// Messages the broker returned as undeliverable.
    pub returns: u64,
    /// Messages handed over before which the driver acknowledged them.
    pub handed_over_acknowledged: u64,
    /// Acknowledgement frames for those.
    pub handover_acknowledgements: u64,
    /// Messages handed over for the receiver to settle.
    pub handed_over_unsettled: u64,
    /// Acknowledgement frames for those.
    pub receiver_acknowledgements: u64,
    /// Times that the connection was lost.
    pub losses: u64,
    /// Times that it was made again.
    pub reconnects: u64,
    /// Times that a listener, or one of its consumers, was put back after a loss or a cancellation by the broker.
    pub revivals: u64,
    /// Messages that were settled too late: the broker hands them over again.
    pub settlements_dropped: u64,
    /// Messages that were here and not handed over when the channel was lost: the broker hands them over again.
    pub deliveries_dropped: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) publishes: AtomicU64,
    pub(crate) confirms: AtomicU64,
    pub(crate) returns: AtomicU64,
    pub(crate) handed_over_acknowledged: AtomicU64,
    pub(crate) handover_acknowledgements: AtomicU64,
    pub(crate) handed_over_unsettled: AtomicU64,
    pub(crate) receiver_acknowledgements: AtomicU64,
    pub(crate) losses: AtomicU64,
    pub(crate) reconnects: AtomicU64,
    pub(crate) revivals: AtomicU64,
    pub(crate) settlements_dropped: AtomicU64,
    pub(crate) deliveries_dropped: AtomicU64,
}

/// Adds to one counter.
pub(crate) fn count(counter: &AtomicU64, more: usize) {
    counter.fetch_add(more as u64, Ordering::Relaxed);
}

impl Counts {
    pub(crate) fn read(&self) -> Counters {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
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
            revivals: read(&self.revivals),
            settlements_dropped: read(&self.settlements_dropped),
            deliveries_dropped: read(&self.deliveries_dropped),
        }
    }
}
