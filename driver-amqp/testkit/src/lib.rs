//! What the test binaries of the RabbitMQ driver share: places to test in, a relay that hurts connections, harnesses of
//! the conformance suite, and a workload whose guarantees are checked.

pub mod borrowed_node;
pub mod case;
pub mod certificates;
pub mod harness;
pub mod process;
pub mod proxy;
pub mod raw;
pub mod stage;
pub mod workload;
