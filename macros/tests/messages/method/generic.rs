use oslo_messaging::{Context, Failure, service};

#[service(version = "1.3")]
pub trait Compute {
    async fn up<T>(&self, context: Context, machine: T) -> Result<bool, Failure>;
}

fn main() {}
