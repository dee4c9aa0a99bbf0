//! What makes a node private: its directory, its ports, its name, and the environment that carries them.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use super::port::free_ports;
use super::programs::{NOBODY, Programs};
use super::release::Release;

/// Two schedulers: enough to be quick, few enough not to fight the tests for the machine.
const ERLANG_ARGUMENTS: &str = "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none";

/// The configuration of a node beyond its environment. A log on the console would be written twice.
const CONFIGURATION: &str = "loopback_users = none\nheartbeat = 10\nlog.console = false\nlog.file.level = info\n";

/// Enough of a log to see why a node did not start.
const LOG_LINES: usize = 40;

/// What a node has beyond the others.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Lines of `rabbitmq.conf`.
    pub configuration: String,
    /// The plugins that it runs.
    pub plugins: Vec<String>,
}

/// Where one node lives. Written into its directory, so that another process can run `rabbitmqctl` against it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Layout {
    directory: PathBuf,
    programs: Programs,
    name: String,
    amqp_port: u16,
    distribution_port: u16,
    mapper_port: u16,
    version: String,
    release: Option<Release>,
    as_nobody: bool,
}

impl Layout {
    /// Makes the directory, with everything in it that the node reads. With `first` it makes one broker with that node:
    /// it has its cookie and its port mapper, and joins it when it starts for the first time.
    pub(super) fn create(
        programs: Programs,
        release: Option<Release>,
        first: Option<&Self>,
        settings: &Settings,
    ) -> Result<Self> {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let unique = format!("{}-{}", std::process::id(), STARTED.fetch_add(1, Ordering::Relaxed));
        let [amqp_port, distribution_port, mapper_port] = free_ports()?;
        let version = programs.version()?;
        let layout = Self {
            // Not under `target`, whose parents `nobody` may not be allowed to enter.
            directory: std::env::temp_dir().join(format!("oslo-messaging-rabbit-{unique}")),
            programs,
            name: format!("oslo-{unique}@localhost"),
            amqp_port,
            distribution_port,
            mapper_port: first.map_or(mapper_port, |first| first.mapper_port),
            version,
            release,
            as_nobody: rustix::process::geteuid().is_root(),
        };
        let peers = first.map(|first| joining([first, &layout])).unwrap_or_default();
        layout.write(settings, &peers).with_context(|| format!("could not prepare {}", layout.directory.display()))?;
        Ok(layout)
    }

