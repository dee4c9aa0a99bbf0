use oslo_messaging::Exception;

pub struct Hour;

#[derive(Exception)]
#[exception(module = "shop.errors", message = "closed")]
pub struct Closed {
    hour: Hour,
}

fn main() {}
