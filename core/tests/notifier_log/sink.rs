//! Events in the log.

use oslo_messaging::notify::LogSink;
use oslo_messaging::{Context, Notifier, Priority};
use serde_json::{Value, json};
use tracing::Level;

use crate::log::capture;

#[tokio::test]
async fn the_log_has_a_line_of_json_for_each_event_at_the_level_of_its_priority() {
    let (log, _guard) = capture();
    let notifier = Notifier::from_sink("p", LogSink).allow_context(["user"]);
    for priority in Priority::ALL {
        notifier
            .notify(priority, &Context::new().with("user", "bob"), "order.created", &json!({"n": 1}))
            .await
            .unwrap();
    }
    let lines = log.lines();
    let levels: Vec<_> = lines.iter().map(|line| line.level).collect();
    assert_eq!(levels, [Level::INFO, Level::DEBUG, Level::INFO, Level::WARN, Level::ERROR, Level::ERROR, Level::INFO]);
    for (line, priority) in lines.iter().zip(Priority::ALL) {
        assert_eq!(line.target, "oslo_messaging::notification");
        assert_eq!(line.fields, "messaging.event_type=order.created ");
        let mut json: Value = serde_json::from_str(&line.message).unwrap();
        let fields = json.as_object_mut().unwrap();
        assert!(fields.remove("message_id").is_some() && fields.remove("timestamp").is_some());
        let dict = json!({
            "publisher_id": "p",
            "event_type": "order.created",
            "priority": priority.as_upper_case(),
            "payload": {"n": 1},
        });
        assert_eq!(json, dict, "and no context");
    }
}

#[tokio::test]
async fn the_log_shows_no_secret_of_a_payload() {
    let (log, _guard) = capture();
    let payload =
        json!({"user": "alice", "deep": [{"admin_password": "hunter2", "n": 5}], "os_token": {"id": "hunter2"}});
    Notifier::from_sink("p", LogSink).info(&Context::new(), "e", &payload).await.unwrap();
    let line = &log.lines()[0].message;
    assert!(!line.contains("hunter2"), "{line}");
    let json: Value = serde_json::from_str(line).unwrap();
    let masked = json!({"user": "alice", "deep": [{"admin_password": "***", "n": 5}], "os_token": "***"});
    assert_eq!(json["payload"], masked);
}
