//! Where a bus is and how it is set up: URLs, `oslo.config` files, and the drivers of a program.

mod config_file;
mod registry;

pub use self::config_file::ConfigFile;
pub use self::registry::Registry;
pub use crate::url::{Host, Password, TransportUrl};
