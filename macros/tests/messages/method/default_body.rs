use oslo_messaging::{Context, Failure, service};

#[service(version = "1.3")]
pub trait Compute {
    async fn up(&self, _: Context) -> Result<bool, Failure> {
        Ok(true)
    }
}

fn main() {}
