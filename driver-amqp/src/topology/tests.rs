use std::time::Duration;

use super::*;

/// RabbitMQ's text for a difference that can be adopted.
const DURABLE: &str = "PRECONDITION_FAILED - inequivalent arg 'durable' for queue 'q' in vhost '/': received 'false' but current is 'true'";
/// An exchange of another type routes differently, so it is never adopted.
const TYPE: &str = "PRECONDITION_FAILED - inequivalent arg 'type' for exchange 'e' in vhost '/': received 'topic' but current is 'direct'";
/// A stream in the place of a queue: its messages are not removed when they are acknowledged.
const STREAM: &str = "PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue 'q' in vhost '/': received none but current is the value 'stream' of type 'longstr'";
/// A queue in the place of a stream: it has no offsets.
const WANTED: &str = "PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue 'q' in vhost '/': received the value 'stream' of type 'longstr' but current is none";
/// A quorum queue works like a classic one. Both names contain the word that the parser looks for.
const QUORUM: &str = "PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue 'stream' in vhost 'stream': received none but current is the value 'quorum' of type 'longstr'";
/// The names of the queue and the virtual host imitate the text of the broker.
const NAMES: &str = "PRECONDITION_FAILED - inequivalent arg 'x-max-length' for queue 'the value 'stream'' in vhost 'inequivalent arg 'type'': received none but current is the value '9' of type 'long'";

/// An error that is about no difference is never adopted, whatever its kind.
#[test]
fn what_works_in_another_form_is_adopted_unless_strict_and_what_does_not_work_never() {
    for (kind, text, strict, expected) in [
        (ErrorKind::Topology, DURABLE, false, MismatchAction::Adopt),
        (ErrorKind::Topology, DURABLE, true, MismatchAction::Refuse),
        (ErrorKind::Topology, TYPE, false, MismatchAction::Refuse),
        (ErrorKind::Topology, STREAM, false, MismatchAction::Refuse),
        (ErrorKind::Topology, WANTED, false, MismatchAction::Refuse),
        (ErrorKind::Topology, QUORUM, false, MismatchAction::Adopt),
        (ErrorKind::Topology, QUORUM, true, MismatchAction::Refuse),
        (ErrorKind::Topology, NAMES, false, MismatchAction::Adopt),
        (ErrorKind::Topology, "RESOURCE_LOCKED - cannot obtain exclusive access", false, MismatchAction::Refuse),
        (ErrorKind::Denied, "ACCESS_REFUSED", false, MismatchAction::Refuse),
    ] {
        assert_eq!(mismatch_action(kind, text, strict), expected, "{text}");
    }
}

/// Python peers declare shared queues with the same settings, or one of the two fails with 406.
#[test]
fn private_queues_are_durable_and_expire_and_shared_ones_are_the_reference_s() {
    let config = AmqpConfig::default();
    let private = queue_form(Lifetime::Private, &config, TransientQueues::Allowed);
    assert!(private.durable && !private.auto_delete);
    assert_eq!(private.arguments.inner().get("x-expires"), Some(&AMQPValue::LongLongInt(1_800_000)));
    let shared = queue_form(Lifetime::Shared, &config, TransientQueues::Allowed);
    assert!(!shared.durable && !shared.auto_delete && shared.arguments.inner().is_empty());
}

/// Three options of the reference overlap. A wrong combination would differ from what a Python peer declares.
#[test]
fn each_of_the_three_options_makes_durable_what_is_its() {
    let forms = |config: &AmqpConfig| {
        let durable = |kind| exchange_form(kind, config, TransientQueues::Allowed).durable;
        let queue = |lifetime| {
            let form = queue_form(lifetime, config, TransientQueues::Allowed);
            (form.durable, form.arguments.contains_key("x-queue-type"))
        };
        let (topic, fanout) = (durable(ExchangeKind::Topic), durable(ExchangeKind::Fanout));
        (topic, fanout, queue(Lifetime::Shared), queue(Lifetime::Private))
    };
    let classic = (true, false);
    assert_eq!(forms(&AmqpConfig::default()), (false, false, (false, false), classic));
    assert_eq!(forms(&AmqpConfig::durable()), (true, false, classic, classic));
    assert_eq!(forms(&AmqpConfig::quorum()), (true, true, (true, true), (true, true)));
    let shared = AmqpConfig { transient_quorum_queues: false, ..AmqpConfig::quorum() };
    assert_eq!(forms(&shared), (true, false, (true, true), classic));
}

/// Peers must agree on the exchange too, so all three change together.
#[test]
fn where_transient_queues_are_denied_exchanges_and_shared_queues_are_durable_together() {
    let (config, denied) = (AmqpConfig::default(), TransientQueues::Denied);
    for kind in [ExchangeKind::Topic, ExchangeKind::Fanout] {
        let form = exchange_form(kind, &config, denied);
        assert_eq!((form.durable, form.auto_delete), (true, kind == ExchangeKind::Fanout));
    }
    let shared = queue_form(Lifetime::Shared, &config, denied);
    assert!(shared.durable && shared.arguments.inner().is_empty());
    let quorum = AmqpConfig::quorum();
    let both = [denied, TransientQueues::Allowed].map(|transient| queue_form(Lifetime::Shared, &quorum, transient));
    assert_eq!(both[0], both[1]);
}

