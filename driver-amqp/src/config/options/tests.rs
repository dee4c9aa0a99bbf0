use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use oslo_messaging::wire::Compression;

use super::table::{NUMBER, RabbitOption, SECONDS};
use super::*;
use crate::config::login::Login;
use crate::config::tls::Tls;

/// Counts the warnings of this thread, while it is the default subscriber.
#[derive(Default)]
struct Warnings(AtomicUsize);

impl Subscriber for Warnings {
    /// Only warnings, so other log lines of the code under test do not count.
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::WARN
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    /// Every event that comes here passed `enabled`, so it is a warning.
    fn event(&self, _: &Event<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The default configuration with this one option applied, or the error of that.
fn read(name: &str, value: &str) -> Result<AmqpConfig> {
    let mut config = AmqpConfig::default();
    apply(&mut config, name, value).map(|()| config)
}

/// `OPTIONS.md` is part of the public documentation, and must not drift from the table.
#[test]
fn the_document_lists_every_option_once() {
    let rows: Vec<_> = OPTIONS.iter().map(RabbitOption::row).collect();
    let table = format!("| option | takes | effect |\n|---|---|---|\n{}\n", rows.join("\n"));
    assert!(include_str!("../../../OPTIONS.md").ends_with(&table), "OPTIONS.md should end with\n{table}");
    let names: std::collections::BTreeSet<_> = OPTIONS.iter().map(|option| option.name).collect();
    assert_eq!(names.len(), OPTIONS.len());
}

/// The names are matched with fields by hand in the table, so each pair is checked once.
#[test]
fn each_option_has_the_effect_that_it_names() {
    assert!(read("amqp_durable_queues", "True").unwrap().durable_queues);
    assert!(read("amqp_auto_delete", "TRUE").unwrap().auto_delete);
    assert!(read("rabbit_quorum_queue", "yes").unwrap().quorum_queues);
    assert!(read("rabbit_transient_quorum_queue", "1").unwrap().transient_quorum_queues);
    assert_eq!(read("rabbit_quorum_delivery_limit", "5").unwrap().quorum_delivery_limit, 5);
    assert_eq!(read("rabbit_quorum_delivery_limit", "-1").unwrap().quorum_delivery_limit, -1);
    assert_eq!(read("rabbit_quorum_max_memory_length", "500").unwrap().quorum_max_memory_length, 500);
    assert_eq!(read("rabbit_quorum_max_memory_bytes", "70000").unwrap().quorum_max_memory_bytes, 70_000);
    assert_eq!(read("rabbit_qos_prefetch_count", "100").unwrap().max_prefetch, 100);
    assert_eq!(read("heartbeat_timeout_threshold", "60").unwrap().heartbeat, Duration::from_secs(60));
    assert_eq!(read("rabbit_retry_interval", "0.5").unwrap().reconnect_wait, Duration::from_millis(500));
    assert_eq!(read("rabbit_login_method", "external").unwrap().login, Login::External);
    assert!(read("ssl", "on").unwrap().use_tls);
    assert_eq!(read("ssl_ca_file", "/ca.pem").unwrap().tls, Tls::new().with_ca_file("/ca.pem"));
    assert_eq!(read("ssl_ca_file", "").unwrap().tls, Tls::new());
    let paper = Tls::new().with_identity("/cert.pem", "/key.pem");
    let written = read("ssl_cert_file", "/cert.pem").unwrap().with_option("ssl_key_file", "/key.pem").unwrap();
    assert_eq!(written.tls, paper);
    assert_eq!(read("rabbit_transient_queues_ttl", "60").unwrap().transient_queues_ttl, Duration::from_secs(60));
    assert_eq!(read("rabbit_interval_max", "5").unwrap().reconnect_wait_max, Duration::from_secs(5));
    assert!(read("kombu_failover_strategy", "shuffle").unwrap().shuffle_hosts);
    assert!(read("use_queue_manager", "true").unwrap().stable_queue_names);
    assert_eq!(read("hostname", "h1").unwrap().hostname.as_deref(), Some("h1"));
    assert_eq!(read("processname", "nova-api").unwrap().processname.as_deref(), Some("nova-api"));
    assert!(read("rabbit_stream_fanout", "true").unwrap().stream_fanout);
    for (value, compression) in [
        ("gzip", Some(Compression::Zlib)),
        ("bz2", Some(Compression::Bzip2)),
        ("bzip2", Some(Compression::Bzip2)),
        ("", None),
    ] {
        assert_eq!(read("kombu_compression", value).unwrap().compression, compression, "{value}");
    }
    assert_eq!(read("rabbit_ha_queues", "true").unwrap(), AmqpConfig::default());
}

/// An ignored value would leave an operator with a setting that does nothing.
#[test]
fn what_cannot_be_had_or_read_is_refused_with_its_name() {
    for (name, value) in [
        ("nonsense", "1"),
        ("heartbeat_timeout_threshold", "soon"),
        ("heartbeat_timeout_threshold", "-1"),
        ("amqp_auto_delete", "maybe"),
        ("rabbit_quorum_delivery_limit", "none"),
        ("rabbit_quorum_max_memory_length", "many"),
        ("rabbit_quorum_max_memory_bytes", "-1"),
        ("rabbit_qos_prefetch_count", "65536"),
        ("rabbit_login_method", "GSSAPI"),
        ("kombu_failover_strategy", "alphabetical"),
        ("rabbit_stream_fanout", "perhaps"),
        ("use_queue_manager", "perhaps"),
        ("kombu_compression", "zstd"),
        ("ssl_enforce_hostname_verification", "perhaps"),
        ("direct_mandatory_flag", "perhaps"),
        ("enable_cancel_on_failover", ""),
        ("rabbit_ha_queues", "all"),
        ("ssl_enforce_fips_mode", "perhaps"),
        ("heartbeat_rate", "often"),
        ("kombu_missing_consumer_retry_timeout", "1 min"),
        ("rpc_conn_pool_size", "large"),
        ("conn_pool_min_size", "small"),
        ("conn_pool_ttl", "long"),
        ("rabbit_retry_backoff", "much"),
        ("kombu_reconnect_delay", "-1"),
        ("kombu_reconnect_splay", "some"),
    ] {
        let error = read(name, value).unwrap_err();
        assert!(error.kind() == ErrorKind::Config && error.to_string().contains(name), "{error}");
    }
}

/// The defaults in the texts are parsed and applied; the result must be the default configuration.
#[test]
fn the_defaults_of_the_document_are_those_of_the_settings() {
    let mut warned = 0;
    for option in OPTIONS {
        let Some((_, default)) = option.says.rsplit_once("Default: ") else { continue };
        // What stands behind it says what the reference has, or when it is another.
        let end = default.find(" (").or_else(|| default.find(", ")).unwrap_or(default.len() - 1);
        let value = match &default[..end] {
            "none" | "nothing" => "",
            words if words.contains(' ') => "",
            value => value,
        };
        assert_eq!(read(option.name, value).unwrap(), AmqpConfig::default(), "{} = {value:?}", option.name);
        warned += 1;
    }
    assert!(warned >= 25, "{warned}");
}

/// A file that works for the reference must work here, with the same spellings of values.
#[test]
fn what_has_no_effect_is_read_as_the_reference_reads_it_and_changes_nothing() {
    for (name, value) in [
        ("direct_mandatory_flag", "False"),
        ("enable_cancel_on_failover", "ON"),
        ("rabbit_ha_queues", "yes"),
        ("heartbeat_rate", "3"),
        ("kombu_missing_consumer_retry_timeout", "120"),
        ("rpc_conn_pool_size", "30"),
        ("conn_pool_ttl", "-1"),
        ("ssl_version", ""),
        ("ssl_enforce_hostname_verification", "TRUE"),
        ("ssl_enforce_hostname_verification", "On"),
        ("ssl_enforce_hostname_verification", "false"),
    ] {
        assert_eq!(read(name, value).unwrap(), AmqpConfig::default(), "{name}");
    }
}

/// A warning for an option that works would teach operators to ignore warnings.
#[test]
fn only_an_option_without_effect_is_warned_about_when_it_is_read() {
    let warnings = Arc::new(Warnings::default());
    let warned = |name, value| {
        tracing::subscriber::with_default(Arc::clone(&warnings), || read(name, value)).unwrap();
        warnings.0.swap(0, Ordering::Relaxed)
    };
    assert_eq!((warned("heartbeat_rate", "2"), warned("rabbit_ha_queues", "true")), (1, 1));
    assert_eq!((warned("rabbit_retry_backoff", "2"), warned("ssl_enforce_hostname_verification", "true")), (0, 0));
    assert_eq!(warned("ssl_enforce_hostname_verification", "false"), 1);
}

/// `oslo.config` reads an empty number as none, and templates of configuration files produce such values.
#[test]
fn an_empty_number_is_none_and_nothing_else_may_be_empty() {
    for option in OPTIONS.iter().filter(|option| [NUMBER, SECONDS].contains(&option.takes)) {
        for empty in ["", "  "] {
            assert_eq!(read(option.name, empty).unwrap(), AmqpConfig::default(), "{}", option.name);
        }
    }
    assert!(read("ssl", "").is_err() && read("rabbit_login_method", "").is_err());
}

/// A password that ended up in the query reaches this error, and the error reaches logs.
#[test]
fn of_an_option_that_is_not_known_nothing_is_shown_that_may_be_a_password() {
    for name in ["password", "rabbit_password", "token", "pw"] {
        let error = read(name, "hunter2").unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(text.contains(name) && !text.contains("hunter2"), "{text}");
    }
    let error = read("hunter2@mq1/v", "").unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
}

#[test]
/// An operator who forgot `ssl = true` would otherwise not learn that the password is sent in plain text.
fn files_for_tls_without_tls_are_warned_of() {
    let warnings = Arc::new(Warnings::default());
    let warned = |options: &[(&str, &str)]| {
        let mut config = AmqpConfig::default();
        for (name, value) in options {
            apply(&mut config, name, value).unwrap();
        }
        tracing::subscriber::with_default(Arc::clone(&warnings), || config.warn_of_idle());
        warnings.0.swap(0, Ordering::Relaxed)
    };
    assert_eq!(
        (warned(&[("ssl_ca_file", "/ca.pem")]), warned(&[("ssl_cert_file", "/c.pem"), ("ssl", "false")])),
        (1, 1)
    );
    assert_eq!(
        (warned(&[]), warned(&[("ssl_ca_file", "")]), warned(&[("ssl_ca_file", "/ca.pem"), ("ssl", "1")])),
        (0, 0, 0)
    );
}
