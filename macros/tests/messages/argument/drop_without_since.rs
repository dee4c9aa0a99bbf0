use oslo_messaging::{Context, Failure, service};

#[service(version = "1.3")]
pub trait Compute {
    async fn reboot(&self, context: Context, #[serde(default)] #[rpc(below = "drop")] hard: bool) -> Result<bool, Failure>;
}

fn main() {}
