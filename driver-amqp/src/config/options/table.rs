//! The table of options: `OPTIONS.md` is written from it, and a test compares them.

use std::str::FromStr;
use std::time::Duration;

use oslo_messaging::wire::Compression;
use oslo_messaging::{Error, ErrorKind, Result};
use tracing::warn;

use crate::config::AmqpConfig;
use crate::config::login::Login;

/// One option of the reference, with the texts that operators read about it.
///
/// The name, the accepted values and the effect are columns of `OPTIONS.md`
/// and parts of the error for an unusable value.
/// So `takes` and `says` are written for operators.
pub(crate) struct RabbitOption {
    /// The name in the section `[oslo_messaging_rabbit]`, and in the query of a URL.
    pub(crate) name: &'static str,
    /// The accepted values, or their unit.
    pub(crate) takes: &'static str,
    /// The effect, its default, and where it differs from the reference;
    /// also the text of the warning of an idle option.
    pub(crate) says: &'static str,
    /// Called with the value without surrounding white space.
    read: Read,
}

/// What a value does: it sets a field, or is only validated.
enum Read {
    /// Sets the field of the option. `None` means that the value is unusable; the caller turns it into an error.
    ///
    /// A function pointer and no closure with state, so the table can be a constant.
    Set(fn(&mut AmqpConfig, &str) -> Option<()>),
    /// Nothing: what the option governs does not exist here, or needs no option.
    /// The value is validated as in the reference, and a warning is logged.
    ///
    /// A file that is written for Python services therefore works unchanged,
    /// unless it has a value that the reference rejects.
    Idle(fn(&str) -> bool),
}

/// The two spellings that the documentation shows. The parser accepts those of `oslo.config` as well.
const BOOLEAN: &str = "true, false";
/// An integer without a unit. An empty value changes nothing.
pub(super) const NUMBER: &str = "a number";
/// Seconds, with a fraction if needed. An empty value changes nothing.
pub(super) const SECONDS: &str = "seconds";

/// A row for an option that has a field in [`AmqpConfig`].
/// `read` leaves the field as it is if it returns `None`.
const fn set(
    name: &'static str,
    takes: &'static str,
    says: &'static str,
    read: fn(&mut AmqpConfig, &str) -> Option<()>,
) -> RabbitOption {
    RabbitOption { name, takes, says, read: Read::Set(read) }
}

/// A row for an option that has no field. Its value must pass `is_valid`, and then only logs a warning.
const fn idle(name: &'static str, takes: &'static str, says: &'static str, is_valid: fn(&str) -> bool) -> RabbitOption {
    RabbitOption { name, takes, says, read: Read::Idle(is_valid) }
}

