//! `automock` sees the trait as it is implemented.

use mockall::automock;
use oslo_messaging::{Context, Failure, service};

#[service(version = "1.3")]
#[automock]
pub trait Compute {
    async fn up(&self, context: Context, machine: u64) -> Result<bool, Failure>;
}

fn main() {
    let mut compute = MockCompute::new();
    compute.expect_up().returning(|_, machine| Box::pin(async move { Ok(machine == 7) }));
    let _ = ComputeEndpoint::new(compute);
}
