use oslo_messaging::endpoint;

#[derive(Clone)]
pub struct Host;

#[endpoint]
impl Drop for Host {
    fn drop(&mut self) {}
}

fn main() {}
