//! A wrong broker costs its own bus and no other, and its client reports it in time.

use std::num::NonZeroUsize;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use oslo_messaging::driver::{Address, Message, PublishOptions, Source, Subscription, Transport};
use oslo_messaging::{Deadline, State};
use oslo_messaging_amqp::{AmqpConfig, AmqpTransport};
use tokio::time::Instant;

use crate::misbehaviour::{Misbehaviour, after_login, before_login};
use crate::victim::{Victim, shortly};
use crate::wrong_broker::WrongBroker;
use testkit::stage::{SLACK, Stage, url};

/// How many wrong brokers one process meets at once.
const AT_ONCE: usize = 6;
/// How long what comes from a wrong broker is listened to.
const LISTEN: Duration = Duration::from_secs(1);

pub(crate) async fn before_a_login_is_reported_in_time_and_costs_no_other_bus() {
    let ways = before_login();
    assert!(ways.len() >= 30, "{}", ways.len());
    meet(ways).await;
}

pub(crate) async fn after_a_login_is_reported_in_time_and_costs_no_other_bus() {
    let ways = after_login();
    assert!(ways.len() >= 30, "{}", ways.len());
    meet(ways).await;
}

/// Meets each wrong broker while a service on a sound one is asked.
async fn meet(ways: Vec<Misbehaviour>) {
    let stage = Stage::shared().await;
    let victim = Victim::on(&stage).await;
    let attack = stream::iter(ways).map(try_one).buffer_unordered(AT_ONCE).collect::<Vec<_>>();
    let (outcomes, probes) = victim.during(Box::pin(attack)).await;
    let faults: Vec<_> = outcomes.into_iter().flatten().collect();
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    Victim::judge(probes);
    victim.end().await;
}

/// Everything that a client does with a broker, and what was wrong with how that went.
async fn try_one(way: Misbehaviour) -> Vec<String> {
    let broker = WrongBroker::start(way.when, way.what.clone()).await;
    let mut meeting = Meeting { host: broker.host(), name: way.name, reports: Vec::new(), faults: Vec::new() };
    let config = AmqpConfig::default().with_connect_timeout(Duration::from_secs(2));
    let by = shortly();
    let url = url(&broker.url());
    let connecting = AmqpTransport::connect(&url, config, by);
    let connected = meeting.ends_by("connect", by, connecting).await;
    match (connected, way.connecting) {
        (Some(Err(error)), expected) => {
            let text = error.to_string();
            if let Some(kind) = expected.filter(|kind| *kind != error.kind()) {
                meeting.fault(&format!("connecting is {:?}, not {kind:?}: {text}", error.kind()));
            }
        }
        (Some(Ok(_)), Some(kind)) => meeting.fault(&format!("connecting works, and is not {kind:?}")),
        (Some(Ok(transport)), None) => meeting.use_it(&transport).await,
        (None, _) => {}
    }
    meeting.judge_reports();
    meeting.faults
}

struct Meeting {
    host: String,
    name: &'static str,
    /// What a user sees: errors, and the reasons in health.
    reports: Vec<String>,
    faults: Vec<String>,
}

impl Meeting {
    fn fault(&mut self, text: &str) {
        self.faults.push(format!("{}: {text}", self.name));
    }

    /// The outcome of what must have ended by a deadline.
    async fn ends_by<T>(
        &mut self,
        what: &str,
        deadline: Deadline,
        doing: impl Future<Output = oslo_messaging::Result<T>>,
    ) -> Option<oslo_messaging::Result<T>> {
        let began = Instant::now();
        let outcome = tokio::time::timeout(deadline.remaining() + SLACK, doing).await;
        let Ok(outcome) = outcome else {
            self.fault(&format!("{what} has not ended {:?} after it began", began.elapsed()));
            return None;
        };
        if let Err(error) = &outcome {
            self.reports.push(format!("{what}: {error}"));
        }
        Some(outcome)
    }

    /// Listens to one queue and then as a server, looks, publishes to a queue and an exchange, and closes.
    async fn use_it(&mut self, transport: &AmqpTransport) {
        let (exchange, topic) = (String::from("openstack"), String::from("hostile"));
        let server = Source::Server { exchange: exchange.clone(), topic: topic.clone(), server: "one".into() };
        self.listen(transport, Source::Queue { name: topic.clone() }).await;
        self.listen(transport, server).await;
        for to in [Address::Direct { queue: topic.clone() }, Address::Topic { exchange, topic }] {
            let by = shortly();
            let options = PublishOptions::by(by).mandatory();
            self.ends_by("publish", by, transport.publish(&to, Message::new("{}"), &options)).await;
        }
        if let State::Lost { reason } = &transport.health().borrow().state {
            self.reports.push(format!("health: {reason}"));
        }
        let by = shortly();
        self.ends_by("close", by, transport.close(by)).await;
    }

    async fn listen(&mut self, transport: &AmqpTransport, source: Source) {
        let by = shortly();
        let subscription = Subscription::new(source);
        if let Some(Ok(mut listener)) = self.ends_by("subscribe", by, transport.subscribe(&subscription, by)).await {
            let polled = tokio::time::timeout(LISTEN, listener.poll(NonZeroUsize::MIN)).await;
            if let Ok(Err(error)) = polled {
                self.reports.push(format!("poll: {error}"));
            }
            let by = shortly();
            self.ends_by("close the listener", by, listener.close(by)).await;
        }
    }

    /// Each report names the host, and repeats nothing raw of the wire.
    fn judge_reports(&mut self) {
        for report in std::mem::take(&mut self.reports) {
            if !report.contains(&self.host) {
                self.fault(&format!("a report does not name the host {}: {report}", self.host));
            }
            if report.chars().any(char::is_control) {
                self.fault(&format!("a report has control characters: {report:?}"));
            }
        }
    }
}
