use oslo_messaging::ConfigFile;
use oslo_messaging::config::TransportUrl;

use super::*;

/// The default configuration with the query of `url` applied; what a whole connect would check is not checked.
fn read(url: &str) -> Result<AmqpConfig> {
    AmqpConfig::default().with_query(&TransportUrl::parse(url)?)
}

/// The query comes last, so an operator can override a program's settings in the URL.
#[test]
fn the_query_goes_over_what_was_set_and_the_scheme_may_ask_for_tls() {
    let config = read("rabbit://h/?heartbeat_timeout_threshold=60&amqp_durable_queues=true&ssl=False").unwrap();
    assert_eq!((config.heartbeat, config.durable_queues, config.use_tls), (Duration::from_secs(60), true, false));
    assert!(read("amqps://h/").unwrap().use_tls);
    assert!(read("rabbit://h/?nonsense=1").is_err());
}

/// An unknown option in a file is no error: it may belong to another release of the reference.
#[test]
fn a_file_of_the_reference_is_read_and_what_is_old_in_it_is_left() {
    let text = "[oslo_messaging_rabbit]\nrabbit_quorum_queue = true\nheartbeat_in_pthread = false\n";
    let file = ConfigFile::parse(text).unwrap();
    assert!(AmqpConfig::default().with_file(&file).unwrap().quorum_queues);
    let file = ConfigFile::parse("[oslo_messaging_rabbit]\nssl = maybe\n").unwrap();
    assert_eq!(AmqpConfig::default().with_file(&file).unwrap_err().kind(), ErrorKind::Config);
}

/// The probe costs a queue and, where it is denied, a connection.
#[test]
fn a_broker_need_not_be_asked_when_everything_is_durable() {
    let both = AmqpConfig { transient_quorum_queues: true, ..AmqpConfig::durable() };
    let asked = [AmqpConfig::default(), AmqpConfig::durable(), both, AmqpConfig::quorum()];
    assert_eq!(asked.map(|config| config.declares_transient()), [true, true, false, false]);
}

/// Zero would block every publish; beyond the limit each confirm becomes expensive.
#[test]
fn a_window_that_lets_nothing_out_or_too_much_is_refused() {
    let check = |publish_window| AmqpConfig { publish_window, ..AmqpConfig::default() }.check();
    for window in [0, 4_097] {
        assert_eq!(check(window).unwrap_err().kind(), ErrorKind::Config, "{window}");
    }
    assert!(check(1).is_ok() && check(4_096).is_ok());
}

/// AMQP has 16 bits of whole seconds for the heartbeat.
#[test]
fn a_timeout_of_zero_and_a_heartbeat_that_amqp_cannot_carry_are_refused() {
    let (none, default) = (Duration::ZERO, AmqpConfig::default());
    let secs = Duration::from_secs;
    for (option, config) in [
        ("connect_timeout", AmqpConfig { connect_timeout: none, ..default.clone() }),
        ("request_timeout", AmqpConfig { request_timeout: none, ..default.clone() }),
        ("confirm_timeout", AmqpConfig { confirm_timeout: none, ..default.clone() }),
        ("heartbeat", AmqpConfig { heartbeat: Duration::from_millis(500), ..default.clone() }),
        ("heartbeat", AmqpConfig { heartbeat: Duration::from_millis(1_500), ..default.clone() }),
        ("heartbeat", AmqpConfig { heartbeat: secs(65_536), ..default.clone() }),
    ] {
        let error = config.check().expect_err(option);
        assert!(error.kind() == ErrorKind::Config && error.to_string().contains(option), "{error}");
    }
    for heartbeat in [none, secs(1), secs(65_535)] {
        assert!(AmqpConfig { heartbeat, ..default.clone() }.check().is_ok(), "{heartbeat:?}");
    }
}

/// A heartbeat of zero means that of the broker, 60 s.
#[test]
fn a_name_is_waited_for_until_the_broker_has_missed_two_heartbeats() {
    let patience = |heartbeat| AmqpConfig { heartbeat, ..AmqpConfig::default() }.name_release_timeout().as_secs();
    assert_eq!([Duration::from_secs(7), Duration::ZERO].map(patience), [14, 120]);
}

/// The error must not contain the password either.
#[test]
fn a_scheme_that_says_tls_is_never_spoken_without() {
    let error = read("amqps://u:secret@h/?ssl=false").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("amqps") && !error.to_string().contains("secret"), "{error}");
    assert!(read("amqps://h/?ssl=true").unwrap().use_tls && !read("amqp://h/?ssl=false").unwrap().use_tls);
}

/// The header `compression` marks a compressed body. `gzip` announces zlib data, as kombu writes it.
#[test]
fn bodies_are_compressed_as_the_file_says_and_not_twice() {
    let file = ConfigFile::parse("[oslo_messaging_rabbit]\nkombu_compression = gzip\n").unwrap();
    let config = AmqpConfig::default().with_file(&file).unwrap();
    let once = config.compressed(Message::new("text"));
    assert_eq!(once.headers[HEADER], "application/x-gzip");
    assert_eq!(oslo_messaging::wire::compression::body(&once).unwrap(), "text");
    assert_eq!(config.compressed(once.clone()).body, once.body);
    assert!(AmqpConfig::default().compressed(Message::new("text")).headers.is_empty());
}

/// The reference refuses this combination too.
#[test]
fn streams_need_what_the_reference_says() {
    assert!(read("rabbit://h/?rabbit_stream_fanout=true").unwrap().check().is_err());
    let both = "rabbit://h/?rabbit_stream_fanout=true&rabbit_transient_quorum_queue=true";
    assert!(read(both).unwrap().check().is_ok());
}

/// Zero of the option means no limit of its own.
#[test]
fn a_listener_holds_no_more_than_it_wants_and_may() {
    let window = NonZeroU16::new(64).unwrap();
    let held = |max_prefetch| AmqpConfig { max_prefetch, ..AmqpConfig::default() }.prefetch(window);
    assert_eq!([0, 10, 100].map(held), [64, 10, 64]);
}

#[test]
/// A reference that leads nowhere must not become the value itself.
fn a_file_is_read_in_any_case_of_its_section_and_must_give_what_it_refers_to() {
    let read = |text: &str| AmqpConfig::default().with_file(&ConfigFile::parse(text).unwrap());
    assert!(read("[Oslo_Messaging_Rabbit]\nrabbit_quorum_queue = true\n").unwrap().quorum_queues);
    assert_eq!(read("[DEFAULT]\nme = h1\n[oslo_messaging_rabbit]\nhostname = $me\n").unwrap().hostname.unwrap(), "h1");
    let error = read("[oslo_messaging_rabbit]\nhostname = $me\n").unwrap_err();
    assert!(error.kind() == ErrorKind::Config && error.to_string().contains("$me"), "{error}");
}
