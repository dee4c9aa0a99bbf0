//! Whatever is written reads back as it was.

use oslo_messaging::driver::Message;
use oslo_messaging::wire::{CallFields, Compression, Format, Notification, Reply, Request, message};
use oslo_messaging::{Failure, Payload};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use serde_json::Value;

/// Text with all that has to be escaped, and all that looks like an escape.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        r#"[a-z"\\/{}\[\]:,\x00-\x1f\u{7f}-\u{a0}üé\u{2028}\u{FFFD}😀]{0,12}"#,
        Just(r"\ud800 NaN \u0000".to_owned())
    ]
}

/// JSON text, with integers that no machine word holds.
fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|value| value.to_string()),
        "-?[1-9][0-9]{0,40}",
        "-?[1-9][0-9]{0,3}\\.[0-9]{1,3}(e[+-]?[0-9]{1,2})?",
        text().prop_map(|value| Value::from(value).to_string()),
    ];
    leaf.prop_recursive(5, 32, 4, |inner| {
        prop_oneof![vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(", "))), object_of(inner),]
    })
}

fn object_of(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let member = |(name, value): (String, String)| format!("{}:\n{value}", Value::from(name));
    btree_map(text(), value, 0..4)
        .prop_map(move |members| format!("{{{}}}", members.into_iter().map(member).collect::<Vec<_>>().join(",")))
}

fn payload() -> impl Strategy<Value = Payload> {
    json().prop_map(|text| Payload::from_json(text).unwrap())
}

fn object() -> impl Strategy<Value = Payload> {
    object_of(json()).prop_map(|text| Payload::from_json(text).unwrap())
}

prop_compose! {
    fn call()(msg_id in text(), reply_q in text(), monitor in option::of(0.001..1e9)) -> CallFields {
        let mut call = CallFields::new(format!("m{msg_id}"), format!("q{reply_q}"));
        call.monitor = monitor;
        call
    }
}

prop_compose! {
    fn request()(
        method in text(), args in object(), namespace in option::of(text()), version in option::of(text()),
        call in option::of(call()), unique_id in text(), deadline in option::of(any::<u64>()),
        context in btree_map(text(), payload(), 0..4),
    ) -> Request {
        let context = context.into_iter().rev().collect();
        Request::new(method, args).with_namespace(namespace).with_version(version).with_call(call).with_unique_id(unique_id).with_deadline(deadline).with_context(context)
    }
}

prop_compose! {
    fn failure()(
        module in text(), class in text(), message in text(), args in vec(json(), 0..3), kwargs in object(),
        traceback in vec(text(), 0..3),
    ) -> Failure {
        let args = Payload::from_json(format!("[{}]", args.join(","))).unwrap();
        Failure::new(module, class, message).with_args(args).with_kwargs(kwargs).with_traceback(traceback)
    }
}

prop_compose! {
    fn reply()(
        msg_id in text(), unique_id in text(), result in payload(), failure in option::of(failure()), ending: bool,
    ) -> Reply {
        Reply::result(msg_id, unique_id, result).with_failure(failure.map(Into::into)).with_ending(ending)
    }
}

prop_compose! {
    fn notification()(
        texts in vec(option::of(text()), 5), payload in payload(), unique_id in text(),
        context in btree_map(text(), payload(), 0..4),
    ) -> Notification {
        let mut texts = texts.into_iter();
        let mut next = || texts.next().flatten();
        let mut notification = Notification::new(payload);
        (notification.message_id, notification.publisher_id, notification.event_type) = (next(), next(), next());
        (notification.priority, notification.timestamp) = (next(), next());
        (notification.unique_id, notification.context) = (unique_id, context.into_iter().rev().collect());
        notification
    }
}

fn compression() -> impl Strategy<Value = Option<Compression>> {
    prop::sample::select(vec![None, Some(Compression::Zlib), Some(Compression::Bzip2)])
}

proptest! {
    #[test]
    fn a_request_reads_back_as_it_was_written(request in request(), compression in compression()) {
        prop_assert_eq!(Request::decode(&message(request.encode(), compression)).unwrap(), request);
    }

    #[test]
    fn a_reply_reads_back_as_it_was_written(reply in reply(), compression in compression()) {
        prop_assert_eq!(Reply::decode(&message(reply.encode(), compression)).unwrap(), reply);
    }

    #[test]
    fn a_notification_reads_back_as_it_was_written_in_either_format(
        notification in notification(), compression in compression(),
    ) {
        for format in [Format::V1, Format::V2] {
            let written = message(notification.encode(format), compression);
            prop_assert_eq!(&Notification::decode(&written).unwrap(), &notification);
        }
    }

    #[test]
    fn a_failure_reaches_the_caller_whole(failure in failure()) {
        let reply = Reply::failure("m", "u", &failure);
        let got = Reply::decode(&Message::new(reply.encode())).unwrap().failure.unwrap();
        prop_assert_eq!((got.module(), got.class(), got.message()), (failure.module(), failure.class(), failure.message()));
        prop_assert_eq!((got.args(), got.kwargs(), got.traceback()), (failure.args(), failure.kwargs(), failure.traceback()));
    }

    #[test]
    fn what_is_written_is_json_for_any_reader(request in request()) {
        let envelope: Value = serde_json::from_slice(&request.encode()).unwrap();
        let content: Value = serde_json::from_str(envelope["oslo.message"].as_str().unwrap()).unwrap();
        prop_assert_eq!(&content["method"], &Value::from(request.method));
        prop_assert_eq!(&content["args"], &request.args.decode::<Value>().unwrap());
    }
}
