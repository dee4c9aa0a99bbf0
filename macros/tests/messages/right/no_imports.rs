#![no_implicit_prelude]

#[::oslo_messaging::service(version = "1.1")]
pub trait Compute {
    async fn up(
        &self,
        context: ::oslo_messaging::Context,
        #[serde(default)]
        #[rpc(since = "1.1")]
        machine: u64,
    ) -> ::std::result::Result<bool, ::oslo_messaging::Failure>;
}

fn main() {}
