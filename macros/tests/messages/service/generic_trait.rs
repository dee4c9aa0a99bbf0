use oslo_messaging::{Context, Failure, service};

#[service(version = "1.3")]
pub trait Compute<T> {
    async fn up(&self, context: Context) -> Result<T, Failure>;
}

fn main() {}
