//! The experiments, and how long they take.

pub(crate) mod experiment;
pub(crate) mod program;

use super::{Bench, Group};
use experiment::{Experiment, Run, Tool};
use program::Program::{self, Careless, Frames, Ours, Python, Ruststream, Straight, Tarpc, TarpcChannel};

/// The threads of the reference's client, at which it is fastest.
pub(crate) const PYTHON_THREADS: u64 = 8;

/// How long everything is measured.
#[derive(Debug, Clone, Copy)]
struct Pace {
    quick: bool,
    rounds: u32,
    /// The warm-up and the measured time of a run.
    times: &'static str,
}

impl Pace {
    fn of(bench: &Bench) -> Self {
        let (rounds, times) =
            if bench.quick { (3, "--warm-up 0.3 --seconds 1") } else { (5, "--warm-up 0.5 --seconds 2") };
        Self { quick: bench.quick, rounds: bench.rounds.unwrap_or(rounds), times }
    }

    /// A number of operations of a run that ends with them.
    fn operations(self, full: u64) -> u64 {
        if self.quick { full / 3 } else { full }
    }
}

/// The experiments of the groups that were asked for.
pub(crate) fn experiments(bench: &Bench, reply_mode: u8) -> Vec<Experiment> {
    let pace = Pace::of(bench);
    let mut all = vec![calls(pace, reply_mode), casts(pace), python(pace), fake(pace), counters(pace), memory(pace)];
    if !pace.quick {
        all.extend([
            guarantees(pace),
            in_flight(pace, reply_mode),
            payload(pace, reply_mode),
            servers(pace, reply_mode),
        ]);
        all.extend([backlog(), start(pace), topics()]);
    }
    all.retain(|experiment| bench.groups.is_empty() || bench.groups.contains(&experiment.group));
    all
}

fn calls(pace: Pace, reply_mode: u8) -> Experiment {
    let mut runs = Vec::new();
    for (at, programs) in [
        (1, &[Ours, Frames, Ruststream, Straight, Careless][..]),
        (64, &[Ours, Frames, Straight, Ruststream, Careless]),
        (256, &[Ours, Frames, Straight, Ruststream, Careless]),
    ] {
        let chosen = programs.iter().filter(|program| !pace.quick || **program != Careless);
        runs.extend(chosen.map(|program| call(*program, at, pace, reply_mode, "")));
        // One thread blocks in each of its calls, so it has a point of its own.
        let threads = if at == 1 { 1 } else { PYTHON_THREADS };
        if at <= 64 {
            let words = format!("call --in-flight {threads} {}", pace.times);
            runs.push(Run::on_broker(Python, at, &words).of_server(Python));
        }
    }
    Experiment { name: "calls", group: Group::Calls, rounds: pace.rounds, runs }
}

/// Calls over RabbitMQ, `at` in flight. A program on lapin gives its replies the delivery mode of ours.
fn call(program: Program, at: u64, pace: Pace, reply_mode: u8, options: &str) -> Run {
    let mode = if matches!(program, Frames | Straight | Careless) {
        format!("--reply-mode {reply_mode}")
    } else {
        String::new()
    };
    Run::on_broker(program, at, &format!("call --in-flight {at} {} {mode} {options}", pace.times))
}

/// What the program on lapin leaves out, in the place of what varies.
pub(crate) const ALL: u64 = 0;
pub(crate) const WITHOUT: [(u64, &str, &str); 4] = [
    (1, "confirms", "--confirmed false"),
    (2, "acknowledgements", "--acknowledged false"),
    (3, "the mandatory flag", "--mandatory false"),
    (4, "persistent replies", "--reply-mode 1"),
];

/// The price of each guarantee: the same frames with all of them, and without one.
fn guarantees(pace: Pace) -> Experiment {
    let run = |at, options| Run { at, ..call(Frames, 64, pace, 2, options) };
    let mut runs = vec![run(ALL, "")];
    runs.extend(WITHOUT.map(|(at, _, options)| run(at, options)));
    Experiment { name: "guarantees", group: Group::Calls, rounds: pace.rounds, runs }
}

fn casts(pace: Pace) -> Experiment {
    let mut runs = Vec::new();
    let (many, few) = (pace.operations(30_000), pace.operations(900));
    for (at, words) in [
        (CASTS, format!("cast --in-flight 64 --operations {many}")),
        (EVENTS, format!("notify --in-flight 64 --operations {many}")),
        (FANOUT, format!("fanout --in-flight 64 --servers 50 --operations {few}")),
    ] {
        runs.extend([Ours, Frames].map(|program| Run::on_broker(program, at, &words)));
    }
    let words = format!("cast --in-flight {PYTHON_THREADS} {}", pace.times);
    runs.push(Run::on_broker(Python, CASTS, &words).of_server(Python));
    Experiment { name: "casts", group: Group::Casts, rounds: pace.rounds, runs }
}

/// The kinds of messages of `casts`, in the place of what varies.
pub(crate) const CASTS: u64 = 1;
pub(crate) const EVENTS: u64 = 2;
pub(crate) const FANOUT: u64 = 50;

fn python(pace: Pace) -> Experiment {
    let clients = Run::on_broker(Python, PYTHON_THREADS, &format!("call --in-flight {PYTHON_THREADS} {}", pace.times));
    let client = Run::on_broker(Ours, 64, &format!("call --role client --in-flight 64 {}", pace.times));
    let runs = vec![clients.of_server(Ours), client.of_server(Python)];
    Experiment { name: "python", group: Group::Python, rounds: pace.rounds, runs }
}

