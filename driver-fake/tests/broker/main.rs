//! The fake broker, sentence by sentence of the driver's contract and of what RabbitMQ does.

#![allow(clippy::unwrap_used, reason = "helpers and models of tests may, as tests may")]

mod concurrency;
mod connecting;
mod delivery_limit;
mod expiration;
mod faults;
mod inspect;
mod lifecycle;
mod model;
mod routing;
mod settling;
mod support;
