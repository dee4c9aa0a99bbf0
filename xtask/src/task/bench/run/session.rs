//! Runs the experiments: the broker, the servers, and the programs in turns.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use xtask::broker::{Node, Programs};
use xtask::process::command::output_within;
use xtask::process::interrupt::Interrupt;

use super::conformance;
use super::counted::{self, LONGER};
use super::line::Line;
use super::peers::Peers;
use super::progress::Progress;
use super::samples::{Sample, Samples};
use super::server::Server;
use crate::task::bench::plan::experiment::{Experiment, Run, Tool};
use crate::task::bench::plan::experiments;
use crate::task::bench::plan::program::Program;
use crate::task::bench::{Bench, Group};

/// How long one run may take; the longest fills and drains a queue of a million.
const RUN: Duration = Duration::from_secs(600);

/// What is measured, on what.
pub(crate) struct Session<'a> {
    experiments: Vec<Experiment>,
    peers: Peers,
    node: Option<Broker>,
    with_conformance: bool,
    /// Gives every run a topic of its own.
    topics: u32,
    interrupt: &'a Interrupt,
}

struct Broker {
    node: Node,
    /// The process id of the Erlang machine.
    process: String,
}

impl<'a> Session<'a> {
    /// Builds the programs and starts the broker, as far as the rows that were asked for need them.
    ///
    /// # Errors
    /// When something is missing or does not build, or we are interrupted.
    pub(crate) fn prepare(bench: &Bench, interrupt: &'a Interrupt) -> Result<Self> {
        let planned = experiments(bench, 2);
        let peers = Peers::build(&planned, interrupt)?;
        let on_broker = planned.iter().flat_map(|experiment| &experiment.runs).any(|run| run.on_broker);
        let node = if on_broker { Some(Broker::start(interrupt)?) } else { None };
        let with_conformance = bench.groups.contains(&Group::Conformance) || (bench.groups.is_empty() && !bench.quick);
        let mut session = Self { experiments: planned, peers, node, with_conformance, topics: 0, interrupt };
        if let Some(mode) = session.reply_mode()? {
            session.experiments = experiments(bench, mode);
        }
        Ok(session)
    }

    /// What the broker is, if there is one.
    pub(crate) fn broker(&self) -> Option<String> {
        Some(self.node.as_ref()?.node.attached().broker())
    }

    /// Runs every experiment. A program that fails leaves its place in the round empty.
    ///
    /// # Errors
    /// When interrupted, or when the conformance suite does not run.
    pub(crate) fn measure(&mut self) -> Result<Samples> {
        let mut samples = Samples::default();
        let experiments = self.experiments.clone();
        let progress = Progress::new(&experiments);
        for experiment in &experiments {
            for round in 0..experiment.rounds {
                progress.round(experiment, round);
                for run in &experiment.runs {
                    self.interrupt.check()?;
                    progress.run(experiment.name, run.program.executable());
                    match self.run(run) {
                        Ok(figures) => {
                            let (experiment, program, at) = (experiment.name, run.program, run.at);
                            samples.add(Sample { experiment, program, at, round, figures });
                        }
                        Err(error) => {
                            // An interrupt ends the program too.
                            self.interrupt.check()?;
                            let line = left_out(experiment.name, run, &error);
                            progress.note(&line);
                            samples.leave_out(line);
                        }
                    }
                    progress.done();
                }
            }
        }
        if self.with_conformance {
            samples.add(conformance::measure(self.interrupt)?);
        }
        Ok(samples)
    }

    /// The delivery mode that our servers give their replies: the programs on lapin are to use the same.
    fn reply_mode(&mut self) -> Result<Option<u8>> {
        let planned = self.experiments.iter().flat_map(|experiment| &experiment.runs);
        let peers: Vec<&Run> = planned.filter(|run| run.on_broker && run.program == Program::Frames).collect();
        if peers.is_empty() {
            return Ok(None);
        }
        let words = "call --role client --in-flight 1 --warm-up 0.1 --seconds 0.1";
        let line = self.run(&Run::on_broker(Program::Frames, 0, words).of_server(Program::Ours))?;
        let mode = line.get("reply_mode").context("the delivery mode of replies was not reported")?;
        Ok(Some(if mode < 1.5 { 1 } else { 2 }))
    }

    fn run(&mut self, run: &Run) -> Result<Line> {
        match run.tool {
            Tool::None | Tool::Allocations => {
                let command = self.command(run)?;
                self.finish(run, command)
            }
            tool => self.count(run, tool),
        }
    }

    /// Runs under a tool that counts, once and once with more operations.
    fn count(&mut self, run: &Run, tool: Tool) -> Result<Line> {
        if !counted::is_installed(tool) {
            anyhow::bail!("{} is not installed", counted::program(tool).unwrap_or_default());
        }
        let operations = run.operations().context("a counted run has a number of operations")?;
        let mut counts = [0.0; 2];
        for (count, factor) in counts.iter_mut().zip([1, LONGER]) {
            let command = counted::under(tool, &self.command(&run.with_operations(operations * factor))?);
            self.finish(run, command)?;
            *count = counted::count(tool)?;
        }
        Ok(counted::line(tool, counts, operations * (LONGER - 1)))
    }

    /// Runs a program to its end, beside its server if it has one.
    fn finish(&self, run: &Run, mut command: Command) -> Result<Line> {
        let Some(program) = run.server else { return Line::parse(&output_within(&mut command, RUN)?) };
        let mut serving = self.peers.command(program, Tool::None)?;
        serving.arg("serve");
        self.point(&mut serving, run.on_broker)?;
        let server = Server::start(&mut serving)?;
        command.args(["--server-process", &server.process().to_string()]);
        let output = output_within(&mut command, RUN);
        server.stop()?;
        Line::parse(&output?)
    }

    fn command(&mut self, run: &Run) -> Result<Command> {
        self.topics += 1;
        let mut command = self.peers.command(run.program, run.tool)?;
        command.args(&run.arguments);
        self.point(&mut command, run.on_broker)?;
        command.env("RUST_BACKTRACE", "0");
        Ok(command)
    }

    /// Names the broker and the topic of the run.
    fn point(&self, command: &mut Command, on_broker: bool) -> Result<()> {
        command.args(["--topic", &format!("bench{}", self.topics)]);
        if on_broker {
            let Broker { node, process } = self.node.as_ref().context("no broker was started")?;
            let port = node.attached().port();
            command.args(["--broker", &format!("127.0.0.1:{port}"), "--broker-process", process]);
        }
        Ok(())
    }
}

/// One line: a program may have said much before it failed.
fn left_out(experiment: &str, run: &Run, error: &anyhow::Error) -> String {
    let error = format!("{error:#}");
    // A panic ends with a hint, behind the message.
    let said = |line: &&str| !line.trim().is_empty() && !line.starts_with("note: ");
    let lines: Vec<&str> = error.lines().filter(said).collect();
    let short = match lines.as_slice() {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [first, .., last] => format!("{first} … {last}"),
    };
    format!("left out: {experiment}, {} at {}: {short}", run.program, run.at)
}

impl Broker {
    fn start(interrupt: &Interrupt) -> Result<Self> {
        Programs::install()?;
        interrupt.check()?;
        let node = Node::start()?;
        let process = node.rabbitmqctl(&["eval", "os:getpid()."])?.trim().trim_matches('"').to_owned();
        Ok(Self { node, process })
    }
}
