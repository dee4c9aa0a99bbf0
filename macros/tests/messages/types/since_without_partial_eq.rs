use oslo_messaging::{Context, Failure, service};
use serde::{Deserialize, Serialize};

#[derive(Default, Serialize, Deserialize)]
pub struct Machine;

#[service(version = "1.3")]
pub trait Compute {
    async fn up(
        &self,
        context: Context,
        #[serde(default)]
        #[rpc(since = "1.2")]
        machine: Machine,
    ) -> Result<bool, Failure>;
}

fn main() {}
