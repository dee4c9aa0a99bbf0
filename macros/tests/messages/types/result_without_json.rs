use oslo_messaging::{Context, Failure, service};

pub struct Machine;

#[service(version = "1.3")]
pub trait Compute {
    async fn up(&self, context: Context) -> Result<Machine, Failure>;
}

fn main() {}
