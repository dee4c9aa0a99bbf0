//! A method that is compiled under a condition.

use oslo_messaging::{Context, Failure, service};

pub struct Host;

#[service]
pub trait Compute {
    async fn up(&self, context: Context) -> Result<bool, Failure>;
    #[cfg(windows)]
    async fn only_there(&self, context: Context) -> Result<bool, Failure>;
}

impl Compute for Host {
    async fn up(&self, _: Context) -> Result<bool, Failure> {
        Ok(true)
    }
}

fn main() {
    let _ = ComputeEndpoint::new(Host);
}
