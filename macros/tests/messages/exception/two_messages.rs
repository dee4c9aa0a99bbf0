use oslo_messaging::Exception;

#[derive(Exception)]
#[exception(module = "shop.errors", message = "closed: {0}")]
pub struct Closed(#[exception(message)] String);

fn main() {}
