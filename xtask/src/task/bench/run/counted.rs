//! Programs that count what another one does: instructions and system calls.
//!
//! A program is run with two numbers of operations. The difference is free of what its start and its end cost.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::line::Line;
use crate::task::bench::directory;
use crate::task::bench::plan::experiment::Tool;

/// How many times the operations of the first run the second one does.
pub(super) const LONGER: u64 = 3;

/// Whether a program is installed.
pub(super) fn is_installed(tool: Tool) -> bool {
    let Some(program) = program(tool) else { return true };
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

/// The name of the program.
pub(super) fn program(tool: Tool) -> Option<&'static str> {
    match tool {
        Tool::None | Tool::Allocations => None,
        Tool::Callgrind => Some("valgrind"),
        Tool::Strace => Some("strace"),
    }
}

/// `command` under the tool, whose counts go to a file that [`count`] reads.
pub(super) fn under(tool: Tool, command: &Command) -> Command {
    let Some(program) = program(tool) else { unreachable!("only a tool that is a program counts") };
    let mut counting = Command::new(program);
    let file = file(tool);
    match tool {
        Tool::Callgrind => counting.args(["--tool=callgrind", "--quiet", &format!("--callgrind-out-file={file}")]),
        _ => counting.args(["-f", "-c", "-o", &file]),
    };
    counting.arg(command.get_program()).args(command.get_args());
    counting
}

/// What the tool counted in the run that has just ended.
///
/// # Errors
/// When its file is missing or says nothing.
pub(super) fn count(tool: Tool) -> Result<f64> {
    let file = file(tool);
    let text = fs::read_to_string(&file).with_context(|| format!("could not read {file}"))?;
    let count = if tool == Tool::Callgrind { instructions(&text) } else { system_calls(&text) };
    count.with_context(|| format!("{file} holds no count"))
}

/// The figure for each operation.
pub(super) fn line(tool: Tool, counts: [f64; 2], more_operations: u64) -> Line {
    let figure = if tool == Tool::Callgrind { "instructions" } else { "system_calls" };
    #[expect(clippy::cast_precision_loss, reason = "some thousands")]
    Line::of([(figure, (counts[1] - counts[0]) / more_operations as f64)])
}

fn file(tool: Tool) -> String {
    directory().join(format!("{tool:?}.txt").to_lowercase()).display().to_string()
}

/// The line `totals: 123` or `summary: 123` of callgrind's file.
fn instructions(text: &str) -> Option<f64> {
    let totals = text.lines().filter_map(|line| line.strip_prefix("totals:"));
    totals.filter_map(|count| count.trim().parse::<f64>().ok()).reduce(|sum, part| sum + part)
}

/// The last line of strace's table: share, seconds, microseconds a call, calls, errors where there were some, `total`.
fn system_calls(text: &str) -> Option<f64> {
    let total = text.lines().rev().find(|line| line.trim_end().ends_with(" total"))?;
    total.split_whitespace().nth(3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_are_the_totals_of_callgrind() {
        assert_eq!(instructions("version: 1\nsummary: 7\n\ntotals: 135400\n"), Some(135_400.0));
        assert_eq!(instructions("version: 1\n"), None);
    }

    #[test]
    fn system_calls_are_in_the_fourth_column_with_and_without_errors() {
        let table = "% time     seconds  usecs/call     calls    errors syscall\n\
                     ------ ----------- ----------- --------- --------- ----------------\n \
                     99.00    0.001       1        12       2 read\n";
        assert_eq!(
            system_calls(&format!("{table}100.00    0.000345           1       234         5 total\n")),
            Some(234.0)
        );
        assert_eq!(
            system_calls(&format!("{table}100.00    0.000345           1       234           total\n")),
            Some(234.0)
        );
        assert_eq!(system_calls(table), None);
    }

    #[test]
    fn the_difference_of_two_runs_is_divided_by_the_operations_that_differ() {
        let line = line(Tool::Callgrind, [1_000_000.0, 3_000_000.0], 20);
        assert_eq!(line.get("instructions"), Some(100_000.0));
    }
}
