//! Every message of the reference is read as it was meant, and written again as it was.

use oslo_messaging::driver::Message;
use oslo_messaging::wire::{Envelope, Format, Notification, Reply, Request};
use oslo_messaging::{Failure, Payload};
use serde_json::json;

use crate::corpus::{content, normal, vectors};
use crate::expected::{ALICE, FAILURES, NOTIFICATIONS, REPLIES, REPLY_Q, REQUESTS, Values};

fn published(index: usize) -> Message {
    vectors().swap_remove(index).message
}

fn values(context: &[(String, Payload)]) -> Vec<(&str, String)> {
    context.iter().map(|(name, value)| (name.as_str(), normal(value.as_str()))).collect()
}

fn expected(context: Values) -> Vec<(&'static str, String)> {
    context.iter().map(|(name, value)| (*name, normal(value))).collect()
}

#[test]
fn every_message_of_the_reference_has_its_expectation() {
    let kinds = |wanted: &[&str]| {
        let vectors = vectors();
        let of_kind = vectors.iter().enumerate().filter(|(_, vector)| wanted.contains(&vector.kind.as_str()));
        of_kind.map(|(index, _)| index).collect::<Vec<_>>()
    };
    assert_eq!(vectors().len(), 48);
    assert_eq!(REQUESTS.iter().map(|row| row.0).collect::<Vec<_>>(), kinds(&["call", "cast"]));
    assert_eq!(REPLIES.iter().map(|row| row.0).collect::<Vec<_>>(), kinds(&["reply", "heartbeat"]));
    assert_eq!(NOTIFICATIONS.iter().map(|row| row.0).collect::<Vec<_>>(), kinds(&["notification"]));
}

#[test]
fn requests_of_the_reference_are_read_as_it_meant_them() {
    for &(index, method, args, namespace, version, msg_id, reply_q, monitor, unique_id, context) in REQUESTS {
        let request = Request::decode(&published(index)).unwrap();
        assert_eq!(request.method, method, "{index}");
        assert_eq!(normal(request.args.as_str()), normal(args), "{index}");
        assert_eq!(request.namespace.as_deref().unwrap_or_default(), namespace, "{index}");
        assert_eq!(request.version.as_deref().unwrap_or_default(), version, "{index}");
        let call = request.call.as_ref().map(|call| (call.msg_id.as_str(), call.reply_q.as_str(), call.monitor));
        assert_eq!(call, (!msg_id.is_empty()).then_some((msg_id, reply_q, monitor)), "{index}");
        assert_eq!(request.unique_id, unique_id, "{index}");
        assert_eq!(request.deadline, None, "{index}");
        assert_eq!(values(&request.context), expected(context), "{index}");
    }
}

#[test]
fn replies_and_heartbeats_of_the_reference_are_read_as_it_meant_them() {
    for &(index, result, ending, msg_id, unique_id) in REPLIES {
        let reply = Reply::decode(&published(index)).unwrap();
        assert_eq!(normal(reply.result.as_str()), normal(result), "{index}");
        assert_eq!(reply.ending, ending, "{index}");
        assert_eq!(reply.is_heartbeat(), !ending, "{index}");
        assert_eq!(reply.msg_id, msg_id, "{index}");
        assert_eq!(reply.unique_id, unique_id, "{index}");
        assert_eq!(reply.failure.is_some(), FAILURES.iter().any(|row| row.0 == index), "{index}");
    }
}

#[test]
fn failures_of_the_reference_are_read_as_it_meant_them() {
    for &(index, module, class, message, args, kwargs, lines) in FAILURES {
        let failure = Reply::decode(&published(index)).unwrap().failure.unwrap();
        assert_eq!((failure.module(), failure.class(), failure.message()), (module, class, message));
        assert_eq!(normal(failure.args().as_str()), normal(args), "{index}");
        assert_eq!(normal(failure.kwargs().as_str()), normal(kwargs), "{index}");
        assert_eq!(failure.traceback().len(), lines, "{index}");
        assert_eq!(failure.traceback()[0], "Traceback (most recent call last):\n", "{index}");
        let shown = if module == "builtins" { format!("{class}: {message}\n") } else { format!("{failure}\n") };
        assert_eq!(failure.traceback()[lines - 1], shown, "{index}");
    }
}

