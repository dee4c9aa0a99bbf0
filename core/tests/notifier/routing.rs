//! Which sinks an event is routed to.

use oslo_messaging::notify::{RecordingSink, Route, RoutingSink};
use oslo_messaging::{Context, ErrorKind, Notifier, Priority};

/// A router to the sinks `one` and `two`, and these.
fn router() -> (RoutingSink, RecordingSink, RecordingSink) {
    let (one, two) = (RecordingSink::new(), RecordingSink::new());
    (RoutingSink::new().sink("one", one.clone()).sink("two", two.clone()), one, two)
}

/// How many times each sink got an event of `event_type`.
async fn routed(
    configure: impl FnOnce(RoutingSink) -> oslo_messaging::Result<RoutingSink>,
    priority: Priority,
    event_type: &str,
) -> (usize, usize) {
    let (sink, one, two) = router();
    let notifier = Notifier::from_sink("p", configure(sink).unwrap());
    notifier.notify(priority, &Context::new(), event_type, &1).await.unwrap();
    (one.recorded().len(), two.recorded().len())
}

fn events(sink: RoutingSink, patterns: &[&str]) -> oslo_messaging::Result<RoutingSink> {
    sink.route("one", Route::all().events(patterns.iter().copied())?)
}

#[tokio::test]
async fn an_event_goes_nowhere_without_a_route_and_everywhere_with_a_route_for_all() {
    assert_eq!(routed(Ok, Priority::Info, "e").await, (0, 0));
    let everything = |sink: RoutingSink| sink.route("one", Route::all())?.route("two", Route::all());
    assert_eq!(routed(everything, Priority::Info, "e").await, (1, 1));
    assert!(!Notifier::from_sink("p", router().0).is_enabled());
    assert!(Notifier::from_sink("p", everything(router().0).unwrap()).is_enabled());
}

#[tokio::test]
async fn an_event_is_routed_by_its_type() {
    for (event_type, expected) in [("foo.bar", 1), ("foo.", 1), ("foo", 0), ("blah.zip", 1), ("blah.zap", 0)] {
        let to = routed(|sink| events(sink, &["foo.*", "blah.zip"]), Priority::Info, event_type).await;
        assert_eq!(to, (expected, 0), "{event_type}");
    }
}

#[tokio::test]
async fn an_event_is_routed_by_its_priority() {
    let urgent = |sink: RoutingSink| sink.route("one", Route::all().priorities([Priority::Error, Priority::Critical]));
    assert_eq!(routed(urgent, Priority::Info, "e").await, (0, 0));
    assert_eq!(routed(urgent, Priority::Error, "e").await, (1, 0));
}

#[tokio::test]
async fn all_checks_of_a_route_must_pass_and_of_several_routes_one() {
    let configure = |sink: RoutingSink| {
        sink.route("one", Route::all().events(["foo.*"])?.priorities([Priority::Info]))?
            .route("one", Route::all().events(["bar.*", "*.all"])?)?
            .route("one", Route::all().events(["*.all"])?)
    };
    for (priority, event_type, expected) in [
        (Priority::Info, "foo.x", 1),
        (Priority::Warn, "foo.x", 0),
        (Priority::Warn, "bar.x", 1),
        (Priority::Info, "foo.all", 1),
        (Priority::Info, "other", 0),
    ] {
        assert_eq!(routed(configure, priority, event_type).await, (expected, 0), "{priority} {event_type}");
    }
}

#[test]
fn a_route_to_a_sink_that_is_not_there_is_refused_with_those_that_are() {
    let error = router().0.route("three", Route::all()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("three") && error.to_string().contains("one, two"), "{error}");
    assert_eq!(Route::all().events(["[z-a]"]).unwrap_err().kind(), ErrorKind::Config);
}

#[cfg(feature = "yaml")]
mod yaml {
    use super::*;

    const FILE: &str = r#"
group_1:
  one:
    accepted_events:
      - foo.*
      - blah.zip
    accepted_priorities: [INFO, "[we]*"]
group_2:
  two:
    accepted_events: ["*.zip"]
  one:
    accepted_priorities:
      - audit
"#;

    #[tokio::test]
    async fn groups_of_the_file_of_the_reference_are_joined() {
        for (priority, event_type, expected) in [
            (Priority::Info, "foo.bar", (1, 0)),
            (Priority::Warn, "foo.bar", (1, 0)),
            (Priority::Error, "blah.zip", (1, 1)),
            (Priority::Debug, "blah.zip", (0, 1)),
            (Priority::Audit, "foo.bar", (1, 0)),
            (Priority::Audit, "other", (1, 0)),
            (Priority::Info, "other", (0, 0)),
        ] {
            let to = routed(|sink| sink.routes_from_yaml(FILE), priority, event_type).await;
            assert_eq!(to, expected, "{priority} {event_type}");
        }
    }

    #[tokio::test]
    async fn an_empty_file_routes_nothing_and_a_driver_without_rules_takes_all() {
        for empty in ["", "# nothing\n", "---\n", "{}"] {
            assert_eq!(routed(|sink| sink.routes_from_yaml(empty), Priority::Info, "e").await, (0, 0), "{empty:?}");
        }
        for all in ["g: {one: {}}", "g:\n  one:\n"] {
            assert_eq!(routed(|sink| sink.routes_from_yaml(all), Priority::Info, "e").await, (1, 0), "{all:?}");
        }
        let none = "g: {one: {accepted_events: []}}";
        assert_eq!(routed(|sink| sink.routes_from_yaml(none), Priority::Info, "e").await, (0, 0));
    }

    #[test]
    fn a_file_that_is_wrong_is_refused_with_the_place() {
        for (file, place, reason) in [
            ("g:\n  three:\n    accepted_events: ['*']\n", "line 2, column 3", "three"),
            ("g:\n  one:\n    accepted_evnts: ['*']\n", "line 3, column 5", "accepted_evnts"),
            ("g:\n  one:\n    accepted_events: foo.*\n", "line 3, column 22", "a list"),
            ("g:\n  one:\n    accepted_events: [7]\n", "line 3, column 23", "text"),
            ("g:\n  one:\n    accepted_events: ['[z-a]']\n", "line 3, column 23", "[z-a]"),
            ("g:\n  one:\n    accepted_priorities: [info, loud]\n", "line 3, column 33", "loud"),
            ("g:\n  one: [x]\n", "line 2, column 8", "mapping"),
            ("g: one\n", "line 1, column 4", "mapping"),
            ("- g\n", "line 1, column 1", "mapping"),
            ("g: {one: {}, one: {}}\n", "line 1", "duplicated"),
            ("g:\n  one: {\n", "line", "YAML"),
            ("{}\n---\n{}\n", "document", "document"),
        ] {
            let error = router().0.routes_from_yaml(file).expect_err(file);
            assert_eq!(error.kind(), ErrorKind::Config, "{file}");
            let shown = error.to_string();
            assert!(shown.contains(place) && shown.contains(reason), "{file}: {shown}");
        }
    }
}
