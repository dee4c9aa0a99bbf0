//! What this process holds.

use std::fs;
use std::time::Duration;

use testkit::workload::record::Sample;

/// What it holds now. What the system does not tell is 0.
pub(crate) fn sample(at: Duration) -> Sample {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let descriptors = fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    Sample {
        at,
        memory: field(&status, "VmRSS:"),
        threads: field(&status, "Threads:"),
        // One of them is the list itself.
        descriptors: descriptors.saturating_sub(1) as u64,
    }
}

fn field(status: &str, name: &str) -> u64 {
    let value = status.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok());
    value.unwrap_or_default()
}

pub(crate) mod tests {
    use std::time::Duration;

    use super::{field, sample};

    pub(crate) fn a_number_is_read_from_the_status_of_a_process() {
        let status = "Name:\tsoak\nVmRSS:\t   20480 kB\nThreads:\t7\n";
        assert_eq!((field(status, "VmRSS:"), field(status, "Threads:"), field(status, "None:")), (20_480, 7, 0));
        let now = sample(Duration::ZERO);
        assert!(now.memory > 0 && now.threads > 0 && now.descriptors > 0, "{now:?}");
    }
}
