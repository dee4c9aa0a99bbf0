//! A running node as a test sees it: its URL, its contents, and its faults.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Map, Value, json};

use super::layout::Layout;
use super::ready;
use super::release::{BROKER, Release};
use crate::process::command::output_within;

/// The variable that names where clients connect to.
pub const RABBIT_URL: &str = "OSLO_TEST_RABBIT_URL";

/// The variable that, set to `1`, turns a live test that would be skipped into one that fails.
pub const REQUIRE_LIVE: &str = "OSLO_TEST_REQUIRE_LIVE";

/// The variable that names the file describing the node to [`AttachedNode::from_env`].
pub const RABBIT_NODE: &str = "OSLO_TEST_RABBIT_NODE";

/// How long one `rabbitmqctl` may take: a second or two, most of it to start Erlang.
const CONTROL: Duration = Duration::from_secs(60);

/// How long a node may run on after `SIGSTOP`: milliseconds, or as long as the machine is busy.
const FREEZING: Duration = Duration::from_secs(20);

/// What RabbitMQ notes of a queue whose declaration says nothing of its type.
const DEFAULT_TYPE: (Option<&str>, Option<&str>) = (Some("x-queue-type"), Some("classic"));

/// The share of memory above which RabbitMQ stops publishers by default.
const USUAL_WATERMARK: &str = "0.4";

/// A running node, whose owner is elsewhere.
#[derive(Debug, Clone)]
pub struct AttachedNode {
    url: String,
    layout: Layout,
}

