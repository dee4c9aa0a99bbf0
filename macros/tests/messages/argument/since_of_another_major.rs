use oslo_messaging::{Context, Failure, service};

#[service(version = "1.3")]
pub trait Compute {
    async fn reboot(&self, context: Context, #[serde(default)] #[rpc(since = "2.1")] hard: bool) -> Result<bool, Failure>;
}

fn main() {}
