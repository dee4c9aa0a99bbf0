//! The SASL mechanisms by which a connection can log in: three with a password, and one with a certificate.

use lapin::uri::SASLMechanism;

/// The SASL mechanism of a login, by RabbitMQ's names.
/// The default matches the reference. RabbitMQ enables PLAIN and AMQPLAIN by default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Login {
    /// User and password in one string, separated by NUL bytes (RFC 4616).
    Plain,
    /// User and password as an AMQP field table. The default of the reference.
    #[default]
    AmqPlain,
    /// No password: the client certificate is the identity.
    /// It needs TLS with [`Tls::with_identity`](crate::Tls::with_identity).
    /// The broker needs the plugin `rabbitmq_auth_mechanism_ssl`.
    External,
    /// User and password, with the password in reply to a challenge.
    /// A demonstration of RabbitMQ, no safer than the others.
    RabbitCrDemo,
}

impl Login {
    /// The mechanism that the reference and RabbitMQ call `name`, in upper or lower case. `None` for any other name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name.to_ascii_uppercase().as_str() {
            "PLAIN" => Some(Self::Plain),
            "AMQPLAIN" => Some(Self::AmqPlain),
            "EXTERNAL" => Some(Self::External),
            "RABBIT-CR-DEMO" => Some(Self::RabbitCrDemo),
            _ => None,
        }
    }

    /// lapin's mechanism of the same name. lapin writes the credentials in its form.
    pub(crate) fn mechanism(self) -> SASLMechanism {
        match self {
            Self::Plain => SASLMechanism::Plain,
            Self::AmqPlain => SASLMechanism::AMQPlain,
            Self::External => SASLMechanism::External,
            Self::RabbitCrDemo => SASLMechanism::RabbitCrDemo,
        }
    }
}
