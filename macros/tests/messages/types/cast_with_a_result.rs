use oslo_messaging::{Context, Failure, service};

#[service(version = "1.3")]
pub trait Compute {
    #[rpc(cast)]
    async fn tidy(&self, context: Context) -> Result<bool, Failure>;
}

fn main() {}
