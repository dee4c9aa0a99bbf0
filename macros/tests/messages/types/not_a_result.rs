use oslo_messaging::{Context, service};

#[service(version = "1.3")]
pub trait Compute {
    async fn up(&self, context: Context) -> bool;
}

fn main() {}
