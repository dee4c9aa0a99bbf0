//! Bytes that stay, and bytes that are needed at once.

use std::convert::Infallible;
use std::sync::Arc;

use oslo_messaging::driver::{Address, Message, PublishOptions, Transport};
use oslo_messaging::wire::{Compression, Format, Notification, Request};
use oslo_messaging::{
    Bus, Context, Endpoint, ErrorKind, Event, NotificationEndpoint, NotificationListener, Payload, Priority, RpcServer,
    Target,
};
use oslo_messaging_fake::FakeBroker;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::{ALLOCATOR, MIB, alone, run, soon};

/// The text of an id of 2 MiB, unlike that of other numbers.
fn id(number: usize) -> String {
    format!("{number:08}{}", "x".repeat(2 * MIB))
}

#[test]
fn ids_of_megabytes_are_not_kept_by_a_server() {
    run(async {
        let broker = FakeBroker::new();
        let bus = Bus::new(broker.transport());
        let (ran_to, mut ran) = unbounded_channel();
        for at_least_once in [false, true] {
            let handler = async |ran: Arc<UnboundedSender<()>>, _: Context, (): ()| {
                ran.send(()).unwrap();
                Ok::<_, Infallible>(())
            };
            let endpoint = Endpoint::new(ran_to.clone()).method("run", handler);
            let server = RpcServer::builder(&bus, Target::topic("shop").server("s")).endpoint(endpoint);
            let server = if at_least_once { server.at_least_once() } else { server };
            let server = server.start(soon()).await.unwrap();
            let stranger = broker.transport();
            let to = Address::Topic { exchange: "openstack".into(), topic: "shop".into() };
            let before = ALLOCATOR.current_usage();
            for number in 0..50 {
                let unique_id = id(number);
                let request = Request::new("run", Payload::arguments(&()).unwrap()).with_unique_id(unique_id);
                let options = PublishOptions::by(soon()).mandatory();
                stranger.publish(&to, Message::new(request.encode()), &options).await.unwrap();
                ran.recv().await.unwrap();
            }
            tokio::task::yield_now().await;
            let kept = ALLOCATOR.current_usage().saturating_sub(before);
            assert!(kept < 8 * MIB, "{kept} bytes are kept, at least once: {at_least_once}");
            server.shutdown(soon()).await.unwrap();
        }
    });
}

#[test]
fn ids_of_megabytes_are_not_kept_by_a_listener() {
    run(async {
        let broker = FakeBroker::new();
        let bus = Bus::new(broker.transport());
        let (seen_to, mut seen) = unbounded_channel();
        let handler = async |seen: Arc<UnboundedSender<()>>, event: Event| {
            // Once given back, once done with: the bookkeeping of both is looked at.
            seen.send(()).unwrap();
            let again = !event.redelivered;
            Ok::<_, Infallible>(if again {
                oslo_messaging::notify::NotificationResult::Requeue
            } else {
                oslo_messaging::notify::NotificationResult::Handled
            })
        };
        let endpoint = NotificationEndpoint::new(seen_to).on(Priority::Info, "*", handler);
        let listener = NotificationListener::builder(&bus).target(Target::topic("notifications")).endpoint(endpoint);
        let listener = listener.start(soon()).await.unwrap();
        let stranger = broker.transport();
        let to = Address::Notification {
            exchange: "openstack".into(),
            topic: "notifications".into(),
            priority: "info".into(),
        };
        let before = ALLOCATOR.current_usage();
        for number in 0..25 {
            let mut event = Notification::new(Payload::null());
            event.priority = Some("INFO".into());
            event.unique_id = id(number);
            let message = Message::new(event.encode(Format::V2));
            stranger.publish(&to, message, &PublishOptions::by(soon()).mandatory()).await.unwrap();
            seen.recv().await.unwrap();
            seen.recv().await.unwrap();
        }
        tokio::task::yield_now().await;
        let kept = ALLOCATOR.current_usage().saturating_sub(before);
        assert!(kept < 8 * MIB, "{kept} bytes are kept");
        listener.shutdown(soon()).await.unwrap();
    });
}

/// How much more memory `work` needs at once than there was before.
fn peak<T>(work: impl FnOnce() -> T) -> (usize, T) {
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    let output = work();
    (ALLOCATOR.peak_usage().saturating_sub(before), output)
}

#[test]
fn a_bomb_takes_no_more_memory_than_the_limit() {
    let _alone = alone();
    for compression in [Compression::Zlib, Compression::Bzip2] {
        let bomb = compression.compress(&vec![0; 12 * MIB]);
        let (peak, outcome) = peak(|| compression.decompress(&bomb, 8 * MIB));
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::TooLarge);
        // Growing takes the old and the new buffer at once.
        assert!(peak <= 20 * MIB, "{compression:?}: {peak} bytes");
    }
}

#[test]
fn a_content_takes_a_few_times_its_length_whatever_is_in_it() {
    let _alone = alone();
    let repeated = "\\\"_context_a\\\":1,".repeat(8 * MIB / 17);
    let brackets = "[".repeat(4 * MIB) + &"]".repeat(4 * MIB);
    let escapes = "\\\\u00e4".repeat(MIB);
    for (name, content) in [
        ("a repeated key", format!("{repeated}\\\"method\\\":\\\"m\\\"")),
        ("nested arrays", format!("\\\"method\\\":\\\"m\\\",\\\"args\\\":{brackets}")),
        ("escapes", format!("\\\"method\\\":\\\"m\\\",\\\"args\\\":{{\\\"a\\\":\\\"{escapes}\\\"}}")),
    ] {
        let body = format!("{{\"oslo.version\":\"2.0\",\"oslo.message\":\"{{{content}}}\"}}");
        let length = body.len();
        let message = Message::new(body);
        let (peak, request) = peak(|| Request::decode(&message));
        assert_eq!(request.unwrap().method, "m", "{name}");
        assert!(peak < 5 * length, "{name}: {peak} bytes for {length}");
    }
}

#[test]
fn many_different_keys_are_refused_before_they_cost_much() {
    let _alone = alone();
    let fields: Vec<_> = (0..500_000).map(|number| format!("\\\"_context_{number}\\\":1,")).collect();
    let fields = fields.concat();
    let body = format!("{{\"oslo.version\":\"2.0\",\"oslo.message\":\"{{{fields}\\\"method\\\":\\\"m\\\"}}\"}}");
    let length = body.len();
    let message = Message::new(body);
    let (peak, request) = peak(|| Request::decode(&message));
    assert_eq!(request.unwrap_err().kind(), ErrorKind::Decode);
    assert!(peak < 5 * length, "{peak} bytes for {length}");
}