/// Calls in flight on the in-memory broker: with two workers, and with [`ALONE`] added on the calling thread alone.
fn fake(pace: Pace) -> Experiment {
    let mut runs = Vec::new();
    let programs: &[Program] =
        if pace.quick { &[Ours, Tarpc, Ruststream] } else { &[Ours, Tarpc, TarpcChannel, Ruststream] };
    for (at, in_flight, workers) in [(1, 1, 2), (64, 64, 2), (64 + ALONE, 64, 0)] {
        let words = format!("call --in-flight {in_flight} --workers {workers} {}", pace.times);
        runs.extend(programs.iter().map(|program| Run::in_process(*program, at, &words)));
    }
    Experiment { name: "fake", group: Group::Fake, rounds: pace.rounds, runs }
}

/// Marks runs on one thread.
pub(crate) const ALONE: u64 = 1_000;

/// What does not depend on time is counted in a round or two.
fn counters(pace: Pace) -> Experiment {
    let rounds = if pace.quick { 1 } else { 2 };
    let count = |at: u64, operations: u64| format!("count --in-flight {at} --operations {operations} --workers 0");
    let mut runs = vec![Run::in_process(Ours, 0, "sizes")];
    for at in [1, 64] {
        runs.push(Run::in_process(Ours, at, &count(at, 20_000)).under(Tool::Allocations));
        runs.push(Run::in_process(Ours, at, &count(at, 1_000)).under(Tool::Callgrind));
    }
    for program in [Ours, Frames] {
        runs.push(Run::on_broker(program, 64 + ALONE, &count(64, 10_000)).under(Tool::Allocations));
        runs.push(Run::on_broker(program, 64 + ALONE, &count(64, 1_000)).under(Tool::Callgrind));
        runs.push(Run::on_broker(program, 64 + ALONE, &count(64, 5_000)).under(Tool::Strace));
    }
    Experiment { name: "counters", group: Group::Counters, rounds, runs }
}

fn memory(pace: Pace) -> Experiment {
    let rounds = if pace.quick { 1 } else { 3 };
    let words = "memory --operations 10000";
    let mut runs = vec![Run::in_process(Ours, MEMORY_FAKE, words), Run::on_broker(Ours, MEMORY_RABBIT, words)];
    if !pace.quick {
        runs.push(Run::in_process(Ours, MEMORY_FAKE + ALONE, words).under(Tool::Allocations));
        runs.push(Run::on_broker(Ours, MEMORY_RABBIT + ALONE, words).under(Tool::Allocations));
    }
    Experiment { name: "memory", group: Group::Memory, rounds, runs }
}

/// The brokers of `memory`, in the place of what varies.
pub(crate) const MEMORY_FAKE: u64 = 1;
pub(crate) const MEMORY_RABBIT: u64 = 2;

/// The points of the curves.
pub(crate) const IN_FLIGHT: [u64; 7] = [1, 8, 64, 256, 1_000, 4_000, 10_000];
pub(crate) const PAYLOAD: [u64; 6] = [64, 1 << 10, 1 << 14, 1 << 17, 1 << 20, 1 << 22];
pub(crate) const SERVERS: [u64; 4] = [1, 10, 50, 200];
pub(crate) const BACKLOG: [u64; 3] = [10_000, 100_000, 1_000_000];

fn in_flight(pace: Pace, reply_mode: u8) -> Experiment {
    let pairs = IN_FLIGHT.map(|at| [Ours, Frames].map(|program| call(program, at, pace, reply_mode, "")));
    Experiment { name: "in-flight", group: Group::Growth, rounds: pace.rounds.min(3), runs: pairs.concat() }
}

fn payload(pace: Pace, reply_mode: u8) -> Experiment {
    let run = |program, size| Run { at: size, ..call(program, 4, pace, reply_mode, &format!("--size {size}")) };
    let pairs = PAYLOAD.map(|size| [Ours, Frames].map(|program| run(program, size)));
    Experiment { name: "payload", group: Group::Growth, rounds: pace.rounds.min(3), runs: pairs.concat() }
}

fn servers(pace: Pace, reply_mode: u8) -> Experiment {
    let run = |program, n| Run { at: n, ..call(program, 64, pace, reply_mode, &format!("--servers {n}")) };
    let pairs = SERVERS.map(|n| [Ours, Frames].map(|program| run(program, n)));
    Experiment { name: "servers", group: Group::Growth, rounds: pace.rounds.min(3), runs: pairs.concat() }
}

fn backlog() -> Experiment {
    let run = |total: u64| Run::on_broker(Ours, total, &format!("backlog --in-flight 256 --operations {total}"));
    Experiment { name: "backlog", group: Group::Growth, rounds: 1, runs: BACKLOG.map(run).into() }
}

fn start(pace: Pace) -> Experiment {
    let words = "topics --topics 500 --seconds 0.5 --start";
    let together = Run::on_broker(Ours, TOGETHER, &format!("{words} together"));
    let serial = Run::on_broker(Ours, SERIAL, &format!("{words} serial"));
    Experiment { name: "start", group: Group::Start, rounds: pace.rounds.min(3), runs: vec![together, serial] }
}

/// How the servers of `start` start, in the place of what varies.
pub(crate) const TOGETHER: u64 = 1;
pub(crate) const SERIAL: u64 = 2;

/// The topics of one process: past the 2,047 channels that RabbitMQ grants a connection.
pub(crate) const TOPICS: u64 = 2_000;

/// The last one: its queues stay behind.
fn topics() -> Experiment {
    let run = Run::on_broker(Ours, TOPICS, &format!("topics --topics {TOPICS}"));
    Experiment { name: "topics", group: Group::Growth, rounds: 1, runs: vec![run] }
}
