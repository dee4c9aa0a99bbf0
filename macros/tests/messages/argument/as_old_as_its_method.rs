use oslo_messaging::{Context, Failure, service};

#[service(version = "1.3")]
pub trait Compute {
    #[rpc(since = "1.2")]
    async fn reboot(&self, context: Context, #[serde(default)] #[rpc(since = "1.2")] hard: bool) -> Result<bool, Failure>;
}

fn main() {}
