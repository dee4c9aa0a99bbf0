//! What serde can do for a field it can do for an argument.

use oslo_messaging::{Context, Failure, service};
use serde::{Deserialize, Deserializer, Serializer};

mod text {
    use super::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&value.to_string())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

fn seven() -> u64 {
    7
}

#[service]
pub trait Compute {
    async fn up(
        &self,
        context: Context,
        #[serde(with = "text")] first: u64,
        #[serde(serialize_with = "text::serialize", deserialize_with = "text::deserialize")] second: u64,
        #[serde(default = "seven", rename = "3rd", alias = "third")] third: u64,
    ) -> Result<bool, Failure>;
}

fn main() {}
