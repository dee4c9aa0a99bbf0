use oslo_messaging::{Context, Failure, endpoint};

pub struct Host;

#[endpoint]
impl Host {
    pub async fn up(&self, context: Context) -> Result<bool, Failure> {
        let _ = context;
        Ok(true)
    }
}

fn main() {}
