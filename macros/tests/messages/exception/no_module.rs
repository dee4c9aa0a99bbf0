use oslo_messaging::Exception;

#[derive(Exception)]
#[exception(message = "closed")]
pub struct Closed;

fn main() {}
