use oslo_messaging::{Context, Failure, service};

#[service(version = "1.3")]
pub trait Compute {
    type Machine;

    async fn up(&self, context: Context) -> Result<bool, Failure>;
}

fn main() {}
