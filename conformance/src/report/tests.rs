use std::fs;

use super::files::write_to;
use super::*;

/// Took a quarter of a second.
fn case(case: &str, ended: Ended) -> CaseRun {
    CaseRun::new(case, ended, 0.25)
}

/// Forty programs from seed 7, played by this library.
fn programs(kind: &str, ended: Ended) -> Part {
    Part::Programs(ProgramRun {
        kind: kind.to_owned(),
        actors: "Rust".to_owned(),
        seed: 7,
        programs: 40,
        steps: 512,
        rules: 18,
        seconds: 1.5,
        excused: vec![],
        ended,
    })
}

/// Its case caught it. `programs` is `None` if no program broke its rule.
fn flaw(flaw: &str, rule: &str, programs: Option<u64>) -> FlawRun {
    let (case, rule) = ("settle::an_acknowledged_message_is_gone".to_owned(), rule.to_owned());
    FlawRun { flaw: flaw.to_owned(), case, case_caught: true, rule, programs }
}

/// Two drivers; the second fails at one thing, leaves out another and has a case of its own.
fn records() -> Records {
    let rabbit = vec![
        case("settle::a_rejected_message_is_gone", Ended::Passed),
        case("address::a_topic_reaches_one_of_its_servers", Ended::Passed),
        case("notify_pool::new", Ended::Passed),
    ];
    let hub = vec![
        case("address::a_topic_reaches_one_of_its_servers", Ended::Failed("got <2> & \"3\"".to_owned())),
        case("settle::a_rejected_message_is_gone", Ended::Ignored("the driver lacks Requeue".to_owned())),
    ];
    let flaws = vec![flaw("FanoutLost", "rpc::a", Some(3)), flaw("A", "rpc::a", Some(1)), flaw("B", "rpc::b", None)];
    [
        Record::new("rabbit", Part::Cases(rabbit)),
        Record::new("rabbit", programs("rpc", Ended::Passed)),
        Record::new("hub", Part::Cases(hub)),
        Record::new("hub", programs("rpc", Ended::Failed("Program::new()".to_owned()))),
        Record::new("hub", programs("delivery", Ended::Ignored("no bus".to_owned()))),
        Record::new("hub", Part::Flaws(flaws)),
    ]
    .into_iter()
    .collect()
}

/// The unknown case is listed last, and counts.
#[test]
fn the_table_has_a_row_for_each_group_and_a_column_for_each_driver() {
    let table = "\
|  | `hub` | `rabbit` |
|---|---|---|
| `address` | 1 FAILED | 1 |
| `settle` | 1 not run | 1 |
| `notify_pool` | – | 1 |
| **all cases** | **1 FAILED, 1 not run** | **3** |
| generated programs: rpc, Rust | FAILED after 40 | 40 |
| generated programs: delivery, Rust | not run | – |
| flaws that their case catches | 3 of 3 | – |
| flaws that their rule catches | 2 of 3 | – |
";
    assert_eq!(records().markdown(), table);
}

/// The note and the failure contain characters that HTML must escape.
#[test]
fn the_page_says_how_everything_ended_and_why() {
    let page = records().html("every test <here>");
    for part in [
        "<p>every test &lt;here&gt;</p>",
        "<h3>hub</h3><div class=\"failed\">1 cases failed</div><div class=\"ignored\">1 cases ignored</div>",
        "<div class=\"failed\">2 of 3 flaws caught</div>",
        "<pre>got &lt;2&gt; &amp; &quot;3&quot;</pre>",
        "<pre>Program::new()</pre>",
        "title=\"the driver lacks Requeue\">not run</td><td class=\"cell passed\">✓ <small>0.25 s</small></td></tr>",
        "<td>rabbit</td><td>rpc</td><td>Rust</td><td>40</td><td>512</td><td>18</td><td>7</td><td>1.5</td><td></td>",
        "<td class=\"failed\"><code>rpc::b</code></td><td class=\"failed\">never</td>",
    ] {
        assert!(page.contains(part), "{part} is not in\n{page}");
    }
    assert!(!page.contains("http") && !page.contains("<script"), "the page needs nothing else");
}

/// Either of two divergences may be the cause, and the page names both.
#[test]
fn the_page_says_what_the_reference_was_excused_from() {
    let mut part = programs("rpc", Ended::Passed);
    let Part::Programs(run) = &mut part else { unreachable!("it is made so") };
    let by = vec!["reference::a".to_owned(), "reference::b".to_owned()];
    run.excused.push(Excused { rule: "rpc::order".to_owned(), by, times: 3 });
    let page = Records::from_iter([Record::new("rabbit", part)]).html("");
    let excuse =
        "<td>3 times from <code>rpc::order</code> by <code>reference::a</code> or <code>reference::b</code></td>";
    assert!(page.contains(excuse), "{page}");
}

/// Counts the tags of each element. It would not notice a wrong nesting.
#[test]
fn every_element_of_the_page_is_closed() {
    let page = records().html("");
    for name in ["html", "head", "body", "div", "table", "thead", "tbody", "tr", "th", "td", "code", "pre", "p", "h3"] {
        let opened = page.matches(&format!("<{name}>")).count() + page.matches(&format!("<{name} ")).count();
        assert_eq!(opened, page.matches(&format!("</{name}>")).count(), "{name}");
        assert!(opened > 0, "{name}");
    }
}

/// The case and the programs that did not run are not listed.
#[test]
fn what_failed_and_what_got_away_is_an_objection() {
    let objections = [
        "hub: address::a_topic_reaches_one_of_its_servers failed",
        "hub: a program of kind rpc failed",
        "hub: B got away",
    ];
    assert_eq!(records().objections(), objections);
}

/// Files that are not JSON are ignored; a JSON file that is no record is an error with its name.
#[test]
fn records_read_back_from_their_files() {
    let directory = std::env::temp_dir().join(format!("report-{}", uuid::Uuid::new_v4()));
    assert_eq!(Records::read(&directory).unwrap(), Records::default());
    records().0.iter().for_each(|record| write_to(&directory, record).unwrap());
    fs::write(directory.join("index.html"), "no record").unwrap();
    let read = Records::read(&directory).unwrap();
    assert_eq!(read.0.len(), records().0.len());
    assert!(records().0.iter().all(|record| read.0.contains(record)));
    fs::write(directory.join("bad.json"), "{}").unwrap();
    assert!(Records::read(&directory).unwrap_err().to_string().contains("bad.json"));
    fs::remove_dir_all(&directory).unwrap();
}

/// A second run must not change the text. Missing, repeated or swapped marks are refused.
#[test]
fn the_table_goes_between_its_marks_and_nowhere_else() {
    let text = "a\n<!-- conformance -->\nold\n<!-- /conformance -->\nb\n";
    let new = "a\n<!-- conformance -->\n\n| new |\n\n<!-- /conformance -->\nb\n";
    assert_eq!(embed(text, "| new |\n").unwrap(), new);
    assert_eq!(embed(new, "| new |\n").unwrap(), new);
    assert_eq!(embed("a\n", "| new |\n"), None);
    assert_eq!(embed("<!-- /conformance -->\n<!-- conformance -->\n", "| new |\n"), None);
    assert_eq!(embed(&format!("{text}{text}"), "| new |\n"), None);
}
