//! The arguments of a program.

use std::collections::HashMap;
use std::str::FromStr;
use std::time::Duration;

/// The kind of work, and options with a value each: `call --in-flight 64 --topic t`.
#[derive(Debug, Clone)]
pub struct Arguments {
    work: String,
    options: HashMap<String, String>,
}

impl Arguments {
    /// Reads the arguments behind the program's name.
    ///
    /// # Panics
    /// If an option has no value: a measurement of something else than what was asked for is worth nothing.
    pub fn parse(arguments: impl Iterator<Item = String>) -> Self {
        let mut parsed = Self { work: String::new(), options: HashMap::new() };
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            match argument.strip_prefix("--") {
                Some(name) => {
                    let value = arguments.next().unwrap_or_else(|| panic!("--{name} has no value"));
                    parsed.options.insert(name.to_owned(), value);
                }
                None => parsed.work = argument,
            }
        }
        parsed
    }

    /// The kind of work.
    pub fn work(&self) -> &str {
        &self.work
    }

    /// The value of an option, or `default`.
    pub fn text(&self, name: &str, default: &str) -> String {
        self.options.get(name).map_or(default, String::as_str).to_owned()
    }

    /// The value of an option as a number or a truth value, or `default`.
    ///
    /// # Panics
    /// If it is none.
    pub fn number<T: FromStr>(&self, name: &str, default: T) -> T {
        let parse = |text: &String| text.parse().unwrap_or_else(|_| panic!("--{name} {text} makes no sense"));
        self.options.get(name).map_or(default, parse)
    }

    /// How many operations are in flight. Default: 64.
    pub fn in_flight(&self) -> usize {
        self.number("in-flight", 64)
    }

    /// How many operations a program with a fixed amount of work does. Default: 10,000.
    pub fn operations(&self) -> u64 {
        self.number("operations", 10_000)
    }

    /// The string that is sent, and sent back. Default: 256 bytes.
    pub fn payload(&self) -> String {
        "x".repeat(self.number("size", 256))
    }

    /// How long the load is measured. Default: 2 s.
    pub fn measured(&self) -> Duration {
        Duration::from_secs_f64(self.number("seconds", 2.0))
    }

    /// How long the load is applied before it is measured. Default: 0.5 s.
    pub fn warm_up(&self) -> Duration {
        Duration::from_secs_f64(self.number("warm-up", 0.5))
    }

    /// The topic of servers and listeners. Default: `bench`.
    pub fn topic(&self) -> String {
        self.text("topic", "bench")
    }

    /// Where the broker is, as host and port.
    pub fn broker(&self) -> String {
        self.text("broker", "127.0.0.1:5672")
    }

    /// The process id of the broker, to read its CPU time.
    pub fn broker_process(&self) -> Option<u32> {
        self.process("broker-process")
    }

    /// The process id of a server in another process, to read its CPU time.
    pub fn server_process(&self) -> Option<u32> {
        self.process("server-process")
    }

    fn process(&self, name: &str) -> Option<u32> {
        Some(self.number(name, 0)).filter(|id| *id != 0)
    }
}
