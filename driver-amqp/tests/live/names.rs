//! Names of private queues that outlive their process.

use lapin::options::BasicConsumeOptions;
use lapin::types::FieldTable;
use oslo_messaging::ErrorKind;
use oslo_messaging::driver::{Address, Source, Subscription, Transport};
use oslo_messaging_amqp::{AmqpConfig, AmqpTransport};

use crate::traffic::a_hundred;
use testkit::stage::{Stage, back, fanout, publish, refusal, server, soon, subscribe, take, texts, unique, url};

/// A process of its own machine, so that no other test has its names.
struct Process {
    host: String,
    queues: &'static str,
}

impl Process {
    fn each() -> [Self; 2] {
        ["", "&rabbit_quorum_queue=true&rabbit_transient_quorum_queue=true"]
            .map(|queues| Self { host: unique("h"), queues })
    }

    async fn connect(&self, stage: &Stage) -> AmqpTransport {
        self.connect_with(stage, "").await
    }

    /// With more `options`: how long a name is waited for that a predecessor may still have follows from the heartbeat.
    async fn connect_with(&self, stage: &Stage, options: &str) -> AmqpTransport {
        let host = &self.host;
        let query = format!("use_queue_manager=true&hostname={host}&processname=p{options}");
        let config = AmqpConfig::default().with_query(&url(&format!("rabbit://h/?{query}{}", self.queues)));
        stage.connect_with(config.expect("options")).await
    }

    /// The name of the only queue of a kind.
    fn queue(&self, prefix: &str) -> String {
        format!("{prefix}_{}:p:1", self.host)
    }
}

pub(crate) async fn what_was_sent_while_a_process_was_down_is_there_when_it_is_started_again() {
    for process in Process::each() {
        let stage = Stage::shared().await;
        let outside = process.connect(&stage).await;
        let first = process.connect(&stage).await;
        subscribe(&first, &server("again")).await.close(soon()).await.expect("a close");
        first.close(soon()).await.expect("a close");
        publish(&outside, &fanout("again"), "meanwhile").await.expect("a publish");
        let second = process.connect(&stage).await;
        let mut listener = subscribe(&second, &server("again")).await;
        assert_eq!(texts(&take(listener.as_mut(), 1).await), ["meanwhile"]);
        let names = stage.queue_names().await;
        assert_eq!(names, ["again".to_owned(), "again.host-1".into(), process.queue("again_fanout")]);
    }
}

pub(crate) async fn a_name_is_its_reader_s_alone_and_comes_back_after_a_loss() {
    for process in Process::each() {
        let stage = Stage::shared().await;
        let transport = process.connect(&stage).await;
        let mut inbox = subscribe(&transport, &Subscription::new(Source::Inbox)).await;
        let to = Address::Direct { queue: process.queue("reply") };
        assert_eq!(inbox.address(), &to);
        // Only a classic queue can keep others away.
        if process.queues.is_empty() {
            let thief = stage.bare().await.create_channel().await.expect("a channel");
            let options = BasicConsumeOptions::default();
            let stolen = thief.basic_consume(process.queue("reply").into(), "t".into(), options, FieldTable::default());
            assert!(stolen.await.expect_err("it is ours").to_string().contains("in exclusive use"));
        }
        stage.close_connections("a loss").await;
        back(&transport, 1).await;
        assert_eq!(inbox.address(), &to);
        a_hundred(&transport, &to, inbox.as_mut()).await;
    }
}

/// A process on another machine, whose claims ours never meets.
pub(crate) async fn a_name_that_stays_taken_is_an_error_and_its_reader_keeps_its_messages() {
    for process in Process::each() {
        let stage = Stage::shared().await;
        let first = process.connect(&stage).await;
        subscribe(&first, &Subscription::new(Source::Inbox)).await.close(soon()).await.expect("a close");
        let twin = stage.bare().await.create_channel().await.expect("a channel");
        let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
        let name = process.queue("reply");
        let reading = twin.basic_consume(name.clone().into(), "t".into(), options, FieldTable::default());
        let mut reading = reading.await.expect("the name is free");
        let transport = process.connect_with(&stage, "&heartbeat_timeout_threshold=2").await;
        let error = refusal(transport.subscribe(&Subscription::new(Source::Inbox), soon()).await);
        assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Topology, false), "{error}");
        assert!(error.to_string().contains(&name) && error.to_string().contains("processname"), "{error}");
        for number in 0..10 {
            let body = number.to_string();
            publish(&transport, &Address::Direct { queue: name.clone() }, &body).await.expect("a publish");
            let read = futures_util::StreamExt::next(&mut reading).await.expect("not the end").expect("a message");
            assert_eq!(read.data, body.into_bytes());
        }
    }
}
