use oslo_messaging::{Failure, service};

#[service(version = "1.3")]
pub trait Compute {
    async fn up(&self, machine: u64) -> Result<bool, Failure>;
}

fn main() {}
