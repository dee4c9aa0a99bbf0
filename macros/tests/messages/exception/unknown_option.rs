use oslo_messaging::Exception;

#[derive(Exception)]
#[exception(module = "shop.errors", message = "closed")]
pub struct Closed {
    #[exception(name = "until")]
    hour: u32,
}

fn main() {}