/// Every option of the section, in the reference's groups (oslo.messaging 18.3.1 `impl_rabbit.py` and `amqp.py`).
/// `OPTIONS.md` lists the rows in this order. A default that differs from the reference is stated with the reference's.
pub(crate) const OPTIONS: &[RabbitOption] = &[
    set(
        "amqp_durable_queues",
        BOOLEAN,
        "Shared queues and topic exchanges are durable. Default: false.",
        |config, value| boolean(value).map(|durable| config.durable_queues = durable),
    ),
    set(
        "amqp_auto_delete",
        BOOLEAN,
        "Shared queues and topic exchanges go with their last user. Default: false.",
        |config, value| boolean(value).map(|auto_delete| config.auto_delete = auto_delete),
    ),
    set(
        "rabbit_quorum_queue",
        BOOLEAN,
        "Shared queues are quorum queues, and topic exchanges durable. Default: false.",
        |config, value| boolean(value).map(|quorum| config.quorum_queues = quorum),
    ),
    set(
        "rabbit_transient_quorum_queue",
        BOOLEAN,
        "Reply and fanout queues are quorum queues, and fanout exchanges durable. Default: false.",
        |config, value| boolean(value).map(|quorum| config.transient_quorum_queues = quorum),
    ),
    set(
        // Signed: the reference has no use for -1, but RabbitMQ 4 does.
        "rabbit_quorum_delivery_limit",
        NUMBER,
        "How often a quorum queue hands a message over before it drops it; 0 leaves it to the broker, -1 lifts the limit from RabbitMQ 4.0 on, and is read as 0 by 3.x, which drops at the first redelivery. Default: 0.",
        |config, value| number(value).map(|limit| config.quorum_delivery_limit = limit),
    ),
    set(
        "rabbit_quorum_max_memory_length",
        NUMBER,
        "How many messages of a shared quorum queue the broker keeps in memory; 0 sets no limit. From RabbitMQ 3.10 on it keeps none, but still compares it, so every peer must say the same. Default: 0.",
        |config, value| number(value).map(|limit| config.quorum_max_memory_length = limit),
    ),
    set("rabbit_quorum_max_memory_bytes", NUMBER, "How many bytes of them, likewise. Default: 0.", |config, value| {
        number(value).map(|limit| config.quorum_max_memory_bytes = limit)
    }),
    set(
        "rabbit_transient_queues_ttl",
        SECONDS,
        "How long a private queue outlives its reader; 0 for ever. Default: 1800.",
        |config, value| seconds(value).map(|ttl| config.transient_queues_ttl = ttl),
    ),
    set(
        // AMQP has 16 bits for it in basic.qos.
        "rabbit_qos_prefetch_count",
        NUMBER,
        "The most messages that a listener holds at once from each of its queues, if it would take more; 0 sets no limit. Default: 0.",
        |config, value| number(value).map(|count| config.max_prefetch = count),
    ),
    set(
        "heartbeat_timeout_threshold",
        SECONDS,
        "Each side says every half of it that it is there, and gives the connection up after about twice of it in silence; the lower of ours and the broker's counts, and 0 leaves it to the broker, which says 60 by itself. Default: 10 (the reference: 60, and 0 turns it off).",
        |config, value| {
            // AMQP counts it in whole seconds.
            number(value).map(|heartbeat: u16| config.heartbeat = Duration::from_secs(heartbeat.into()))
        },
    ),
    set(
        "rabbit_retry_interval",
        SECONDS,
        "The longest first wait before a lost connection is made again; at least 0.1. Each wait is random below it, and it doubles. Another host of the URL is tried first, after a random wait of at most 0.25. Default: 0.1 (the reference: 1).",
        |config, value| seconds(value).map(|wait| config.reconnect_wait = wait),
    ),
    set(
        "rabbit_interval_max",
        SECONDS,
        "The longest of these waits, at least 0.1. Default: 10 (the reference: 30).",
        |config, value| seconds(value).map(|wait| config.reconnect_wait_max = wait),
    ),
    set(
        "rabbit_retry_backoff",
        "seconds, nothing",
        "By how much the longest waits grow with each try, instead of doubling. Default: nothing, they double (the reference: 2).",
        |config, value| {
            config.reconnect_backoff = if value.is_empty() { None } else { Some(seconds(value)?) };
            Some(())
        },
    ),
    set(
        "kombu_reconnect_delay",
        SECONDS,
        "The shortest of these waits, and of those before a cancelled consumer is put back. Default: 0 (the reference: 1).",
        |config, value| seconds(value).map(|wait| config.reconnect_delay = wait),
    ),
    set(
        "kombu_reconnect_splay",
        SECONDS,
        "What is added to `kombu_reconnect_delay` at most, each time at random. Default: 0.",
        |config, value| seconds(value).map(|wait| config.reconnect_splay = wait),
    ),
    set(
        // The two names that the reference offers.
        "kombu_failover_strategy",
        "round-robin, shuffle",
        "In which order the hosts of the URL are tried. Either way the order is random to begin with. Default: round-robin.",
        |config, value| {
            config.shuffle_hosts = match value {
                "round-robin" => false,
                "shuffle" => true,
                _ => return None,
            };
            Some(())
        },
    ),
    set(
        "rabbit_login_method",
        "PLAIN, AMQPLAIN, EXTERNAL, RABBIT-CR-DEMO",
        "How we say who we are. Default: AMQPLAIN.",
        |config, value| Login::named(value).map(|login| config.login = login),
    ),
    set(
        "ssl",
        BOOLEAN,
        "Connections are made inside of TLS. Default: false, or true with the scheme `amqps`.",
        |config, value| boolean(value).map(|on| config.use_tls = on),
    ),
    set(
        "ssl_ca_file",
        "a file",
        "The authorities that are trusted, as PEM. Default: those of the system.",
        |config, value| {
            config.tls.ca_file = file(value);
            Some(())
        },
    ),
    set("ssl_cert_file", "a file", "Our certificate, as PEM. Default: none.", |config, value| {
        config.tls.cert_file = file(value);
        Some(())
    }),
    set(
        "ssl_key_file",
        "a file",
        "The key of our certificate, as PEM, without a pass phrase. Default: in `ssl_cert_file`.",
        |config, value| {
            config.tls.key_file = file(value);
            Some(())
        },
    ),
    set(
        // Turning it off would accept any certificate of a trusted authority, also one of another machine.
        "ssl_enforce_hostname_verification",
        BOOLEAN,
        "The host name is always verified; false is taken with a warning.",
        |_, value| {
            if !boolean(value)? {
                warn!(
                    "ssl_enforce_hostname_verification = false is ignored; the driver always verifies the broker's host name"
                );
            }
            Some(())
        },
    ),
    set(
        "rabbit_stream_fanout",
        BOOLEAN,
        "The servers of a topic read their fanouts from one stream, each what is published while it runs; needs `rabbit_transient_quorum_queue`. Default: false.",
        |config, value| boolean(value).map(|stream| config.stream_fanout = stream),
    ),
    set(
        "use_queue_manager",
        BOOLEAN,
        "Reply and fanout queues have the same names after a restart, `<hostname>:<processname>:<number>` at their end, and are kept; one with another consumer is refused. Default: false.",
        |config, value| boolean(value).map(|stable| config.stable_queue_names = stable),
    ),
    set("hostname", "a name", "The machine in these names. Default: what the system calls it.", |config, value| {
        config.hostname = name(value);
        Some(())
    }),
    set("processname", "a name", "The process in these names. Default: the name of the program.", |config, value| {
        config.processname = name(value);
        Some(())
    }),
    set(
        "kombu_compression",
        "gzip, bz2, nothing",
        "How bodies are compressed that are sent; compressed ones are always read. Default: nothing.",
        |config, value| {
            config.compression = match value.to_ascii_lowercase().as_str() {
                "" | "none" => None,
                // The reference's own help says so, and kombu does not know it.
                "bz2" => Some(Compression::Bzip2),
                kombus => Some(Compression::from_header(kombus)?),
            };
            Some(())
        },
    ),
    idle("direct_mandatory_flag", BOOLEAN, "No effect: replies are always mandatory, as in the reference.", is_boolean),
    idle(
        "kombu_missing_consumer_retry_timeout",
        SECONDS,
        "No effect: a reply is tried until 5 s past its caller's deadline; for 60 s if the caller sent none, or its queue is gone.",
        is_number,
    ),
    idle("heartbeat_rate", NUMBER, "No effect: each side sends twice in `heartbeat_timeout_threshold`.", is_number),
    idle("enable_cancel_on_failover", BOOLEAN, "No effect: a cancelled consumer is always put back.", is_boolean),
    idle(
        "rpc_conn_pool_size",
        NUMBER,
        "No effect: there are two connections to one host, and more if listeners need more channels.",
        is_number,
    ),
    idle("conn_pool_min_size", NUMBER, "No effect, as `rpc_conn_pool_size`.", is_number),
    idle("conn_pool_ttl", SECONDS, "No effect, as `rpc_conn_pool_size`.", is_number),
    // Any name: the list of the reference depends on the Python that runs it.
    idle("ssl_version", "a name", "No effect: TLS 1.2 and 1.3 are spoken.", |_| true),
    idle("ssl_enforce_fips_mode", BOOLEAN, "No effect, nor in the reference.", is_boolean),
    idle(
        "rabbit_ha_queues",
        BOOLEAN,
        "No effect: RabbitMQ 3.0 took no notice of it any more. Use a policy.",
        is_boolean,
    ),
];

