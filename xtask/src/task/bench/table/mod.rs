//! The targets. A ratio compares programs of the same rounds; a row that was not measured is left out.

pub(crate) mod finding;
pub(crate) mod row;

use super::plan::program::Program::{self, Careless, Frames, Ours, Python, Ruststream, Straight, Tarpc, TarpcChannel};
use super::plan::{
    ALL, ALONE, BACKLOG, CASTS, EVENTS, FANOUT, IN_FLIGHT, MEMORY_FAKE, MEMORY_RABBIT, PAYLOAD, PYTHON_THREADS, SERIAL,
    SERVERS, TOGETHER, TOPICS, WITHOUT,
};
use super::run::samples::Reading;
use row::Target::{AtLeast, AtMost, Shown};
use row::{Row, Unit};

/// Throughput, or work done a second.
const RATE: &str = "per_second";

/// The CPU time of the program for each operation.
const CPU: &str = "process_cpu_us";

/// Every row of the table, in its order.
pub(crate) fn all() -> Vec<Row> {
    [calls(), casts(), python(), fake(), counters(), memory(), growth(), start(), conformance()].concat()
}

fn ours(experiment: &'static str, at: u64, figure: &'static str) -> Reading {
    Reading { experiment, program: Ours, at, figure }
}

fn calls() -> Vec<Row> {
    let mut rows = Vec::new();
    let peers = [(Frames, AtLeast(0.95)), (Straight, AtLeast(1.3)), (Ruststream, AtLeast(1.0)), (Careless, Shown)];
    for at in [64, 256] {
        let work = format!("calls a second, {at} in flight");
        rows.extend(peers.map(|(peer, target)| Row::ratio(&work, ours("calls", at, RATE), peer, target)));
        rows.push(Row::figure(&work, ours("calls", at, RATE), Shown, Unit::Rate));
    }
    let against = format!("oslo.messaging with {PYTHON_THREADS} threads");
    let best = Reading { program: Python, ..ours("calls", 64, RATE) };
    rows.push(Row::between("calls a second, 256 in flight", &against, ours("calls", 256, RATE), best, AtLeast(15.0)));
    let python =
        Row { against, ..Row::ratio("calls a second, 64 in flight", ours("calls", 64, RATE), Python, AtLeast(15.0)) };
    rows.push(python);
    for (peer, target) in [(Frames, AtMost(1.05)), (Python, AtMost(0.3)), (Ruststream, Shown), (Straight, Shown)] {
        rows.push(Row::ratio("median latency, 1 in flight", ours("calls", 1, "p50_us"), peer, target));
    }
    for (at, guarantee, _) in WITHOUT {
        let of = |at| Reading { experiment: "guarantees", program: Frames, at, figure: RATE };
        let against = format!("the same without {guarantee}");
        rows.push(Row::between("calls a second of lapin with every guarantee", &against, of(ALL), of(at), Shown));
    }
    for (figure, of) in [(CPU, "program"), ("broker_cpu_us", "broker")] {
        let work = format!("CPU time of the {of} a call, 64 in flight");
        rows.push(Row::ratio(&work, ours("calls", 64, figure), Frames, Shown));
    }
    rows
}

fn casts() -> Vec<Row> {
    let row = |work, at, peer, target| Row::ratio(work, ours("casts", at, RATE), peer, target);
    vec![
        row("casts a second, 64 in flight, confirmed and run", CASTS, Frames, AtLeast(0.95)),
        row("casts a second, 64 in flight, confirmed and run", CASTS, Python, AtLeast(8.0)),
        row("events a second, 64 in flight, confirmed and handled", EVENTS, Frames, AtLeast(0.95)),
        row("fanouts a second to 50 servers of a process", FANOUT, Frames, AtLeast(1.0)),
    ]
}

