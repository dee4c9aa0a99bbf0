//! Whether what the process holds grows. Pure.
//!
//! The resident memory rises for two minutes after each connection begins, and falls when it is lost: lapin reserves
//! some megabytes of buffers for each, and the system counts a page of them when it is first used. So the end is
//! compared with the most that was held in a minute before, and not with a minute that followed a loss.

pub(crate) mod tests;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use testkit::workload::history::History;
use testkit::workload::record::{Kind, Sample};

/// What is compared with the end: the minute that begins here, or later on a machine so slow that it takes longer until
/// every reader has had as many messages as it remembers.
const BASELINE: Duration = Duration::from_secs(180);
const MINUTE: Duration = Duration::from_secs(60);
/// How many messages a reader remembers, so as to know their copies (`core/src/delivery/mod.rs`).
const REMEMBERED: usize = 10_000;
/// The servers, two of either topic, and the listener.
const READERS: usize = 5;
/// How long there must be between the one minute and the other.
const APART: Duration = Duration::from_secs(180);
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

/// When the baseline begins, what was held in it and in the last minute. Of the memory it is the most that was held in
/// any minute up to that one.
pub(crate) fn compared(history: &History) -> Option<(Duration, Usage, Usage)> {
    let baseline = filled(history)?.max(BASELINE);
    let last = history.samples.last()?.at;
    // The last sample is within the last minute.
    let end = (last + Duration::from_micros(1)).checked_sub(MINUTE).filter(|end| *end >= baseline + APART)?;
    let mut before = usage(history, baseline)?;
    let minutes = (0_u32..).map(|minute| minute * MINUTE).take_while(|minute| *minute <= baseline);
    let earlier = minutes.filter_map(|minute| usage(history, minute)).map(|usage| usage.memory);
    before.memory = earlier.fold(before.memory, u64::max);
    Some((baseline, before, usage(history, end)?))
}

/// When every reader had had as much as it remembers: until then it grows.
fn filled(history: &History) -> Option<Duration> {
    let once = history.ended.iter().filter(|ended| ended.kind == Kind::Once).map(|ended| ended.number);
    let once: HashSet<u32> = once.collect();
    let requests = history.methods.iter().map(|start| ((Some(start.server), once.contains(&start.number)), start.at));
    let events = history.events.iter().map(|start| ((None, false), start.at));
    let (mut had, mut full) = (HashMap::<_, usize>::new(), Vec::new());
    for (reader, at) in requests.chain(events) {
        let count = had.entry(reader).or_default();
        *count += 1;
        if *count == REMEMBERED {
            full.push(at);
        }
    }
    full.into_iter().max().filter(|_| had.values().filter(|count| **count >= REMEMBERED).count() == READERS)
}

/// What has grown by more than it may.
pub(crate) fn growth((baseline, before, after): (Duration, Usage, Usage)) -> Vec<String> {
    let all = [
        ("resident memory in KiB", before.memory, after.memory),
        ("threads", before.threads, after.threads),
        ("descriptors", before.descriptors, after.descriptors),
    ];
    let grown = all.into_iter().filter(|(_, before, after)| after * 100 > before * (100 + GROWTH));
    grown.map(|(what, before, after)| format!("G8: {what} grew from {before} up to {baseline:?} to {after}")).collect()
}
