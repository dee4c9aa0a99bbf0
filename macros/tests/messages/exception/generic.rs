use oslo_messaging::Exception;

#[derive(Exception)]
#[exception(module = "shop.errors", message = "closed")]
pub struct Closed<T>(T);

fn main() {}
