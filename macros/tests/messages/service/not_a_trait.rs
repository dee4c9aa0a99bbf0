use oslo_messaging::service;

#[service]
pub struct Compute;

fn main() {}
