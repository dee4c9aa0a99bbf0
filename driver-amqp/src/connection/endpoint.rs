//! Where a broker is and who asks.

use std::sync::Arc;

use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo};
use oslo_messaging::{Error, ErrorKind};

use crate::brokers::BrokerFacts;
use crate::brokers::channel_quota::ChannelQuota;
use crate::config::AmqpConfig;
use crate::frames::FRAME_MAX;

/// The largest frame that RabbitMQ takes before a login.
const LOGIN_FRAME: usize = 4096;

/// How long user and password may be to fit into it for certain, beside what else we say of ourselves there.
const LONGEST_LOGIN: usize = LOGIN_FRAME - 1024;

/// Where a broker is and who asks.
#[derive(Clone)]
pub(crate) struct Endpoint {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) user: String,
    pub(crate) password: String,
    pub(crate) vhost: String,
    /// What was learned of the broker there.
    pub(crate) facts: Arc<BrokerFacts>,
    /// How many channels there may be, on all connections of a transport together.
    pub(crate) quota: Arc<ChannelQuota>,
}

impl Endpoint {
    /// How it is called in logs and errors.
    pub(crate) fn name(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

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

    /// Adds to the `error` of a login what it may mean: before a login a broker takes small frames only, and ends the
    /// connection at a larger one without a word.
    pub(crate) fn explain_end(&self, error: Error) -> Error {
        let login = self.user.len().saturating_add(self.password.len());
        if error.kind() != ErrorKind::Disconnected || login <= LONGEST_LOGIN {
            return error;
        }
        let reason = format_args!(
            "user and password are {login} bytes long, and the connection ended at the login: a broker takes a frame of \
             {LOGIN_FRAME} bytes there, unless_ended its `initial_frame_max` is larger (8192 from RabbitMQ 4.1 on)"
        );
        Error::new(ErrorKind::Config, "connect").with("reason", reason)
    }

    pub(crate) fn explain(&self, error: Error) -> Error {
        let error = error.with("host", self.name());
        match error.kind() {
            ErrorKind::Denied => error.with("user", &self.user).with("virtual_host", &self.vhost),
            ErrorKind::Config => error.with("virtual_host", &self.vhost),
            _ => error,
        }
    }
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:***@{}:{}/{}", self.user, self.host, self.port, self.vhost)
    }
}
