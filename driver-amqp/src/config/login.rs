//! How a transport says who it is.

use lapin::uri::SASLMechanism;

/// The SASL mechanism of a login, by RabbitMQ's names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Login {
    /// User and password, in the form of every protocol.
    Plain,
    /// User and password, in the form of AMQP. The reference's default.
    #[default]
    AmqPlain,
    /// Nothing: the certificate that we show says it. The broker needs `rabbitmq_auth_mechanism_ssl`.
    External,
    /// User and password, the password in an answer to a question: a demonstration of RabbitMQ's, no safer than the others.
    RabbitCrDemo,
}

impl Login {
    /// The one that the reference and RabbitMQ call `name`; upper and lower case are the same.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name.to_ascii_uppercase().as_str() {
            "PLAIN" => Some(Self::Plain),
            "AMQPLAIN" => Some(Self::AmqPlain),
            "EXTERNAL" => Some(Self::External),
            "RABBIT-CR-DEMO" => Some(Self::RabbitCrDemo),
            _ => None,
        }
    }

    pub(crate) fn mechanism(self) -> SASLMechanism {
        match self {
            Self::Plain => SASLMechanism::Plain,
            Self::AmqPlain => SASLMechanism::AMQPlain,
            Self::External => SASLMechanism::External,
            Self::RabbitCrDemo => SASLMechanism::RabbitCrDemo,
        }
    }
}