impl RabbitOption {
    /// Sets the field from `value`. An empty number changes nothing: `oslo.config` reads it as none.
    ///
    /// An unusable value leaves `config` as it was. The warning of an idle option is logged each time that it is read.
    ///
    /// Fails with `Config`, which names the option, the value, and what the option takes.
    pub(crate) fn apply(&self, config: &mut AmqpConfig, value: &str) -> Result<()> {
        // By the column and not by the function: the column is what an operator reads.
        if value.is_empty() && [NUMBER, SECONDS].contains(&self.takes) {
            return Ok(());
        }
        let taken = match self.read {
            Read::Set(set) => set(config, value),
            Read::Idle(is_valid) => is_valid(value).then(|| warn!(option = self.name, "{}", self.says)),
        };
        taken.ok_or_else(|| refused(self.name, value, &format!("it takes {}. {}", self.takes, self.says)))
    }

    /// The row of `OPTIONS.md`, which a test compares with the file.
    #[cfg(test)]
    pub(super) fn row(&self) -> String {
        format!("| `{}` | {} | {} |", self.name, self.takes, self.says)
    }
}

/// Accepts fractions, as the reference does for its float options.
/// `None` for a negative value, and for one that is too large for a `Duration` or is no number.
fn seconds(value: &str) -> Option<Duration> {
    let seconds = value.parse::<f64>().ok().filter(|seconds| *seconds >= 0.0)?;
    // The check above does not exclude infinity, and this does.
    Duration::try_from_secs_f64(seconds).ok()
}

/// The type of the field sets the range: a prefetch over 65,535 is refused, not cut off.
fn number<N: FromStr>(value: &str) -> Option<N> {
    value.parse().ok()
}

/// Accepts the spellings of `oslo.config`, in upper or lower case.
/// `None` for anything else, also for an empty value.
fn boolean(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Some(true),
        "false" | "0" | "no" | "off" => Some(false),
        // Anything else is a typing error, which must not mean "no".
        _ => None,
    }
}

/// The check of an idle option; only the spellings of the parser pass.
fn is_boolean(value: &str) -> bool {
    boolean(value).is_some()
}

/// The check of an idle option. A fraction does not pass, although some of these options are in seconds.
fn is_number(value: &str) -> bool {
    number::<i64>(value).is_some()
}

/// An empty value selects the default, which is known only when the name is used.
fn name(value: &str) -> Option<String> {
    (!value.is_empty()).then(|| value.to_owned())
}

/// The reference leaves files out by an empty text.
/// An empty value selects the default, and resets an earlier one.
fn file(value: &str) -> Option<std::path::PathBuf> {
    (!value.is_empty()).then(|| value.into())
}

/// The error names the option, the value and what is accepted.
/// No option of this table holds a secret, so the value may be shown.
fn refused(option: &str, value: &str, reason: &str) -> Error {
    Error::new(ErrorKind::Config, "read options")
        .with_context("option", option)
        .with_context("value", value)
        .with_context("reason", reason)
}
