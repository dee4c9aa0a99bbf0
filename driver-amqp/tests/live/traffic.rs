//! A publisher and a consumer that go on through faults, and what must hold of them afterwards.

use std::sync::Arc;
use std::time::Duration;

use oslo_messaging::driver::{Address, Listener, Message, PublishOptions, Settle, Source, Subscription, Transport};
use oslo_messaging::{Deadline, Error, ErrorKind, Executed, State};
use oslo_messaging_amqp::{AmqpConfig, AmqpTransport};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use testkit::stage::{
    ARRIVE, Stage, all, back, options, publish, server, soon, subscribe, take, text, texts, topic, within,
};

/// Longer than any fault of these tests, and its repair.
const PATIENCE: Duration = Duration::from_secs(90);
/// The message after which nothing comes.
const END: &str = "end";

/// A server-like reader and a publisher at work, an inbox that is not polled, and what the broker had of them before.
pub(crate) struct Traffic {
    pub(crate) transport: Arc<AmqpTransport>,
    stage: Stage,
    inbox: Box<dyn Listener>,
    queues: Vec<String>,
    stop: CancellationToken,
    publishing: JoinHandle<Vec<String>>,
    reading: JoinHandle<(Vec<String>, Box<dyn Listener>)>,
}

impl Traffic {
    pub(crate) async fn start(stage: &Stage, config: AmqpConfig, settle: Settle) -> Self {
        let transport = Arc::new(stage.connect_with(config).await);
        let listener = subscribe(&transport, &server("traffic").with_settle(settle)).await;
        let inbox = subscribe(&transport, &Subscription::new(Source::Inbox)).await;
        let stop = CancellationToken::new();
        let publishing = tokio::spawn(keep_publishing(Arc::clone(&transport), stop.clone()));
        let reading = tokio::spawn(keep_reading(listener));
        let mut traffic = Self {
            queues: stage.queue_names().await,
            stage: stage.clone(),
            transport,
            inbox,
            stop,
            publishing,
            reading,
        };
        traffic.flows().await;
        traffic
    }

    /// Waits until something has been confirmed.
    async fn flows(&mut self) {
        let confirmed = self.transport.counters().confirms;
        testkit::stage::until("traffic", async || self.transport.counters().confirms > confirmed + 10).await;
    }

    /// Waits until the loss is noticed, and returns its reason.
    pub(crate) async fn lost(&mut self) -> String {
        let mut health = self.transport.health();
        let lost = health.wait_for(|health| matches!(health.state, State::Lost { .. }));
        let health = within(ARRIVE, "noticing the loss", lost).await.expect("a state");
        let State::Lost { reason } = &health.state else { panic!("{health:?}") };
        reason.clone()
    }

    /// Publishes once, and waits for as long as the fault lasts.
    pub(crate) fn patient_publish(&self) -> JoinHandle<oslo_messaging::Result<()>> {
        let transport = Arc::clone(&self.transport);
        let options = PublishOptions::by(Deadline::after(PATIENCE)).mandatory();
        tokio::spawn(async move { transport.publish(&topic("traffic"), Message::new("patient"), &options).await })
    }

    /// Everything works again after the fault: what was confirmed arrived, the private queues have their names, and a
    /// hundred messages in a row come and go.
    pub(crate) async fn survived(mut self) {
        back(&self.transport, 1).await;
        self.flows().await;
        self.stop.cancel();
        let confirmed = within(PATIENCE, "the publisher", self.publishing).await.expect("no panic");
        publish(&self.transport, &topic("traffic"), END).await.expect("a publish");
        let (arrived, mut listener) = within(ARRIVE, "the reader", self.reading).await.expect("no panic");
        let lost: Vec<_> = confirmed.iter().filter(|body| !arrived.contains(body)).collect();
        assert!(lost.is_empty(), "confirmed and lost: {lost:?} of {}", confirmed.len());
        assert_eq!(self.stage.queue_names().await, self.queues, "the same queues under the same names");
        a_hundred(&self.transport, &topic("traffic"), listener.as_mut()).await;
        let inbox = self.inbox.address().clone();
        a_hundred(&self.transport, &inbox, self.inbox.as_mut()).await;
        for listener in [listener, self.inbox] {
            listener.close(soon()).await.expect("the broker answers");
        }
        self.transport.close(soon()).await.expect("the broker answers");
    }
}

/// A hundred publishes in a row succeed, and a hundred deliveries.
pub(crate) async fn a_hundred(transport: &AmqpTransport, to: &Address, listener: &mut dyn Listener) {
    let bodies: Vec<String> = (0..100).map(|number| format!("in a row {number:02}")).collect();
    for body in &bodies {
        let options = options().mandatory();
        transport.publish(to, Message::new(body.clone()), &options).await.expect("a publish");
    }
    let mut arrived = Vec::new();
    while arrived.len() < bodies.len() {
        let messages = take(listener, 1).await;
        arrived.extend(texts(&messages).into_iter().filter(|body| body.starts_with("in a row")));
        for message in messages {
            message.acknowledge().await.expect("an acknowledgement");
        }
    }
    assert_eq!(arrived, bodies);
}

/// Publishes one after the other; the error of a lost publish says whether it may have been executed.
async fn keep_publishing(transport: Arc<AmqpTransport>, stop: CancellationToken) -> Vec<String> {
    let mut confirmed = Vec::new();
    for number in 0.. {
        if stop.is_cancelled() {
            break;
        }
        let body = format!("{number:06}");
        let options = PublishOptions::by(Deadline::after(PATIENCE));
        match transport.publish(&topic("traffic"), Message::new(body.clone()), &options).await {
            Ok(()) => confirmed.push(body),
            Err(error) => in_doubt(&error),
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    confirmed
}

/// A publish that fails through a fault was sent, and its error says so.
fn in_doubt(error: &Error) {
    let outcome = (error.kind(), error.executed(), error.is_transient());
    assert_eq!(outcome, (ErrorKind::Disconnected, Executed::Maybe, true), "{error}");
}

/// Reads until the last message; a message that cannot be acknowledged comes again.
async fn keep_reading(mut listener: Box<dyn Listener>) -> (Vec<String>, Box<dyn Listener>) {
    let mut arrived = Vec::new();
    loop {
        let messages = listener.poll(all()).await.expect("no fault surfaces").expect("it was not stopped");
        for message in messages {
            let body = text(message.as_ref());
            match message.acknowledge().await {
                Err(error) => assert_eq!(error.kind(), ErrorKind::Disconnected, "{error}"),
                Ok(()) if body == END => return (arrived, listener),
                Ok(()) => {}
            }
            arrived.push(body);
        }
    }
}
