//! A scenario of calls, casts, a fanout and events with two servers, cut once at every place that was chosen.

pub(crate) mod points;
mod report;
mod run;

use std::env;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

use testkit::process::{io_threads, sockets};
use testkit::stage::{Stage, until, within};
use testkit::workload::dice::{self, Dice};
use testkit::workload::record::{Ended, Kind, Phase};
use testkit::workload::script::TIMEOUT;
use testkit::workload::servers::{METHOD, MUTE, SILENCE};
use testkit::workload::tally::MINIMUMS;

use points::{Point, chosen, each_frame, every};
use report::Report;
use run::{Field, Manner, Outcome, run};

/// The variable with the number of offsets, or `frames`, or `all`, or one point as a failure names it.
const OFFSETS: &str = "OSLO_TEST_OFFSETS";
/// How many by default.
const USUAL: usize = 120;
/// How many runs take place at once, beside other tests: most of the time of each is spent waiting.
const AT_ONCE: usize = 12;
/// How many take place at once where there are thousands, and nothing else.
const AT_ONCE_ALONE: usize = 32;
/// A client that calls what there is, and waits for twice the heartbeat of 10 s and the longest pause between two tries to
/// connect.
const SOUND: Manner = Manner { method: METHOD, timeout: TIMEOUT, recovery: Duration::from_secs(30) };
/// Far over what any run needs.
const RUN: Duration = Duration::from_secs(120);

/// G1 to G7 and G9 hold wherever the connection of a client, of a server or of all of them is cut, G8 afterwards.
pub(crate) async fn every_guarantee_holds_wherever_connections_are_cut() {
    let seed = dice::seed();
    let (field, recorded) = set().await;
    until("the threads of the run without a fault to end", async || io_threads() == 1).await;
    let before = sockets();
    let mut dice = Dice::new(seed);
    // Of fewer than usual it is not asked that they come just where they should.
    let (points, aimed) = match env::var(OFFSETS).as_deref() {
        Err(_) => (chosen(&recorded.streams, USUAL, &mut dice), true),
        Ok("frames") => (each_frame(&recorded.streams, &mut dice), false),
        Ok("all") => (every(&recorded.streams, &mut dice), false),
        Ok(text) => match text.parse() {
            Ok(count) => (chosen(&recorded.streams, count, &mut dice), count >= USUAL),
            Err(_) => (vec![text.parse().expect("a number, `frames`, `all`, or a point")], false),
        },
    };
    let begun = Instant::now();
    let report = cut_at(&field, &points, SOUND).await;
    eprintln!("seed {seed}, {:.1} s\n{report}", begun.elapsed().as_secs_f64());
    report.verdict(MINIMUMS, aimed);
    until("the threads of lapin to end, but for that of the bare client", async || io_threads() == 1).await;
    until("the sockets to be closed", async || sockets() <= before).await;
}

/// The same with a client whose every call ends with a timeout, cut or not, as those of a library would that loses answers:
/// the report says so, and it does not pass.
pub(crate) async fn a_client_whose_every_call_times_out_does_not_pass() {
    let (field, recorded) = set().await;
    let deaf = Manner { method: MUTE, timeout: SILENCE / 4, recovery: Duration::from_secs(2) };
    let mut points = chosen(&recorded.streams, 4, &mut Dice::new(dice::seed()));
    // A refusal would be an answer.
    for point in &mut points {
        point.refusing = false;
    }
    let report = cut_at(&field, &points, deaf).await;
    let short = report.shortfalls(MINIMUMS);
    eprintln!("{report}\n{short:#?}");
    for (phase, what) in [(Phase::During, "call during"), (Phase::Afterwards, "call afterwards")] {
        let calls = report.tally().of(phase, Kind::Call);
        let timed_out = calls.failed.get("Timeout").copied().unwrap_or(0);
        // A call whose deadline passes while there is no connection says that instead.
        assert!(calls.succeeded == 0 && timed_out * 2 > calls.attempted, "{what}: {calls}");
        assert!(short.iter().any(|short| short.starts_with(what)), "{what}: {short:?}");
    }
}

/// How long all of it may take.
pub(crate) fn limit() -> Duration {
    match env::var(OFFSETS).as_deref() {
        Err(_) => Duration::from_secs(600),
        Ok("frames" | "all") => Duration::from_secs(24 * 3_600),
        Ok(text) => Duration::from_secs(600) + RUN / 20 * text.parse().unwrap_or(1),
    }
}

/// A virtual host, and a run on it in which nothing is cut and nothing fails.
async fn set() -> (Arc<Field>, Outcome) {
    let stage = Stage::shared().await;
    let field = Field { port: stage.node.port(), vhost: stage.vhost.clone(), bare: stage.bare().await };
    let field = Arc::new(field);
    let recorded = within(RUN, "a run without a fault", Box::pin(run(Arc::clone(&field), None, SOUND))).await;
    assert_eq!(recorded.violations, Vec::<String>::new());
    let failed = recorded.history.ended.iter().filter(|ended: &&Ended| !ended.succeeded());
    assert_eq!(failed.count(), 0, "{:?}", recorded.history.ended);
    (field, recorded)
}

/// One run for each of `points`, many at once.
async fn cut_at(field: &Arc<Field>, points: &[Point], manner: Manner) -> Report {
    let room = Arc::new(Semaphore::new(if points.len() > 10 * USUAL { AT_ONCE_ALONE } else { AT_ONCE }));
    let mut report = Report::of(points.len());
    let mut runs = JoinSet::new();
    for &point in points {
        while let Some(done) = runs.try_join_next() {
            report.add(done.expect("a run does not panic outside its task"));
        }
        let permit = Arc::clone(&room).acquire_owned().await.expect("it is not closed");
        let field = Arc::clone(field);
        runs.spawn(async move {
            let _permit = permit;
            // On a task of its own, so that a panic is reported with its point.
            let running = tokio::spawn(run(field, Some(point), manner));
            (point, within(RUN, "a run", running).await.map_err(|panic| panic.to_string()))
        });
    }
    while let Some(done) = runs.join_next().await {
        report.add(done.expect("a run does not panic outside its task"));
    }
    report
}
