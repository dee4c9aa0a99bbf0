//! What the kernel knows of processes.

use std::fs;

/// The kernel counts CPU time in hundredths of a second.
const TICKS: f64 = 100.0;

/// The CPU time of a process, user and system, in seconds.
///
/// # Panics
/// If there is no such process.
pub fn cpu_seconds(process: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).expect("the process runs");
    // The name of the program, which may hold blanks, ends at the last parenthesis.
    let (_, fields) = stat.rsplit_once(") ").expect("the file has a name in parentheses");
    let field = |n: usize| fields.split(' ').nth(n).and_then(|text| text.parse::<f64>().ok()).expect("it is a number");
    (field(11) + field(12)) / TICKS
}

/// The CPU time that all processes of the machine have used, in seconds.
pub(crate) fn machine_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/stat").expect("there is a /proc/stat");
    let all = stat.lines().next().expect("its first line sums all cores");
    let fields: Vec<f64> = all.split_whitespace().skip(1).filter_map(|text| text.parse().ok()).collect();
    // user, nice, system, idle, waiting, interrupts, soft interrupts; what other machines stole counts as well.
    let idle = fields[3] + fields[4];
    (fields.iter().take(8).sum::<f64>() - idle) / TICKS
}

/// The resident memory of this process, in bytes.
pub fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("there is a /proc/self/status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it has a line on resident memory");
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("it is a number");
    kib * 1024
}
