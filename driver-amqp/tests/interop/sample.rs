//! Requests and replies at random, each with what a reader in Python must make of it.

use oslo_messaging::wire::{CallFields, Reply, Request};
use oslo_messaging::{Failure, Payload};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// A JSON value: as we write it, and as the peer tells it.
#[derive(Debug, Clone)]
pub(crate) struct Json {
    pub(crate) written: String,
    pub(crate) parsed: Value,
}

/// A failure of a known class, and the class that the reference makes of it.
#[derive(Debug, Clone)]
pub(crate) struct Failed {
    pub(crate) failure: Failure,
    /// `ValueError`, `Refused_Remote`, `RemoteError`.
    pub(crate) rebuilt: &'static str,
    pub(crate) serialized: Value,
}

/// A request, and all its fields.
pub(crate) fn request() -> impl Strategy<Value = (Request, Value)> {
    let optional = (option::of(text()), option::of(text()), option::of(any::<u64>()));
    (text(), object(), optional, option::of(call()), id(), btree_map(text(), value(), 0..4)).prop_map(
        |(method, args, (namespace, version, deadline), call, unique_id, context)| {
            let mut parsed = Map::new();
            parsed.insert("method".into(), json!(method));
            parsed.insert("args".into(), args.parsed);
            parsed.extend(namespace.iter().map(|namespace| ("namespace".into(), json!(namespace))));
            parsed.extend(version.iter().map(|version| ("version".into(), json!(version))));
            if let Some((call, timeout)) = &call {
                parsed.insert("_msg_id".into(), json!(call.msg_id));
                parsed.insert("_reply_q".into(), json!(call.reply_q));
                parsed.insert("_timeout".into(), timeout.clone());
            }
            parsed.insert("_unique_id".into(), json!(unique_id));
            parsed.extend(deadline.iter().map(|deadline| ("_deadline".into(), json!(deadline))));
            parsed.extend(context.iter().map(|(name, value)| (format!("_context_{name}"), value.parsed.clone())));
            let mut request = Request::new(method, payload(&args.written));
            (request.namespace, request.version, request.deadline) = (namespace, version, deadline);
            (request.call, request.unique_id) = (call.map(|(call, _)| call), unique_id);
            request.context = context.into_iter().map(|(name, value)| (name, payload(&value.written))).collect();
            (request, Value::Object(parsed))
        },
    )
}

/// A reply without a failure, and all its fields.
pub(crate) fn reply() -> impl Strategy<Value = (Reply, Value)> {
    (id(), id(), value(), any::<bool>()).prop_map(|(msg_id, unique_id, result, ending)| {
        let parsed = json!({
            "result": result.parsed, "failure": null, "ending": ending, "_msg_id": msg_id, "_unique_id": unique_id});
        (Reply::result(msg_id, unique_id, payload(&result.written)).with_ending(ending), parsed)
    })
}

/// A failure: of Python's own, of a class that the peer allows, of one that it does not.
pub(crate) fn failed() -> impl Strategy<Value = Failed> {
    let kinds = [
        ("builtins", "ValueError", "ValueError"),
        ("peer_errors", "Refused", "Refused_Remote"),
        ("shop.errors", "Custom", "RemoteError"),
    ];
    (prop::sample::select(kinds.to_vec()), text(), vec(value(), 0..4), object(), vec(text(), 0..3)).prop_map(
        |((module, class, rebuilt), message, args, kwargs, traceback)| {
            // Those of Python's own take none.
            let none = Json { written: "{}".into(), parsed: json!({}) };
            let kwargs = if module == "builtins" { none } else { kwargs };
            let serialized = json!({
                "class": class, "module": module, "message": message, "tb": traceback,
                "args": args.iter().map(|arg| &arg.parsed).collect::<Vec<_>>(), "kwargs": kwargs.parsed});
            let failure = Failure::new(module, class, message)
                .with_args(args.iter().map(|arg| payload(&arg.written)).collect::<Vec<_>>())
                .with_kwargs(payload(&kwargs.written))
                .with_traceback(traceback);
            Failed { failure, rebuilt, serialized }
        },
    )
}

fn payload(written: &str) -> Payload {
    Payload::from_json(written.to_owned()).expect("it was written as JSON")
}

fn id() -> impl Strategy<Value = String> {
    "[0-9a-f]{32}"
}

/// Text with all that has to be escaped, and all that looks like an escape.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        r#"[a-z"\\/{}\[\]:,\x00-\x1f\u{7f}-\u{a0}üé\u{2028}\u{FFFD}😀]{0,12}"#,
        Just(r"\ud800 NaN \u0000".to_owned())
    ]
}

/// Fractions that any parser reads alike: the test's own must not be in doubt about the last bit.
fn fraction() -> impl Strategy<Value = f64> {
    any::<i32>().prop_map(|number| f64::from(number) / 64.0)
}

/// With integers that no machine word holds, which the peer tells as text.
fn value() -> impl Strategy<Value = Json> {
    let plain = |parsed: Value| Json { written: parsed.to_string(), parsed };
    let leaf = prop_oneof![
        Just(Value::Null).prop_map(plain),
        any::<bool>().prop_map(Value::from).prop_map(plain),
        any::<i64>().prop_map(Value::from).prop_map(plain),
        any::<u64>().prop_map(Value::from).prop_map(plain),
        fraction().prop_map(Value::from).prop_map(plain),
        text().prop_map(Value::from).prop_map(plain),
        "-?[1-9][0-9]{25,60}".prop_map(|written| Json { parsed: json!({"$int": written}), written }),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let list = vec(inner.clone(), 0..4).prop_map(|items| {
            let written: Vec<_> = items.iter().map(|item| &*item.written).collect();
            Json {
                written: format!("[{}]", written.join(", ")),
                parsed: items.into_iter().map(|item| item.parsed).collect(),
            }
        });
        prop_oneof![list, object_of(inner)]
    })
}

fn object() -> impl Strategy<Value = Json> {
    object_of(value())
}

fn object_of(value: impl Strategy<Value = Json>) -> impl Strategy<Value = Json> {
    btree_map(text(), value, 0..4).prop_map(|members| {
        let member = |(name, value): (&String, &Json)| format!("{}:\n{}", Value::from(&**name), value.written);
        let written: Vec<_> = members.iter().map(member).collect();
        let parsed = members.iter().map(|(name, value)| (name.clone(), value.parsed.clone())).collect();
        Json { written: format!("{{{}}}", written.join(",")), parsed: Value::Object(parsed) }
    })
}

/// With the `_timeout` that is written; whole seconds are written as integers, as callers in Python mostly do.
fn call() -> impl Strategy<Value = (CallFields, Value)> {
    (id(), id(), option::of(1..4_000_u32)).prop_map(|(msg_id, reply_q, quarters)| {
        let mut call = CallFields::new(msg_id, format!("reply_{reply_q}"));
        call.monitor = quarters.map(|quarters| f64::from(quarters) / 4.0);
        let timeout = match quarters {
            Some(quarters) if quarters % 4 == 0 => json!(quarters / 4),
            Some(quarters) => json!(f64::from(quarters) / 4.0),
            None => Value::Null,
        };
        (call, timeout)
    })
}
