use oslo_messaging::{Context, Failure, service};

#[service(version = "1.3")]
pub trait Compute {
    async fn reboot(&self, context: Context, method: String) -> Result<bool, Failure>;
}

fn main() {}
