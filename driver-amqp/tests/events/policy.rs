//! The policies that docs/operations.md shows, on a real node.

use oslo_messaging::ErrorKind;
use oslo_messaging::driver::{Address, Message, PublishOptions, Transport};

use crate::limit::messages;
use testkit::stage::{Stage, soon, until};

const OPERATIONS: &str = include_str!("../../../docs/operations.md");
/// The limit in the lines of that page, and one that a test can reach.
const LIMIT: (&str, u64) = ("100000", 3);

pub(crate) async fn as_documented() {
    let stage = Stage::shared().await;
    let lines: Vec<_> = OPERATIONS.lines().filter(|line| line.starts_with("rabbitmqctl set_policy")).collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    for line in lines {
        let line = line.replace(LIMIT.0, &LIMIT.1.to_string());
        stage
            .control(move |stage| {
                let words = words(&line);
                let mut arguments: Vec<_> = words[1..].iter().map(String::as_str).collect();
                arguments.extend(["--vhost", stage.vhost.as_str()]);
                stage.node.rabbitmqctl(&arguments).expect("a policy");
            })
            .await;
    }
    let transport = stage.connect().await;
    let event =
        Address::Notification { exchange: "openstack".into(), topic: "notifications".into(), priority: "info".into() };
    let dead = Address::Queue { name: "notifications.info.dead".into() };
    let options = || PublishOptions::by(soon());
    for n in 0..5 {
        let message = Message::new(n.to_string());
        transport.publish(&event, message, &options().ensure_queue()).await.expect("the oldest makes room");
    }
    until("the oldest to be dropped", async || messages(&stage, "notifications.info").await == LIMIT.1).await;
    for n in 0..LIMIT.1 {
        transport.publish(&dead, Message::new(n.to_string()), &options()).await.expect("there is room");
    }
    let refused = transport.publish(&dead, Message::new("late"), &options()).await.expect_err("it is full");
    assert_eq!(refused.kind(), ErrorKind::Refused, "{refused}");
    assert_eq!(messages(&stage, "notifications.info.dead").await, LIMIT.1);
    transport.close(soon()).await.expect("it closes");
}

/// The words of a line of a shell, of which those in single quotes are as they are.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut quoted) = (vec![String::new()], false);
    for character in line.chars() {
        match character {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            other => words.last_mut().expect("there is one").push(other),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}
