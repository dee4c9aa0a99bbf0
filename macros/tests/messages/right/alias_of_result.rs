use oslo_messaging::{Context, Failure, service};

type Answer<T> = std::result::Result<T, Failure>;
type Nothing = Answer<()>;

#[service(version = "1.3")]
pub trait Compute {
    async fn up(&self, context: Context) -> Answer<bool>;
    #[rpc(cast)]
    async fn tidy(&self, context: Context) -> Nothing;
}

fn main() {}
