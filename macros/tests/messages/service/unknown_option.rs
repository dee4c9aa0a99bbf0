use oslo_messaging::{Context, Failure, service};

#[service(topic = "compute")]
pub trait Compute {
    async fn up(&self, context: Context) -> Result<bool, Failure>;
}

fn main() {}
