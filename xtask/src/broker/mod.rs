//! A private RabbitMQ node, with its own ports, directories, cookie and port mapper. It ends with its owner.
//!
//! Nothing is shared with a RabbitMQ that the machine may already run, so a test may freeze, kill or fill its node.

mod attached;
mod cluster;
mod distribution;
mod keeper;
mod layout;
mod port;
mod programs;
mod ready;
mod release;

pub use attached::{AttachedNode, MemoryAlarm, Paused, RABBIT_NODE, RABBIT_URL, REQUIRE_LIVE};
pub use cluster::Cluster;
pub use distribution::{make, obstacle};
pub use layout::Settings;
pub use port::free_ports;
pub use programs::Programs;
pub use release::{BROKER, Release};

use std::process::{Child, Command};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::Signal;

use crate::process::command::{kill_group, wait_within};
use keeper::Keeper;
use layout::Layout;

/// How long a node may take until it speaks AMQP: seconds on an idle machine, much more on a loaded one.
const START: Duration = Duration::from_secs(120);

/// How long the Erlang port mapper may take until it listens.
const MAPPER_START: Duration = Duration::from_secs(20);

/// Another process may take a free port before the node binds it; the next attempt gets other ports.
const ATTEMPTS: usize = 3;

/// A running RabbitMQ node of our own. Dropping it kills it and removes its directory.
#[derive(Debug)]
pub struct Node {
    server: Child,
    /// Of its own, unless it has joined another node, whose it uses.
    mapper: Option<Child>,
    attached: AttachedNode,
    keeper: Keeper,
}

impl Node {
    /// Starts a node of the release that [`BROKER`] names, by default of what is installed, and returns once it has
    /// started wholly.
    ///
    /// # Errors
    /// When RabbitMQ is not installed, or the release was not made ready, or the node is not ready within two minutes; the end of its log is in the message.
    pub fn start() -> Result<Self> {
        Self::start_with(&Settings::default())
    }

    /// As [`start`](Self::start), with settings of its own.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_with(settings: &Settings) -> Result<Self> {
        Self::start_release(Release::from_env()?, settings)
    }

    /// As [`start`](Self::start), of `release` or of what is installed, whatever the environment says.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_release(release: Option<Release>, settings: &Settings) -> Result<Self> {
        Self::start_beside(None, release, settings)
    }

    /// Starts a node that makes one broker with `first`, which must outlive it.
    fn join(first: &Self, release: Option<Release>, settings: &Settings) -> Result<Self> {
        Self::start_beside(Some(first.attached.layout()), release, settings)
    }

    fn start_beside(first: Option<&Layout>, release: Option<Release>, settings: &Settings) -> Result<Self> {
        let mut attempt = 1;
        loop {
            match Self::start_once(first, release, settings) {
                Err(error) if attempt < ATTEMPTS && ready::ended_early(&error) => attempt += 1,
                outcome => return outcome,
            }
        }
    }

    fn start_once(first: Option<&Layout>, release: Option<Release>, settings: &Settings) -> Result<Self> {
        let programs = release.map_or_else(Programs::find, distribution::find)?;
        let layout = Layout::create(programs, release, first, settings)?;
        // From here on the keeper removes the directory, whatever becomes of us.
        let mut keeper = Keeper::start(layout.directory())?;
        let mut mapper = None;
        if first.is_none() {
            let started = layout.mapper().spawn().context("could not start the Erlang port mapper")?;
            keeper.watch(&[&started])?;
            mapper = Some(started);
            ready::mapper(layout.mapper_port(), MAPPER_START)?;
        }
        let server = layout.server()?.spawn().context("could not start RabbitMQ")?;
        keeper.watch(&mapper.iter().chain([&server]).collect::<Vec<_>>())?;
        let mut node = Self { server, mapper, attached: AttachedNode::new(layout), keeper };
        node.await_ready()?;
        Ok(node)
    }

    /// Where clients connect to: `rabbit://guest:guest@127.0.0.1:PORT/`.
    #[must_use]
    pub fn url(&self) -> &str {
        self.attached.url()
    }

    /// A handle of this node without its ownership, which can be cloned and sent to other threads.
    #[must_use]
    pub fn attached(&self) -> &AttachedNode {
        &self.attached
    }

    /// Runs `rabbitmqctl` against this node and returns what it prints.
    ///
    /// # Errors
    /// When it ends badly or takes longer than a minute.
    pub fn rabbitmqctl(&self, arguments: &[&str]) -> Result<String> {
        self.attached.rabbitmqctl(arguments)
    }

    /// Hands this node to a child process, which finds it with [`AttachedNode::from_env`].
    pub fn export(&self, command: &mut Command) {
        command.envs(self.attached.environment());
    }

    /// Keeps the directory, with data and log, when the node is gone; returns where it is.
    ///
    /// # Errors
    /// When the process that would remove it cannot be reached.
    pub fn keep_directory(&mut self) -> Result<&std::path::Path> {
        self.keeper.keep_directory()?;
        Ok(self.attached.directory())
    }

    /// Whether the server runs and takes connections.
    pub fn is_ready(&mut self) -> bool {
        matches!(self.server.try_wait(), Ok(None)) && ready::speaks(self.attached.port())
    }

    /// Ends the server at once, as a power cut would. Durable data stays for [`Node::restart`].
    ///
    /// # Errors
    /// When the server cannot be waited for.
    pub fn kill(&mut self) -> Result<()> {
        kill_group(&mut self.server, Signal::KILL)
    }

    /// Shuts the server down as an operator would, and returns once it has ended. [`Node::restart`] starts it again.
    ///
    /// # Errors
    /// When it does not stop within two minutes.
    pub fn shut_down(&mut self) -> Result<()> {
        self.rabbitmqctl(&["shutdown"])?;
        match wait_within(&mut self.server, START)? {
            Some(_) => Ok(()),
            None => bail!("RabbitMQ was shut down and did not end within {START:?}"),
        }
    }

    /// Starts the server again on the same ports with the data it has, killing it first if it still runs.
    ///
    /// # Errors
    /// As [`Node::start`].
    pub fn restart(&mut self) -> Result<()> {
        self.kill()?;
        self.server = self.attached.layout().server()?.spawn().context("could not start RabbitMQ again")?;
        self.keeper.watch(&self.mapper.iter().chain([&self.server]).collect::<Vec<_>>())?;
        self.await_ready()
    }

    /// Ends the node and removes its directory; dropping does the same and ignores errors.
    ///
    /// # Errors
    /// When something would not end or the directory could not be removed.
    pub fn stop(mut self) -> Result<()> {
        self.end()
    }

    fn await_ready(&mut self) -> Result<()> {
        let layout = self.attached.layout();
        ready::server(&mut self.server, layout.amqp_port(), START)
            .and_then(|()| ready::application(layout.rabbitmqctl(), START))
            .with_context(|| layout.end_of_log())
    }

    fn end(&mut self) -> Result<()> {
        let server = kill_group(&mut self.server, Signal::KILL);
        let mapper = self.mapper.as_mut().map_or(Ok(()), |mapper| kill_group(mapper, Signal::KILL));
        self.keeper.finish().and(server).and(mapper)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // A failure cannot be returned; the keeper does what fails here.
        let _ = self.end();
    }
}
