//! What is run in turns.

use super::program::Program;
use crate::task::bench::Group;

/// Programs that run in turns, round after round: A B A B.
#[derive(Debug, Clone)]
pub(crate) struct Experiment {
    pub(crate) name: &'static str,
    pub(crate) group: Group,
    pub(crate) rounds: u32,
    pub(crate) runs: Vec<Run>,
}

/// One program in a round.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) program: Program,
    /// What varies between the runs of an experiment: calls in flight, bytes, servers or topics.
    pub(crate) at: u64,
    pub(crate) tool: Tool,
    /// Whether it runs on RabbitMQ.
    pub(crate) on_broker: bool,
    /// The program that answers, if that is another process.
    pub(crate) server: Option<Program>,
    /// The kind of work and its options.
    pub(crate) arguments: Vec<String>,
}

/// What looks at the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tool {
    /// Nothing but its own clocks.
    None,
    /// The counting allocator that it is built with.
    Allocations,
    /// Valgrind, for instructions.
    Callgrind,
    /// strace, for system calls.
    Strace,
}

impl Run {
    /// A run on RabbitMQ: `words` are separated by blanks.
    pub(crate) fn on_broker(program: Program, at: u64, words: &str) -> Self {
        Self { on_broker: true, ..Self::in_process(program, at, words) }
    }

    /// A run without a broker.
    pub(crate) fn in_process(program: Program, at: u64, words: &str) -> Self {
        let arguments = words.split_whitespace().map(str::to_owned).collect();
        Self { program, at, tool: Tool::None, on_broker: false, server: None, arguments }
    }

    /// The same with a tool.
    pub(crate) fn under(self, tool: Tool) -> Self {
        Self { tool, ..self }
    }

    /// The same as a client of `server`.
    pub(crate) fn of_server(self, server: Program) -> Self {
        Self { server: Some(server), ..self }
    }
}

impl Run {
    /// The number of operations that its arguments ask for.
    pub(crate) fn operations(&self) -> Option<u64> {
        self.arguments[self.place()?].parse().ok()
    }

    /// The same with another number of operations.
    pub(crate) fn with_operations(&self, operations: u64) -> Self {
        let mut run = self.clone();
        if let Some(place) = self.place() {
            run.arguments[place] = operations.to_string();
        }
        run
    }

    fn place(&self) -> Option<usize> {
        let option = self.arguments.iter().position(|argument| argument == "--operations")?;
        Some(option + 1).filter(|place| *place < self.arguments.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_operations_is_found_and_replaced() {
        let run = Run::in_process(Program::Ours, 64, "count --operations 500 --workers 0");
        assert_eq!(run.operations(), Some(500));
        let longer = run.with_operations(1_500);
        assert_eq!(longer.arguments.join(" "), "count --operations 1500 --workers 0");
        assert_eq!(Run::in_process(Program::Ours, 64, "sizes").operations(), None);
    }
}