#[test]
fn notifications_of_the_reference_are_read_as_it_meant_them() {
    for &(index, format, message_id, event_type, priority, payload, timestamp, unique_id, context) in NOTIFICATIONS {
        assert_eq!(Envelope::open(&published(index)).unwrap().format(), format, "{index}");
        let read = Notification::decode(&published(index)).unwrap();
        assert_eq!(read.message_id.as_deref(), Some(message_id), "{index}");
        assert_eq!(read.publisher_id.as_deref(), Some("shop.shop1"), "{index}");
        assert_eq!(read.event_type.as_deref(), Some(event_type), "{index}");
        assert_eq!(read.priority.as_deref(), Some(priority), "{index}");
        assert_eq!(normal(read.payload.as_str()), payload, "{index}");
        assert_eq!(read.timestamp.as_deref(), Some(timestamp), "{index}");
        assert_eq!(read.unique_id, unique_id, "{index}");
        assert_eq!(read.context.len(), context, "{index}");
    }
    let user = Notification::decode(&published(40)).unwrap().context.swap_remove(0);
    assert_eq!((user.0.as_str(), user.1.as_str()), ("user", r#""u1""#));
}

#[test]
fn what_only_python_writes_is_read_as_null_and_as_the_replacement_character() {
    let numbers = Reply::decode(&published(23)).unwrap().result;
    assert_eq!(numbers.decode::<serde_json::Value>().unwrap(), json!({"n": null, "i": null, "m": null}));
    let text = Reply::decode(&published(29)).unwrap().result;
    assert_eq!(text.decode::<String>().unwrap(), "a\u{FFFD}b");
    let number = Reply::decode(&published(25)).unwrap().result;
    assert_eq!(number.decode::<u128>().unwrap(), 1 << 80);
}

#[test]
fn requests_are_written_again_with_the_same_fields_in_the_same_order() {
    for (index, ..) in REQUESTS {
        let theirs = published(*index);
        let ours = Message::new(Request::decode(&theirs).unwrap().encode());
        assert_eq!(content(&ours), content(&theirs), "{index}");
        assert_eq!(Envelope::open(&ours).unwrap().format(), Format::V2);
    }
}

#[test]
fn replies_and_failures_are_written_again_with_the_same_fields_in_the_same_order() {
    for (index, ..) in REPLIES {
        let theirs = published(*index);
        let ours = Message::new(Reply::decode(&theirs).unwrap().encode());
        assert_eq!(content(&ours), content(&theirs), "{index}");
    }
}

#[test]
fn notifications_are_written_again_with_the_same_fields_in_the_same_order_and_format() {
    for (index, format, ..) in NOTIFICATIONS {
        let theirs = published(*index);
        let ours = Message::new(Notification::decode(&theirs).unwrap().encode(*format));
        assert_eq!(content(&ours), content(&theirs), "{index}");
        assert_eq!(Envelope::open(&ours).unwrap().format(), *format, "{index}");
    }
}

#[test]
fn a_call_made_here_is_the_call_of_the_reference_and_its_deadline_comes_before_the_context() {
    let theirs = published(0);
    let mut request = Request::new("echo", Payload::encode(&json!({"arg": {"k": [1, "ü", null, true, 1.5]}})).unwrap());
    request.namespace = Some("ns".into());
    request.version = Some("1.1".into());
    request.call = Some(oslo_messaging::wire::CallFields::new("9fac0f580634443c8c333a1bc0b95735", REPLY_Q));
    request.unique_id = "7ec5b31552cd48cf90f0f735c9a7d419".into();
    request.context = ALICE.iter().map(|(name, value)| ((*name).into(), Payload::from_json(*value).unwrap())).collect();
    assert_eq!(content(&Message::new(request.encode())), content(&theirs));

    request.deadline = Some(1_790_000_000_123);
    let ours = content(&Message::new(request.encode()));
    let place = ours.iter().position(|(name, _)| name == "_deadline").unwrap();
    assert_eq!(ours[place].1, "1790000000123");
    assert_eq!(ours[place - 1].0, "_unique_id");
    assert_eq!(ours[place + 1].0, "_context_request_id");
}

#[test]
fn a_monitored_call_writes_whole_seconds_as_an_integer() {
    let monitored = |seconds| {
        let mut request = Request::decode(&published(18)).unwrap();
        request.call.as_mut().unwrap().monitor = seconds;
        content(&Message::new(request.encode())).into_iter().find(|(name, _)| name == "_timeout").unwrap().1
    };
    assert_eq!(monitored(Some(2.0)), "2");
    assert_eq!(monitored(Some(2.5)), "2.5");
    for none in [None, Some(0.0), Some(-1.0), Some(f64::NAN), Some(f64::INFINITY)] {
        assert_eq!(monitored(none), "null");
    }
}

#[test]
fn a_failure_made_here_is_the_failure_of_the_reference() {
    let theirs = published(11);
    let traceback = Reply::decode(&theirs).unwrap().failure.unwrap().traceback().to_vec();
    let failure =
        Failure::new("shop.errors", "Custom", "out of stock").with_kwargs(json!({"code": 7})).with_traceback(traceback);
    let ours = Reply::failure("cbb8cce356e449e9adc634e3a96e9563", "4e4981117ac04b0791337d301439c537", &failure);
    assert_eq!(content(&Message::new(ours.encode())), content(&theirs));
}

#[test]
fn what_the_dispatcher_refuses_reads_as_if_the_reference_had_refused_it() {
    for (index, ours) in [(13, Failure::no_such_method("missing")), (15, Failure::unsupported_version("9.0", "base"))] {
        let theirs = Reply::decode(&published(index)).unwrap().failure.unwrap();
        assert_eq!((ours.module(), ours.class()), (theirs.module(), theirs.class()));
        assert_eq!(ours.message(), theirs.message());
        assert_eq!(ours.args(), theirs.args());
        assert_eq!(ours.kwargs(), theirs.kwargs());
    }
}