fn python() -> Vec<Row> {
    let clients = |figure| Reading { experiment: "python", program: Python, at: PYTHON_THREADS, figure };
    let client = |figure| ours("python", 64, figure);
    let row = |work, of, to| Row::between(work, "oslo.messaging, its CPU time", of, to, AtMost(0.15));
    vec![
        row("CPU time of a server under 8 clients in Python", clients("server_cpu_us"), clients(CPU)),
        row("CPU time of a client of a server in Python, 64 in flight", client(CPU), client("server_cpu_us")),
    ]
}

fn fake() -> Vec<Row> {
    let mut rows = Vec::new();
    for (at, work) in [
        (1, "calls a second in memory, 1 in flight"),
        (64, "calls a second in memory, 64 in flight"),
        (64 + ALONE, "calls a second in memory, 64 in flight, one thread"),
    ] {
        rows.push(Row::ratio(work, ours("fake", at, RATE), Tarpc, AtLeast(1.3)));
        rows.push(Row::ratio(work, ours("fake", at, RATE), Ruststream, Shown));
        rows.push(Row::ratio(work, ours("fake", at, RATE), TarpcChannel, Shown));
    }
    rows
}

fn counters() -> Vec<Row> {
    let rabbit = 64 + ALONE;
    let of = |program: Program, at, figure| Reading { experiment: "counters", program, at, figure };
    let row = Row::figure;
    vec![
        row("instructions a call in memory, 64 in flight", of(Ours, 64, "instructions"), AtMost(50_000.0), Unit::Count),
        row("instructions a call in memory, 1 in flight", of(Ours, 1, "instructions"), Shown, Unit::Count),
        row("allocations a call in memory, 64 in flight", of(Ours, 64, "allocations"), AtMost(35.0), Unit::Count),
        row("bytes allocated a call in memory, 64 in flight", of(Ours, 64, "allocated_bytes"), Shown, Unit::Bytes),
        row("instructions a call on RabbitMQ, 64 in flight", of(Ours, rabbit, "instructions"), Shown, Unit::Count),
        row("the same of lapin, same frames", of(Frames, rabbit, "instructions"), Shown, Unit::Count),
        row(
            "allocations a call on RabbitMQ, 64 in flight",
            of(Ours, rabbit, "allocations"),
            AtMost(120.0),
            Unit::Count,
        ),
        row("the same of lapin, same frames", of(Frames, rabbit, "allocations"), Shown, Unit::Count),
        row(
            "bytes allocated a call on RabbitMQ, 64 in flight",
            of(Ours, rabbit, "allocated_bytes"),
            Shown,
            Unit::Bytes,
        ),
        row("system calls a call on RabbitMQ, 64 in flight", of(Ours, rabbit, "system_calls"), Shown, Unit::Count),
        row("the same of lapin, same frames", of(Frames, rabbit, "system_calls"), Shown, Unit::Count),
        row("bytes of the future of a call", of(Ours, 0, "call_future_bytes"), Shown, Unit::Bytes),
        row("bytes of the future of a cast", of(Ours, 0, "cast_future_bytes"), Shown, Unit::Bytes),
        row("bytes of the future of a notification", of(Ours, 0, "notify_future_bytes"), Shown, Unit::Bytes),
    ]
}

fn memory() -> Vec<Row> {
    let mut rows = Vec::new();
    for (at, on) in [(MEMORY_FAKE, "in memory"), (MEMORY_RABBIT, "on RabbitMQ")] {
        let row = |work: &str, figure, target, unit| {
            Row::figure(&format!("{work} {on}, 10,000 in flight"), ours("memory", at, figure), target, unit)
        };
        rows.push(row(
            "bytes of a waiting call beyond its payload",
            "waiting_bytes_each",
            AtMost(4_096.0),
            Unit::Bytes,
        ));
        let live = ours("memory", at + ALONE, "live_bytes_each");
        let work = format!("bytes of the heap for a waiting call {on}, 10,000 in flight");
        rows.push(Row::figure(&work, live, Shown, Unit::Bytes));
        rows.push(row("bytes of a call beyond its payload at the peak", "peak_bytes_each", Shown, Unit::Bytes));
        rows.push(row("resident memory before", "resident_before", Shown, Unit::Bytes));
        rows.push(row("resident memory at the peak", "resident_peak", Shown, Unit::Bytes));
        rows.push(row("resident memory kept afterwards", "kept_bytes", AtMost(20e6), Unit::Bytes));
    }
    rows
}

