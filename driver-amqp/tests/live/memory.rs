//! What idle transports cost.

use std::env;
use std::process::Command;

use oslo_messaging::driver::Transport as _;

use testkit::stage::{Stage, soon};

/// How many are idle.
const IDLE: usize = 10;
/// What each may keep in memory: a fourth of the buffers that lapin sets aside for it, which are 16 MiB.
const EACH: usize = 4 * 1024 * 1024;

/// Set in the process that measures.
const MEASURES: &str = "OSLO_TEST_MEASURES_MEMORY";

/// Measures in a process of its own. In a process that other cases used before, the allocator takes the buffers from memory
/// that it kept, and has to write zeros to all of it.
pub(crate) async fn an_idle_transport_keeps_a_fraction_of_its_buffers_in_memory() {
    if env::var_os(MEASURES).is_some() {
        return measure().await;
    }
    let case = "memory::an_idle_transport_keeps_a_fraction_of_its_buffers_in_memory";
    let mut process = Command::new(env::current_exe().expect("a running program has a path"));
    process.args(["--exact", case]).env(MEASURES, "1");
    let output = process.output().expect("a process");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

async fn measure() {
    let stage = Stage::shared().await;
    // What the first of all needs is there afterwards.
    stage.connect().await.close(soon()).await.expect("a close");
    let before = resident();
    let mut idle = Vec::new();
    for _ in 0..IDLE {
        idle.push(stage.connect().await);
    }
    let each = resident().saturating_sub(before) / IDLE;
    assert!(each < EACH, "{each} bytes for each of {IDLE}");
    for transport in idle {
        transport.close(soon()).await.expect("a close");
    }
}

/// The memory of this process that is resident, in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("the state of the process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
    line.trim().trim_end_matches(" kB").parse::<usize>().expect("a number") * 1024
}
