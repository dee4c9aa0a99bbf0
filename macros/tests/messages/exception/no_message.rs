use oslo_messaging::Exception;

#[derive(Exception)]
#[exception(module = "shop.errors")]
pub struct Closed;

fn main() {}
