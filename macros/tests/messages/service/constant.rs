use oslo_messaging::{Context, Failure, service};

#[service(version = "1.3")]
pub trait Compute {
    const LIMIT: u32 = 5;

    async fn up(&self, context: Context) -> Result<bool, Failure>;
}

fn main() {}