fn growth() -> Vec<Row> {
    // The figure of an experiment at one place against that at another.
    let row = |work, against, (experiment, figure), (of, to), target| {
        Row::between(work, against, ours(experiment, of, figure), ours(experiment, to, figure), target)
    };
    let [.., most] = IN_FLIGHT;
    let [few_servers, .., many_servers] = SERVERS;
    let in_flight = "256 in flight";
    let mut rows = vec![
        row("calls a second, 10,000 in flight", in_flight, ("in-flight", RATE), (most, 256), AtLeast(0.9)),
        row("CPU time a call, 10,000 in flight", in_flight, ("in-flight", CPU), (most, 256), AtMost(1.1)),
        row(
            "CPU time a call, 200 servers at a topic",
            "1 server",
            ("servers", CPU),
            (many_servers, few_servers),
            AtMost(1.2),
        ),
    ];
    for size in PAYLOAD {
        let target = if size >= 1 << 17 { AtMost(1.2) } else { Shown };
        let work = format!("CPU time a call, payload of {}", bytes(size));
        rows.push(Row::ratio(&work, ours("payload", size, CPU), Frames, target));
    }
    let [few, .., many] = BACKLOG;
    let work = format!("requests a second from a backlog of {}", Unit::Count.show(1e6));
    let against = format!("a backlog of {}", Unit::Count.show(1e4));
    rows.push(row(&work, &against, ("backlog", RATE), (many, few), AtLeast(0.8)));
    #[expect(clippy::cast_precision_loss, reason = "some thousands")]
    let every = AtLeast(TOPICS as f64);
    let of_topics = |work, figure, target, unit| Row::figure(work, ours("topics", TOPICS, figure), target, unit);
    rows.extend([
        of_topics("servers that start of 2,000 with a topic each in a process", "servers", every, Unit::Count),
        of_topics("memory of a server, 2,000 topics in a process", "resident_bytes_each", Shown, Unit::Bytes),
        of_topics("share of a core while 2,000 servers idle", "idle_cpu_share", Shown, Unit::Ratio),
        of_topics("calls a second over 2,000 topics, 64 in flight", RATE, Shown, Unit::Rate),
        of_topics("start of 2,000 servers", "start_seconds", Shown, Unit::Seconds),
    ]);
    rows
}

fn start() -> Vec<Row> {
    let row = |work, at, target| Row::figure(work, ours("start", at, "start_seconds"), target, Unit::Seconds);
    vec![
        row("start of 500 servers at once", TOGETHER, AtMost(2.0)),
        row("start of 500 servers, one after the other", SERIAL, Shown),
    ]
}

fn conformance() -> Vec<Row> {
    let of = ours("conformance", 0, "case_milliseconds");
    vec![Row::figure("a case of the conformance suite in memory, median", of, AtMost(5.0), Unit::Milliseconds)]
}

fn bytes(size: u64) -> String {
    match size {
        0..1_024 => format!("{size} B"),
        1_024..1_048_576 => format!("{} KiB", size >> 10),
        _ => format!("{} MiB", size >> 20),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_rows_have_an_id_in_common() {
        let rows = all();
        let ids: HashSet<&str> = rows.iter().map(|row| row.id.as_str()).collect();
        assert_eq!(ids.len(), rows.len());
    }

    #[test]
    fn a_size_is_written_in_its_binary_unit() {
        assert_eq!([64, 1 << 10, 1 << 17, 1 << 22].map(bytes), ["64 B", "1 KiB", "128 KiB", "4 MiB"]);
    }
}