impl AttachedNode {
    pub(super) fn new(layout: Layout) -> Self {
        Self { url: transport_url(&layout, "guest", "guest", ""), layout }
    }

    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }

    pub(super) fn directory(&self) -> &Path {
        self.layout.directory()
    }

    /// The node that `cargo xtask test` or `cargo xtask broker` exported to this process.
    ///
    /// # Errors
    /// When there is none; the message names the variable and the command that sets it.
    pub fn from_env() -> Result<Self> {
        let Some(file) = std::env::var_os(RABBIT_NODE) else {
            bail!("{RABBIT_NODE} is not set: run `cargo xtask test`, or export what `cargo xtask broker` prints");
        };
        Layout::read(Path::new(&file)).map(Self::new)
    }

    /// What it is: `RabbitMQ` and its version, and what else sets it apart.
    #[must_use]
    pub fn broker(&self) -> String {
        self.layout.broker()
    }

    /// Which release it is, if one was asked for.
    #[must_use]
    pub fn release(&self) -> Option<Release> {
        self.layout.release()
    }

    /// What another process needs to find this node, and to start others of its kind.
    #[must_use]
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let release = self.layout.release().map(|release| (BROKER, release.to_string()));
        let node = [(RABBIT_URL, self.url.clone()), (RABBIT_NODE, self.layout.file().display().to_string())];
        node.into_iter().chain(release).collect()
    }

    /// Where clients connect to, as `guest` and in the virtual host `/`: a transport URL, as this library and the
    /// reference read it.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where `user` connects to in `vhost`. Neither may hold a character that a URL would have to escape.
    #[must_use]
    pub fn url_as(&self, user: &str, password: &str, vhost: &str) -> String {
        transport_url(&self.layout, user, password, vhost)
    }

    /// The same as [`AttachedNode::url`] for programs that speak plain AMQP, such as a bare client library.
    #[must_use]
    pub fn amqp_url(&self) -> String {
        self.url.replacen("rabbit", "amqp", 1)
    }

    /// The port that clients connect to, on `127.0.0.1`.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.layout.amqp_port()
    }

    /// Runs `rabbitmqctl` against the node and returns what it prints.
    ///
    /// # Errors
    /// When it ends badly or takes longer than a minute, as it does while the node is paused.
    pub fn rabbitmqctl(&self, arguments: &[&str]) -> Result<String> {
        output_within(self.layout.rabbitmqctl().args(arguments), CONTROL)
    }

    /// The queues of `vhost`: `name`, `durable`, `auto_delete`, `exclusive`, `arguments`, `messages`, `consumers`, `type`.
    /// The arguments are those that were declared: that a queue is classic is left out, which RabbitMQ adds from 4.0 on.
    ///
    /// # Errors
    /// As [`AttachedNode::rabbitmqctl`].
    pub fn queues(&self, vhost: &str) -> Result<Vec<Map<String, Value>>> {
        let columns = ["name", "durable", "auto_delete", "exclusive", "arguments", "messages", "consumers", "type"];
        let mut queues = self.list("queues", vhost, &columns)?;
        for arguments in queues.iter_mut().filter_map(|queue| queue["arguments"].as_array_mut()) {
            arguments.retain(|argument| (argument[0].as_str(), argument[2].as_str()) != DEFAULT_TYPE);
        }
        Ok(queues)
    }

    /// The exchanges of `vhost`: `name`, `type`, `durable`, `auto_delete`, `internal`, `arguments`.
    ///
    /// # Errors
    /// As [`AttachedNode::rabbitmqctl`].
    pub fn exchanges(&self, vhost: &str) -> Result<Vec<Map<String, Value>>> {
        self.list("exchanges", vhost, &["name", "type", "durable", "auto_delete", "internal", "arguments"])
    }

    /// The bindings of `vhost`: `source_name`, `destination_name`, `destination_kind`, `routing_key`, `arguments`.
    ///
    /// # Errors
    /// As [`AttachedNode::rabbitmqctl`].
    pub fn bindings(&self, vhost: &str) -> Result<Vec<Map<String, Value>>> {
        let columns = ["source_name", "destination_name", "destination_kind", "routing_key", "arguments"];
        self.list("bindings", vhost, &columns)
    }

    /// Makes a virtual host in which `guest` may do everything: a broker of its own for one test.
    /// Its name may hold no character that a URL would have to escape.
    ///
    /// # Errors
    /// As [`AttachedNode::rabbitmqctl`]; when the node's directory cannot be written to.
    pub fn add_vhost(&self, vhost: &str) -> Result<()> {
        self.add_vhosts(&[vhost])
    }

    /// As [`AttachedNode::add_vhost`], of several, which takes hardly longer.
    ///
    /// # Errors
    /// As [`AttachedNode::add_vhost`].
    ///
    /// # Panics
    /// If there are none.
    pub fn add_vhosts(&self, vhosts: &[impl AsRef<str>]) -> Result<()> {
        let names = || vhosts.iter().map(AsRef::as_ref);
        let all = |vhost| json!({"user": "guest", "vhost": vhost, "configure": ".*", "write": ".*", "read": ".*"});
        let vhosts: Vec<_> = names().map(|name| json!({"name": name})).collect();
        // All at once: most of what a `rabbitmqctl` takes is the start of Erlang.
        let definitions = json!({"vhosts": vhosts, "permissions": names().map(all).collect::<Vec<_>>()});
        let file = self.directory().join(format!("{}.json", names().next().expect("there is one")));
        fs::write(&file, definitions.to_string()).with_context(|| format!("could not write {}", file.display()))?;
        let path = file.to_str().context("the node's directory has no name in Unicode")?;
        let imported = self.rabbitmqctl(&["import_definitions", path]);
        fs::remove_file(&file).with_context(|| format!("could not remove {}", file.display()))?;
        imported.map(drop)
    }

    /// Removes a virtual host with all its queues, closing the connections to it.
    ///
    /// # Errors
    /// As [`AttachedNode::rabbitmqctl`].
    pub fn delete_vhost(&self, vhost: &str) -> Result<()> {
        self.rabbitmqctl(&["delete_vhost", vhost]).map(drop)
    }

    /// Makes a user, who may do nothing until [`AttachedNode::set_permissions`].
    ///
    /// # Errors
    /// As [`AttachedNode::rabbitmqctl`].
    pub fn add_user(&self, user: &str, password: &str) -> Result<()> {
        self.rabbitmqctl(&["add_user", user, password]).map(drop)
    }

    /// Says which names `user` may configure, write to and read from in `vhost`: three regular expressions.
    ///
    /// # Errors
    /// As [`AttachedNode::rabbitmqctl`].
    pub fn set_permissions(&self, user: &str, vhost: &str, configure: &str, write: &str, read: &str) -> Result<()> {
        self.rabbitmqctl(&["set_permissions", "-p", vhost, user, configure, write, read]).map(drop)
    }

    /// Closes every connection to the node, as an operator would, with `reason`.
    ///
    /// # Errors
    /// As [`AttachedNode::rabbitmqctl`].
    pub fn close_all_connections(&self, reason: &str) -> Result<()> {
        self.rabbitmqctl(&["close_all_connections", "--global", reason]).map(drop)
    }

    /// Sets the share of memory above which publishers are stopped.
    ///
    /// # Errors
    /// As [`AttachedNode::rabbitmqctl`].
    pub fn set_vm_memory_high_watermark(&self, share: &str) -> Result<()> {
        self.rabbitmqctl(&["set_vm_memory_high_watermark", share]).map(drop)
    }

    /// Raises the memory alarm, which stops every publisher, until the guard is dropped.
    ///
    /// # Errors
    /// As [`AttachedNode::rabbitmqctl`].
    pub fn memory_alarm(&self) -> Result<MemoryAlarm> {
        self.set_vm_memory_high_watermark("0.0000001")?;
        Ok(MemoryAlarm(self.clone()))
    }

    /// Freezes the node with `SIGSTOP`: connections stay open and nothing answers, until the guard is dropped.
    ///
    /// # Errors
    /// When the server cannot be signalled, or does not stop.
    pub fn pause(&self) -> Result<Paused> {
        self.signal(Signal::STOP)?;
        let paused = Paused(self.clone());
        ready::frozen(self.process()?, FREEZING)?;
        Ok(paused)
    }

    /// Kills the server with `SIGKILL`. Only its owner can start it again.
    ///
    /// # Errors
    /// When the server cannot be signalled.
    pub fn kill(&self) -> Result<()> {
        self.signal(Signal::KILL)
    }

    fn list(&self, what: &str, vhost: &str, columns: &[&str]) -> Result<Vec<Map<String, Value>>> {
        let verb = format!("list_{what}");
        let mut arguments = vec!["--formatter", "json", &verb, "-p", vhost];
        arguments.extend(columns);
        let text = self.rabbitmqctl(&arguments)?;
        serde_json::from_str(&text).with_context(|| format!("`rabbitmqctl {verb}` did not print a table: {text}"))
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(self.process()?, signal).with_context(|| format!("could not send {signal:?} to the server"))
    }

    fn process(&self) -> Result<Pid> {
        Pid::from_raw(self.layout.process_id()?).context("the server has no process id")
    }
}

fn transport_url(layout: &Layout, user: &str, password: &str, vhost: &str) -> String {
    format!("rabbit://{user}:{password}@127.0.0.1:{}/{vhost}", layout.amqp_port())
}

/// A node that is frozen; dropping this thaws it.
#[derive(Debug)]
#[must_use = "dropping it thaws the node"]
pub struct Paused(AttachedNode);

impl Drop for Paused {
    fn drop(&mut self) {
        // Fails only when the server is gone, and then nothing is frozen.
        let _ = self.0.signal(Signal::CONT);
    }
}

/// A node whose publishers are stopped; dropping this lets them go on.
#[derive(Debug)]
#[must_use = "dropping it ends the alarm"]
pub struct MemoryAlarm(AttachedNode);

impl Drop for MemoryAlarm {
    fn drop(&mut self) {
        // Fails only when the server is gone, and then no alarm is left.
        let _ = self.0.set_vm_memory_high_watermark(USUAL_WATERMARK);
    }
}
