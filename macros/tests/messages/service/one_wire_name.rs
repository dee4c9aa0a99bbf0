use oslo_messaging::{Context, Failure, service};

#[service(version = "1.3")]
pub trait Compute {
    async fn up(&self, context: Context) -> Result<bool, Failure>;

    #[rpc(name = "up")]
    async fn is_up(&self, context: Context) -> Result<bool, Failure>;
}

fn main() {}
