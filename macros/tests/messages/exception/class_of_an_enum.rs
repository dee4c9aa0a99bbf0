use oslo_messaging::Exception;

#[derive(Exception)]
#[exception(module = "shop.errors", class = "Refused", message = "closed")]
pub enum Refused {
    Closed,
}

fn main() {}
