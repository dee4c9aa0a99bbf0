mod inner {
    pub use oslo_messaging as bus;
}

#[inner::bus::service(version = "1.3", crate = "crate::inner::bus")]
pub trait Compute {
    async fn up(
        &self,
        context: inner::bus::Context,
        #[serde(default)]
        #[rpc(since = "1.1")]
        machine: u64,
    ) -> Result<bool, inner::bus::Failure>;
}

fn main() {}