    /// The layout of a node that another process started.
    pub(super) fn read(file: &Path) -> Result<Self> {
        let text = fs::read(file).with_context(|| format!("could not read {}", file.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("{} does not describe a node", file.display()))
    }

    /// The file that [`Layout::read`] reads.
    pub(super) fn file(&self) -> PathBuf {
        self.directory.join("node.json")
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// What it is: the version, and what else is to be known of it.
    pub(super) fn broker(&self) -> String {
        match self.release.and_then(Release::remark) {
            Some(remark) => format!("RabbitMQ {}, {remark}", self.version),
            None => format!("RabbitMQ {}", self.version),
        }
    }

    /// What the node is called among nodes.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn release(&self) -> Option<Release> {
        self.release
    }

    pub(super) fn amqp_port(&self) -> u16 {
        self.amqp_port
    }

    pub(super) fn mapper_port(&self) -> u16 {
        self.mapper_port
    }

    /// The port mapper in the foreground, so that it is a child of ours and not a daemon.
    pub(super) fn mapper(&self) -> Command {
        let mut command = self.command(&self.programs.mapper);
        command.args(["-port", &self.mapper_port.to_string(), "-address", "127.0.0.1"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        command
    }

    /// The server in the foreground, leading a process group of its own.
    pub(super) fn server(&self) -> Result<Command> {
        let console = fs::File::options().create(true).append(true).open(self.directory.join("console.log"))?;
        let mut command = self.command(&self.programs.scripts.join("rabbitmq-server"));
        command.stdin(Stdio::null()).stdout(console.try_clone()?).stderr(console).process_group(0);
        Ok(command)
    }

    /// `rabbitmqctl`, already pointed at this node.
    pub(super) fn rabbitmqctl(&self) -> Command {
        let mut command = self.command(&self.programs.scripts.join("rabbitmqctl"));
        command.args(["--quiet", "--node", &self.name]);
        command
    }

    /// The process id of the Erlang machine, as it wrote it down.
    pub(super) fn process_id(&self) -> Result<i32> {
        let file = self.directory.join("pid");
        let text = fs::read_to_string(&file).with_context(|| format!("could not read {}", file.display()))?;
        text.trim().parse().with_context(|| format!("{} holds no process id", file.display()))
    }

    /// What the node said last, for a message about its failure.
    pub(super) fn end_of_log(&self) -> String {
        let console = fs::read_to_string(self.directory.join("console.log")).unwrap_or_default();
        let log = fs::read_to_string(self.directory.join("log").join(format!("{}.log", self.name))).unwrap_or_default();
        let lines: Vec<_> = console.lines().chain(log.lines()).collect();
        let from = lines.len().saturating_sub(LOG_LINES);
        format!("the node {} did not become ready; the end of its log:\n{}", self.name, lines[from..].join("\n"))
    }

    fn write(&self, settings: &Settings, peers: &str) -> Result<()> {
        for directory in [self.directory.clone(), self.directory.join("log"), self.directory.join("mnesia")] {
            fs::create_dir(&directory)?;
            fs::set_permissions(&directory, fs::Permissions::from_mode(0o700))?;
            self.give(&directory)?;
        }
        let cookie = format!("oslo{}x{}", self.mapper_port, std::process::id());
        let description = serde_json::to_string(self)?;
        let configuration =
            [CONFIGURATION, self.release.map_or("", Release::configuration), &settings.configuration, peers].concat();
        let plugins = format!("[{}].\n", settings.plugins.join(","));
        for (name, content, mode) in [
            (".erlang.cookie", cookie.as_str(), 0o400),
            ("rabbitmq.conf", configuration.as_str(), 0o600),
            ("enabled_plugins", plugins.as_str(), 0o600),
            ("node.json", description.as_str(), 0o600),
        ] {
            let file = self.directory.join(name);
            fs::write(&file, content)?;
            fs::set_permissions(&file, fs::Permissions::from_mode(mode))?;
            self.give(&file)?;
        }
        Ok(())
    }

    fn give(&self, path: &Path) -> Result<()> {
        if self.as_nobody {
            chown(path, Some(NOBODY), Some(NOBODY))?;
        }
        Ok(())
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = self.programs.command(program, &self.directory);
        command.env_clear().envs(self.environment());
        command
    }

    /// All that RabbitMQ's scripts see: nothing of ours leaks in, and nothing of the machine's own RabbitMQ.
    fn environment(&self) -> Vec<(&'static str, String)> {
        let under = |name: &str| self.directory.join(name).display().to_string();
        let scripts = self.programs.scripts.display();
        let erlang = self.programs.mapper.parent().unwrap_or(Path::new("/usr/bin")).display();
        let port = |port: u16| port.to_string();
        vec![
            ("HOME", self.directory.display().to_string()),
            ("PATH", format!("{scripts}:{erlang}:/usr/bin:/bin:/usr/sbin:/sbin")),
            ("LANG", "C.UTF-8".into()),
            ("ERL_EPMD_PORT", port(self.mapper_port)),
            ("ERL_EPMD_ADDRESS", "127.0.0.1".into()),
            ("RABBITMQ_NODENAME", self.name.clone()),
            ("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1".into()),
            ("RABBITMQ_NODE_PORT", port(self.amqp_port)),
            ("RABBITMQ_DIST_PORT", port(self.distribution_port)),
            ("RABBITMQ_MNESIA_BASE", under("mnesia")),
            ("RABBITMQ_LOG_BASE", under("log")),
            ("RABBITMQ_PID_FILE", under("pid")),
            ("RABBITMQ_CONFIG_FILE", under("rabbitmq")),
            ("RABBITMQ_ADVANCED_CONFIG_FILE", under("advanced")),
            ("RABBITMQ_CONF_ENV_FILE", under("env.conf")),
            ("RABBITMQ_ENABLED_PLUGINS_FILE", under("enabled_plugins")),
            ("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", ERLANG_ARGUMENTS.into()),
        ]
    }
}

/// What tells a node which others it makes one broker with.
fn joining(nodes: [&Layout; 2]) -> String {
    let mut lines = "cluster_formation.peer_discovery_backend = classic_config\n".to_owned();
    for (place, node) in nodes.iter().enumerate() {
        let _ = writeln!(lines, "cluster_formation.classic_config.nodes.{} = {}", place + 1, node.name);
    }
    lines
}

#[cfg(test)]
mod tests;
