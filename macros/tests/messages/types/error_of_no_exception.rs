use oslo_messaging::{Context, service};

pub struct Broken;

#[service(version = "1.3")]
pub trait Compute {
    async fn up(&self, context: Context) -> Result<bool, Broken>;
}

fn main() {}
