//! One translation for each argument of a request.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::{Payload, Result};

/// The object `args` with `translate` done to each of its values.
pub(super) fn map(args: &Payload, translate: impl Fn(Payload) -> Result<Payload>) -> Result<Payload> {
    // Raw, so that a serializer gets numbers with all their digits.
    let values: BTreeMap<String, Box<RawValue>> = args.decode()?;
    let translated: BTreeMap<String, Payload> = values
        .into_iter()
        .map(|(name, value)| Ok((name, translate(Payload::from_json(String::from(Box::<str>::from(value)))?)?)))
        .collect::<Result<_>>()?;
    Payload::encode(&translated)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_translated_once_under_its_own_name() {
        let args = Payload::from_json(r#"{"a": 1, "b": [2]}"#).unwrap();
        let doubled = map(&args, |value| Payload::encode(&[&value, &value])).unwrap();
        assert_eq!(doubled.as_str(), r#"{"a":[1,1],"b":[[2],[2]]}"#);
    }
}
