use oslo_messaging::{Context, Failure, service};

#[service(version = "1.3")]
pub trait Compute {
    async fn reboot(&self, context: Context, #[serde(flatten)] id: std::collections::HashMap<String, u64>) -> Result<bool, Failure>;
}

fn main() {}
