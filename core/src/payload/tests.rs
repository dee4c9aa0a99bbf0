use std::collections::{BTreeMap, HashMap};

use serde_json::json;

use super::*;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Reboot {
    hard: bool,
}

fn payload(text: &'static str) -> Payload {
    Payload::from_json(text).expect(text)
}

#[test]
fn arguments_are_an_object_and_nothing_is_an_empty_one() {
    assert_eq!(Payload::arguments(&Reboot { hard: true }).unwrap().as_str(), r#"{"hard":true}"#);
    assert_eq!(Payload::arguments(&BTreeMap::from([("a", 1)])).unwrap().as_str(), r#"{"a":1}"#);
    assert_eq!(Payload::arguments(&payload(r#"{"a": 1}"#)).unwrap().as_str(), r#"{"a": 1}"#);
    for nothing in [Payload::arguments(&()), Payload::arguments(&None::<Reboot>), Payload::arguments(&json!(null))] {
        assert_eq!(nothing.unwrap().as_str(), "{}");
    }
}

#[test]
fn arguments_that_have_no_names_are_refused_before_anything_is_sent() {
    for (value, named) in
        [(json!([1]), "an array"), (json!("a"), "a string"), (json!(1), "a number"), (json!(true), "a boolean")]
    {
        let error = Payload::arguments(&value).expect_err(named);
        assert_eq!(error.kind(), ErrorKind::Encode);
        assert!(error.to_string().ends_with(named), "{error}");
    }
    let unnamed = HashMap::from([(vec![1], 1)]);
    assert_eq!(Payload::arguments(&unnamed).expect_err("no text keys").kind(), ErrorKind::Encode);
}

#[test]
fn an_empty_object_is_also_no_arguments_at_all() {
    for empty in ["{}", "{ \n }"] {
        payload(empty).decode_arguments::<()>().unwrap();
        assert_eq!(payload(empty).decode_arguments::<Option<Reboot>>().unwrap(), None);
        assert_eq!(payload(empty).decode_arguments::<BTreeMap<String, u8>>().unwrap(), BTreeMap::new());
    }
    let error = payload("{}").decode_arguments::<Reboot>().expect_err("a field is missing");
    assert!(error.to_string().contains("missing field `hard`"), "{error}");
    payload(r#"{"a": 1}"#).decode_arguments::<()>().expect_err("there are arguments");
}

#[test]
fn integers_of_any_size_pass_untouched() {
    let digits = "-123456789012345678901234567890123456789012345678901234567890";
    let big = Payload::from_json(digits).unwrap();
    assert_eq!(big.as_str(), digits);
    assert_eq!(Payload::encode(&[&big]).unwrap().as_str(), format!("[{digits}]"));
}

#[test]
fn what_only_python_writes_is_read_and_never_written() {
    assert_eq!(payload("[NaN, -Infinity]").decode::<Vec<Option<f64>>>().unwrap(), [None, None]);
    let lone = payload(r#"{"k": "a\ud800b", "pair": "\ud83d\ude00"}"#);
    assert_eq!(lone.decode::<BTreeMap<String, String>>().unwrap()["k"], "a\u{FFFD}b");
    assert_eq!(Payload::encode(&lone).unwrap().as_str(), "{\"k\": \"a\u{FFFD}b\", \"pair\": \"\\ud83d\\ude00\"}");
    assert_eq!(Payload::encode(&[f64::NAN]).unwrap().as_str(), "[null]");
}

#[test]
fn text_that_is_not_one_json_value_is_refused() {
    for text in ["", " ", "nul", "{", "[1,]", "1 2", "NaN NaN", "'a'", "{1:2}", "\"\n\""] {
        assert_eq!(Payload::from_json(text).expect_err(text).kind(), ErrorKind::Decode, "{text}");
    }
}

#[test]
fn blanks_around_a_value_are_no_part_of_it() {
    assert!(payload(" \n null ").is_null());
    assert_eq!(payload(" [ 1 ] ").as_str(), "[ 1 ]");
}

#[test]
fn a_payload_is_read_from_and_written_into_other_values() {
    #[derive(Serialize, Deserialize)]
    struct Wrapper {
        inner: Payload,
    }
    let wrapper: Wrapper = payload(r#"{"inner": {"n": 1.50}}"#).decode().unwrap();
    assert_eq!(wrapper.inner.as_str(), r#"{"n": 1.50}"#);
    assert_eq!(Payload::encode(&wrapper).unwrap().as_str(), r#"{"inner":{"n": 1.50}}"#);
}

#[test]
fn debug_tells_no_secrets() {
    assert_eq!(format!("{:?}", payload(r#""hunter2""#)), "Payload(9 bytes)");
}
