//! The address and credentials of one broker, checked for what AMQP can carry.

use std::sync::Arc;

use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo};
use oslo_messaging::{Error, ErrorKind};

use crate::brokers::BrokerFacts;
use crate::brokers::channel_quota::ChannelQuota;
use crate::config::AmqpConfig;
use crate::frames::FRAME_MAX;

/// The largest frame that RabbitMQ accepts before login, in bytes.
/// RabbitMQ's `initial_frame_max` before 4.1; from then on it is 8,192.
const LOGIN_FRAME: usize = 4096;

/// The longest user and password, in bytes together, that certainly fit into it beside the client properties.
/// An estimate: the client properties are counted with 1,024 bytes.
const LONGEST_LOGIN: usize = LOGIN_FRAME - 1024;

/// The address and credentials of one broker. `Debug` shows no password.
/// It is cloned for each connection; the facts and the quota are shared by the clones.
#[derive(Clone)]
pub(crate) struct Endpoint {
    /// A name or an address, as in the URL. It is also the name that the broker's certificate must have.
    pub(crate) host: String,
    /// The default depends on TLS: 5671 with it, 5672 without.
    pub(crate) port: u16,
    /// Each host of a URL may have its own.
    pub(crate) user: String,
    /// In no log and no error.
    pub(crate) password: String,
    /// The virtual host, without a leading slash.
    pub(crate) vhost: String,
    /// What the broker has answered about transient queues. It survives the loss of a link.
    pub(crate) facts: Arc<BrokerFacts>,
    /// The channel limit, shared by all hosts of the transport.
    pub(crate) quota: Arc<ChannelQuota>,
}

impl Endpoint {
    /// `host:port`, for logs and errors.
    pub(crate) fn name(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// The URI for lapin: credentials, virtual host,
    /// and the limits that the driver requests. lapin opens no socket for it.
    ///
    /// The scheme is always `amqp`, because lapin gets a stream
    /// that is inside of TLS already. The heartbeat is in whole seconds.
    pub(crate) fn uri(&self, config: &AmqpConfig) -> AMQPUri {
        AMQPUri {
            scheme: AMQPScheme::AMQP,
            authority: AMQPAuthority {
                userinfo: AMQPUserInfo { username: self.user.clone(), password: self.password.clone() },
                host: self.host.clone(),
                port: self.port,
            },
            vhost: self.vhost.clone(),
            query: AMQPQueryString {
                frame_max: Some(FRAME_MAX),
                heartbeat: Some(u16::try_from(config.heartbeat.as_secs()).unwrap_or(u16::MAX)),
                auth_mechanism: Some(config.login.mechanism()),
                ..AMQPQueryString::default()
            },
        }
    }

    /// Explains an `error` of the login: before login a broker accepts small frames only,
    /// and closes the connection without a reason at a larger one.
    ///
    /// Only a connection that ended without a reason is explained,
    /// and only if the credentials are long enough to be the cause.
    pub(crate) fn explain_end(&self, error: Error) -> Error {
        let login = self.user.len().saturating_add(self.password.len());
        if error.kind() != ErrorKind::Disconnected || login <= LONGEST_LOGIN {
            return error;
        }
        let reason = format_args!(
            "user and password are {login} bytes long, and the connection ended at the login: a broker takes a frame of \
             {LOGIN_FRAME} bytes there, unless its `initial_frame_max` is larger (8192 from RabbitMQ 4.1 on)"
        );
        Error::new(ErrorKind::Config, "connect").with_context("reason", reason)
    }

    /// Adds the host to `error`, and what an operator may have to correct:
    /// the user or the virtual host. The password is never added.
    pub(crate) fn explain(&self, error: Error) -> Error {
        let error = error.with_context("host", self.name());
        match error.kind() {
            ErrorKind::Denied => error.with_context("user", &self.user).with_context("virtual_host", &self.vhost),
            ErrorKind::Config => error.with_context("virtual_host", &self.vhost),
            _ => error,
        }
    }
}

impl std::fmt::Debug for Endpoint {
    /// The password is replaced by asterisks.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:***@{}:{}/{}", self.user, self.host, self.port, self.vhost)
    }
}
