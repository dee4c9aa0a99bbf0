//! Several nodes that are one broker, each of which can be killed and comes back with the data it has.

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::attached::AttachedNode;
use super::layout::Settings;
use super::ready;
use super::release::Release;
use super::{Node, START};

/// A member that is cut off from most others stops, rather than go on by itself.
const CONFIGURATION: &str = "cluster_partition_handling = pause_minority\n";

/// Nodes of one broker, of the release that the environment names or of what is installed.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Node>,
}

impl Cluster {
    /// Starts `size` nodes, one after the other, and returns once they are one broker.
    ///
    /// # Errors
    /// As [`Node::start`].
    ///
    /// # Panics
    /// If `size` is zero.
    pub fn start(size: usize) -> Result<Self> {
        assert!(size > 0, "a cluster has members");
        let settings = Settings { configuration: CONFIGURATION.to_owned(), plugins: vec![] };
        let release = Release::from_env()?;
        let mut nodes = vec![Node::start_release(release, &settings)?];
        while nodes.len() < size {
            nodes.push(Node::join(&nodes[0], release, &settings)?);
        }
        Ok(Self { nodes })
    }

    /// How many members it has, whether they run or not.
    #[must_use]
    pub fn size(&self) -> usize {
        self.nodes.len()
    }

    /// Member number `index`, from 0.
    #[must_use]
    pub fn node(&self, index: usize) -> &AttachedNode {
        self.nodes[index].attached()
    }

    /// Where `guest` connects to in `vhost`: one URL with every member.
    #[must_use]
    pub fn url(&self, vhost: &str) -> String {
        let hosts: Vec<_> =
            self.nodes.iter().map(|node| format!("guest:guest@127.0.0.1:{}", node.attached().port())).collect();
        format!("rabbit://{}/{vhost}", hosts.join(","))
    }

    /// Which member leads the replicated queue `name` of `vhost`, as member `asked` sees it.
    ///
    /// # Errors
    /// When there is no such queue, or none leads it, or `asked` does not answer.
    pub fn leader(&self, asked: usize, vhost: &str, name: &str) -> Result<usize> {
        let table =
            self.node(asked).rabbitmqctl(&["--formatter", "json", "list_queues", "-p", vhost, "name", "leader"])?;
        let queues: Vec<Value> =
            serde_json::from_str(&table).with_context(|| format!("no table of queues: {table}"))?;
        let queue = queues.iter().find(|queue| queue["name"] == name).with_context(|| format!("no queue {name}"))?;
        let leads = |node: &Node| queue["leader"] == node.attached().layout().name();
        match self.nodes.iter().position(leads) {
            Some(index) => Ok(index),
            None => bail!("{name} has no leader: {queue}"),
        }
    }

    /// As [`Node::kill`], of one member.
    ///
    /// # Errors
    /// As [`Node::kill`].
    pub fn kill(&mut self, index: usize) -> Result<()> {
        self.nodes[index].kill()
    }

    /// Has one member stop as an operator would, who then may start it again.
    ///
    /// # Errors
    /// When it does not stop.
    pub fn shut_down(&mut self, index: usize) -> Result<()> {
        self.nodes[index].shut_down()
    }

    /// As [`Node::restart`], of one member: it has joined the others again when this returns.
    ///
    /// # Errors
    /// As [`Node::restart`].
    pub fn restart(&mut self, index: usize) -> Result<()> {
        self.nodes[index].restart()
    }

    /// Cuts one member off from all the others, and returns once it has paused, as the minority does: it closes the
    /// connections of its clients and takes no new ones.
    ///
    /// Erlang's connections between the nodes are cut and made impossible, by a cookie of the member's own for each of the
    /// others, so both sides notice at once; what a network does that swallows packets is noticed after a minute or so.
    ///
    /// # Errors
    /// When the member cannot be reached, or goes on.
    pub fn isolate(&self, index: usize) -> Result<()> {
        let others = self.others(index);
        let forget =
            format!("[erlang:set_cookie(N, cut_off) || N <- {others}], [erlang:disconnect_node(N) || N <- {others}].");
        self.node(index).rabbitmqctl(&["eval", &forget])?;
        ready::deaf(self.node(index).port(), START).with_context(|| format!("member {index} was cut off"))
    }

    /// Lets a member that was cut off reach the others again, and returns once it has joined them.
    ///
    /// # Errors
    /// When it cannot be reached, or does not come back.
    pub fn rejoin(&mut self, index: usize) -> Result<()> {
        let remember = format!("[erlang:set_cookie(N, erlang:get_cookie()) || N <- {}].", self.others(index));
        self.node(index).rabbitmqctl(&["eval", &remember])?;
        self.nodes[index].await_ready()
    }

    /// As [`Node::stop`], of every member.
    ///
    /// # Errors
    /// As [`Node::stop`]; the others are ended all the same.
    pub fn stop(self) -> Result<()> {
        let ended: Vec<_> = self.nodes.into_iter().map(Node::stop).collect();
        ended.into_iter().collect()
    }

    /// The names of all members but one, as a list of Erlang's.
    fn others(&self, index: usize) -> String {
        let names = (0..self.size()).filter(|other| *other != index);
        let names: Vec<_> = names.map(|other| format!("'{}'", self.node(other).layout().name())).collect();
        format!("[{}]", names.join(","))
    }
}
