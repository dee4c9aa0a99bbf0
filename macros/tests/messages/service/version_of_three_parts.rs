use oslo_messaging::{Context, Failure, service};

#[service(version = "1.3.1")]
pub trait Compute {
    async fn up(&self, context: Context) -> Result<bool, Failure>;
}

fn main() {}
