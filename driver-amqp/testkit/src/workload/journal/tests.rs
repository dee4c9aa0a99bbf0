//! What is written is read again.

use std::path::PathBuf;
use std::time::Duration;

use super::super::record::{
    Begun, Ended, Execution, Failure, Fault, FaultKind, FaultTarget, Kind, Over, Paced, Phase, Queues, Record, Sample,
    Start,
};
use super::{Journal, read};

fn path(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("{name}-{}.jsonl", std::process::id()))
}

/// One of each.
fn records() -> Vec<Record> {
    let (at, redelivered) = (Duration::from_micros(1_234_567), true);
    let failure = Failure { kind: "Timeout".to_owned(), executed: Execution::Maybe, text: "a \"text\"\n".to_owned() };
    let ended = Ended {
        number: 1,
        kind: Kind::Cast,
        phase: Phase::During,
        place: Some((3, 4)),
        begun: at,
        done: at,
        allowed: at,
        failure: None,
    };
    vec![
        Record::Begun(Begun { seed: u64::MAX, seconds: 600, queues: Queues::Quorum }),
        Record::Paced(Paced { workers: 64, capacity: 800, pace: 400 }),
        Record::Ended(Ended {
            place: None,
            failure: Some(failure),
            kind: Kind::Hasty,
            phase: Phase::Afterwards,
            ..ended.clone()
        }),
        Record::Ended(ended),
        Record::MethodStarted(Start { number: 1, server: 1, redelivered, at }),
        Record::EventStarted(Start { number: 2, server: 0, redelivered: false, at }),
        Record::Fault(Fault {
            kind: FaultKind::Cut(FaultTarget::First),
            begun: at,
            over: at,
            closed: at,
            recovered: true,
        }),
        Record::Fault(Fault { kind: FaultKind::CloseAll, begun: at, over: at, closed: at, recovered: false }),
        Record::Sample(Sample { at, memory: 1, threads: 2, descriptors: 3 }),
        Record::Left(7),
        Record::Trouble("ends badly".to_owned()),
        Record::Over(Over { at, attempted: 3 }),
    ]
}

#[test]
fn what_is_written_is_read_again() {
    let path = path("written");
    let (journal, writing) = Journal::begin(&path).expect("a file");
    for record in records() {
        journal.write(record);
    }
    drop(journal);
    writing.finish().expect("it is written");
    let again: Vec<Record> = read(&path).expect("the file").map(|record| record.expect("a record")).collect();
    std::fs::remove_file(&path).expect("it is there");
    assert_eq!(again, records());
}

#[test]
fn a_line_that_was_torn_is_named() {
    let path = path("torn");
    std::fs::write(&path, "{\"left\":7}\n{\"left\"").expect("a file");
    let read: Vec<_> = read(&path).expect("the file").collect();
    std::fs::remove_file(&path).expect("it is there");
    assert!(matches!(read[0], Ok(Record::Left(7))), "{read:?}");
    assert!(read[1].as_ref().is_err_and(|error| error.to_string().starts_with("line 2: ")), "{read:?}");
}

#[test]
fn a_history_of_before_the_names_changed_is_read() {
    let path = path("old");
    let failure = r#"{"kind":"Timeout","executed":"maybe","text":""}"#;
    let ended = format!(r#"{{"ended":{{"number":1,"kind":"call","begun":1,"done":2,"allowed":3,"told":{failure}}}}}"#);
    let fault = r#"{"fault":{"hurt":{"cut":"everybody"},"begun":1,"over":2,"closed":3,"recovered":true}}"#;
    let lines =
        [&ended, fault, r#"{"ran":{"number":1,"server":0,"at":1}}"#, r#"{"heard":{"number":2,"server":0,"at":1}}"#];
    std::fs::write(&path, lines.join("\n")).expect("a file");
    let read: Vec<_> = read(&path).expect("the file").map(|record| record.expect("a record")).collect();
    std::fs::remove_file(&path).expect("it is there");
    assert!(matches!(&read[0], Record::Ended(ended) if ended.failure.is_some()), "{read:?}");
    assert!(matches!(&read[1], Record::Fault(fault) if fault.kind == FaultKind::Cut(FaultTarget::All)), "{read:?}");
    assert!(matches!((&read[2], &read[3]), (Record::MethodStarted(_), Record::EventStarted(_))), "{read:?}");
}
