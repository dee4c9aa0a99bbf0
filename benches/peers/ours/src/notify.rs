//! Events, until the listener has handled them all.

use std::sync::Arc;

use load::{Arguments, Line, Operation};
use oslo_messaging::notify::MessagingSink;
use oslo_messaging::{Context, NotificationListener, Notifier, Target};

use crate::PROGRAM;
use crate::bus::{connect, soon};
use crate::echo::{Echo, Text};

#[derive(Debug, Clone)]
struct Notify {
    notifier: Notifier,
    text: Arc<Text>,
}

impl Operation for Notify {
    async fn run(&self) -> bool {
        self.notifier.info(&Context::new(), "bench.event", &*self.text).await.is_ok()
    }
}

/// Notifies `--operations` times.
pub async fn run(arguments: &Arguments) -> Line {
    let bus = connect(arguments).await;
    let echo = Echo::default();
    let target = Target::topic(arguments.topic());
    let listener = NotificationListener::builder(&bus).target(target).endpoint(echo.events());
    let _listener = listener.start(soon()).await.expect("the listener starts");
    let sink = MessagingSink::new(&bus).topics([arguments.topic()]);
    let notifier = Notifier::from_sink("bench.host", sink);
    let notify = Notify { notifier, text: Arc::new(Text { s: arguments.payload() }) };
    load::consumed(PROGRAM, arguments, &echo.arrivals, 1, notify).await
}
