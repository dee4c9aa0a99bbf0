use oslo_messaging::{Context, Failure, service};

#[service(version = "1.3")]
pub trait Compute {
    #[rpc(since = "1.4")]
    async fn up(&self, context: Context) -> Result<bool, Failure>;
}

fn main() {}
