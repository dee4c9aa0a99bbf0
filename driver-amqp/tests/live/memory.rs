//! What idle transports cost.

use oslo_messaging::Transport as _;

use testkit::stage::{Stage, soon};

/// How many are idle.
const IDLE: usize = 10;
/// What each may keep in memory: a fourth of the buffers that lapin sets aside for it, which are 16 MiB.
const EACH: usize = 4 * 1024 * 1024;

pub(crate) async fn an_idle_transport_keeps_a_fraction_of_its_buffers_in_memory() {
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
