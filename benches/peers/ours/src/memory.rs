//! The memory of calls that wait.

use std::time::Duration;

use load::{Allocations, Arguments, Line, Operation as _, burst, resident_bytes};
use tokio::sync::watch;
use tokio::time::{Instant, interval, sleep};

use crate::PROGRAM;
use crate::bus::{connect, server};
use crate::call::Call;
use crate::echo::Echo;

/// How often memory is read.
const SAMPLING: Duration = Duration::from_millis(10);

/// How long memory may take to come back after the last call.
const SETTLING: Duration = Duration::from_secs(2);

/// How long the calls may take to be all in flight.
const FILLING: Duration = Duration::from_secs(60);

/// Has `--operations` calls wait for a server that holds them back, lets them go, and reports the memory before, at most,
/// and after.
pub async fn run(arguments: &Arguments) -> Line {
    let (hold, held) = watch::channel(false);
    let bus = connect(arguments).await;
    let _server = server(&bus, arguments, "s", &Echo::held(held)).await;
    let call = Call::new(&bus, arguments);
    // Connections, channels and the first buffers are not part of a call's memory.
    burst(64, 2_000, call.clone()).await;
    let operations = usize::try_from(arguments.operations()).expect("it is a number of tasks");

    hold.send_replace(true);
    let (before, live_before) = (resident_bytes(), Allocations::now());
    let calls: Vec<_> = (0..operations)
        .map(|_| {
            tokio::spawn({
                let call = call.clone();
                async move { call.run().await }
            })
        })
        .collect();
    let mut peak = resident_bytes();
    let mut ticks = interval(SAMPLING);
    let filled_by = Instant::now() + FILLING;
    while bus.calls_in_flight() < operations {
        assert!(Instant::now() < filled_by, "{} of {operations} calls are in flight", bus.calls_in_flight());
        peak = peak.max(resident_bytes());
        ticks.tick().await;
    }
    // Until the requests are published as well.
    sleep(SETTLING).await;
    peak = peak.max(resident_bytes());
    let (waiting, live_waiting) = (resident_bytes(), Allocations::now());

    hold.send_replace(false);
    let mut errors = 0;
    let watching = tokio::spawn(async move {
        let mut peak = peak;
        let mut ticks = interval(SAMPLING);
        loop {
            peak = peak.max(resident_bytes());
            ticks.tick().await;
            if bus.calls_in_flight() == 0 {
                return (peak, bus);
            }
        }
    });
    for call in calls {
        errors += u64::from(!call.await.expect("a call does not panic"));
    }
    let (peak, _bus) = watching.await.expect("reading does not panic");
    sleep(SETTLING).await;
    let after = resident_bytes();

    let each = |bytes: u64| bytes as f64 / operations as f64 - arguments.payload().len() as f64;
    let line = Line::new(PROGRAM, arguments)
        .with("operations", operations)
        .with("errors", errors)
        .with("resident_before", before)
        .with("resident_waiting", waiting)
        .with("resident_peak", peak)
        .with("resident_after", after)
        .with("kept_bytes", after.saturating_sub(before))
        .with("waiting_bytes_each", each(waiting.saturating_sub(before)))
        .with("peak_bytes_each", each(peak.saturating_sub(before)));
    match (live_before, live_waiting) {
        (Some(before), Some(waiting)) => {
            let live = u64::try_from(waiting.live - before.live).unwrap_or(0);
            line.with("live_bytes_each", each(live))
        }
        _ => line,
    }
}
