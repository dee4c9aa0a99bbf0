//! Whether what the process holds grows. Pure.

pub(crate) mod tests;

use std::time::Duration;

use super::history::History;
use super::record::Sample;

/// What is compared with the end: the minute that begins here.
const BASELINE: Duration = Duration::from_secs(180);
const MINUTE: Duration = Duration::from_secs(60);
/// By how many percent it may have grown.
const GROWTH: u64 = 5;

/// What the process held while no fault was felt: the median of a minute.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Resident memory in KiB.
    pub(crate) memory: u64,
    pub(crate) threads: u64,
    pub(crate) descriptors: u64,
}

/// What it held in the minute from `from`; `None` if no sample of it was taken in peace.
pub(crate) fn usage(history: &History, from: Duration) -> Option<Usage> {
    let within = |sample: &&Sample| (from..from + MINUTE).contains(&sample.at);
    let calm = |sample: &&Sample| history.fault_within(sample.at, sample.at).is_none();
    let samples: Vec<&Sample> = history.samples.iter().filter(within).filter(calm).collect();
    let median = |value: fn(&Sample) -> u64| {
        let mut values: Vec<u64> = samples.iter().map(|sample| value(sample)).collect();
        values.sort_unstable();
        values.get(values.len() / 2).copied()
    };
    let memory = median(|sample| sample.memory)?;
    Some(Usage { memory, threads: median(|sample| sample.threads)?, descriptors: median(|sample| sample.descriptors)? })
}

/// Minute 3, and the last.
pub(crate) fn compared(history: &History) -> Option<(Usage, Usage)> {
    let last = history.samples.last()?.at;
    // The last sample is within the last minute.
    let end = (last + Duration::from_micros(1)).checked_sub(MINUTE).filter(|end| *end > BASELINE)?;
    Some((usage(history, BASELINE)?, usage(history, end)?))
}

/// What has grown by more than it may.
pub(crate) fn growth((before, after): (Usage, Usage)) -> Vec<String> {
    let all = [
        ("resident memory in KiB", before.memory, after.memory),
        ("threads", before.threads, after.threads),
        ("descriptors", before.descriptors, after.descriptors),
    ];
    let grown = all.into_iter().filter(|(_, before, after)| after * 100 > before * (100 + GROWTH));
    grown.map(|(what, before, after)| format!("G8: {what} grew from {before} in minute 3 to {after}")).collect()
}