/// A private queue must survive a lost connection, so it expires instead.
#[test]
fn what_goes_with_its_last_user_is_shared_and_what_expires_is_private() {
    let config =
        AmqpConfig { auto_delete: true, transient_queues_ttl: Duration::from_secs(60), ..AmqpConfig::default() };
    let form = |config: &AmqpConfig, lifetime| queue_form(lifetime, config, TransientQueues::Allowed);
    let (shared, private) = (form(&config, Lifetime::Shared), form(&config, Lifetime::Private));
    assert_eq!((shared.auto_delete, private.auto_delete), (true, false));
    assert!(exchange_form(ExchangeKind::Topic, &config, TransientQueues::Allowed).auto_delete);
    assert_eq!(private.arguments.inner().get("x-expires"), Some(&AMQPValue::LongLongInt(60_000)));
    assert!(!shared.arguments.contains_key("x-expires"));
    let kept = AmqpConfig { transient_queues_ttl: Duration::ZERO, ..config };
    assert!(form(&kept, Lifetime::Private).arguments.inner().is_empty());
}

/// RabbitMQ refuses some of them on classic queues, and the reference sends them for shared queues only.
#[test]
fn limits_are_arguments_of_shared_quorum_queues_alone() {
    let limited = |config| AmqpConfig {
        quorum_delivery_limit: 5,
        quorum_max_memory_length: 6,
        quorum_max_memory_bytes: 7,
        ..config
    };
    let limits = |config: &AmqpConfig, lifetime| {
        let form = queue_form(lifetime, config, TransientQueues::Allowed);
        ["x-delivery-limit", "x-max-in-memory-length", "x-max-in-memory-bytes"]
            .map(|argument| form.arguments.inner().get(argument).and_then(AMQPValue::as_long_long_int))
    };
    assert_eq!(limits(&limited(AmqpConfig::quorum()), Lifetime::Shared), [Some(5), Some(6), Some(7)]);
    assert_eq!(limits(&limited(AmqpConfig::quorum()), Lifetime::Private), [None; 3]);
    assert_eq!(limits(&limited(AmqpConfig::default()), Lifetime::Shared), [None; 3]);
    assert_eq!(limits(&AmqpConfig::quorum(), Lifetime::Shared), [None; 3]);
    let lifted = AmqpConfig { quorum_delivery_limit: -1, ..AmqpConfig::quorum() };
    assert_eq!(limits(&lifted, Lifetime::Shared), [Some(-1), None, None]);
}

/// A limit that an operator configured is another difference, which is adopted or refused like any other.
#[test]
fn only_a_limit_that_we_wanted_lifted_is_declared_again_without_it() {
    /// The broker's text up to the values, which decide.
    const HEAD: &str = "PRECONDITION_FAILED - inequivalent arg 'x-delivery-limit' for queue 'q' in vhost '/': received";
    /// The other text with this argument: a classic queue knows no limit.
    const CLASSIC: &str = "PRECONDITION_FAILED - invalid arg 'x-delivery-limit' for queue 'q' in vhost '/' of queue type rabbit_classic_queue";
    for (rest, lifted) in [
        ("the value '-1' of type 'signedint' but current is none", true),
        ("the value '-1' of type 'long' but current is the value '20' of type 'long'", true),
        ("the value '5' of type 'long' but current is the value '-1' of type 'long'", false),
        ("none but current is the value '-1' of type 'long'", false),
    ] {
        let text = format!("{HEAD} {rest}");
        assert_eq!(Difference::of(&text).map(Difference::is_lifted_limit), Some(lifted), "{text}");
        assert!(is_about_delivery_limit(&Error::new(ErrorKind::Topology, "declare queue").with_source(text)));
    }
    assert!(is_about_delivery_limit(&Error::new(ErrorKind::Topology, "declare queue").with_source(CLASSIC)));
    assert!(!is_about_delivery_limit(&Error::new(ErrorKind::Topology, "declare queue").with_source(DURABLE)));
    assert!(!is_about_delivery_limit(&Error::new(ErrorKind::Denied, "declare queue").with_source(CLASSIC)));
}

/// Declaring it as new would fail. Its messages come back with the node.
#[test]
fn a_queue_whose_node_is_down_is_not_gone() {
    let refused = |text: &'static str| Error::new(ErrorKind::Topology, "find queue").with_source(text);
    assert!(is_gone(&refused("NOT_FOUND - no queue 'q' in vhost '/'"), "queue"));
    for text in [
        "NOT_FOUND - home node 'rabbit@two' of durable queue 'q' in vhost '/' is down or inaccessible",
        "NOT_FOUND - queue 'q' in vhost '/' process is stopped by supervisor",
        "NOT_FOUND - no exchange 'e' in vhost '/'",
        "RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'q' in vhost '/'",
    ] {
        assert!(!is_gone(&refused(text), "queue"), "{text}");
    }
}
