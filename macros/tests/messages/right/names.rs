//! The names in generated code hide none of the user's, and are hidden by none.

use oslo_messaging::{Context, Exception, Failure, service};

fn client() -> String {
    String::new()
}

fn value() -> u64 {
    7
}

fn methods() -> bool {
    true
}

#[service(version = "1.2")]
pub trait Names {
    async fn first(
        &self,
        request: Context,
        #[serde(default = "client")]
        #[rpc(since = "1.1", below = "drop")]
        client: String,
        #[serde(default = "value")]
        #[rpc(since = "1.2")]
        value: u64,
        #[serde(default = "methods")] methods: bool,
    ) -> Result<bool, Failure>;
    async fn second(&self, call: Context, request: u64, arguments: u64, host: u64) -> Result<bool, Failure>;
    async fn third(&self, arguments: Context, host: u64, endpoint: u64) -> Result<bool, Failure>;
    async fn r#type(&self, context: Context) -> Result<bool, Failure>;
}

#[derive(Debug, Exception)]
#[exception(module = "shop.errors", message = "the shelf is missing")]
pub struct Missing {
    #[exception(arg)]
    pub remote: u64,
    pub failure: u64,
    pub r#type: u64,
}

fn main() {
    let failure = Missing { remote: 1, failure: 2, r#type: 3 }.failure();
    assert_eq!(failure.kwargs().as_str(), r#"{"failure":2,"type":3}"#);
}
