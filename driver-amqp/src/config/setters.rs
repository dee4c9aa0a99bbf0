//! A `with_*` method for each field of [`AmqpConfig`].

use std::time::Duration;

use oslo_messaging::wire::Compression;

use super::AmqpConfig;
use super::login::Login;
use super::tls::Tls;

/// Defines methods that set one field. The documentation of a field has its unit, range and default.
macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident => $field:ident: $kind:ty;)+) => {
        impl AmqpConfig {
            $(
                $(#[$doc])*
                #[must_use]
                pub fn $name(mut self, $field: $kind) -> Self {
                    self.$field = $field;
                    self
                }
            )+
        }
    };
}

setters! {
    /// Sets how long one host may take to accept a connection and finish the handshake. Default: 10 s.
    with_connect_timeout => connect_timeout: Duration;
    /// Sets how long the broker may take to answer one request, such as a declaration. Default: 15 s.
    with_request_timeout => request_timeout: Duration;
    /// Sets how old an unconfirmed publish may get before its channel is closed. Default: 30 s.
    with_confirm_timeout => confirm_timeout: Duration;
    /// Sets the AMQP heartbeat, in whole seconds; zero accepts the broker's. Default: 10 s.
    with_heartbeat => heartbeat: Duration;
    /// Sets how many channels publish side by side, at least one, and one more for fanouts. Default: 4.
    with_publish_channels => publish_channels: usize;
    /// Sets how many publishes of one channel may be unconfirmed, 1 to 4,096. Default: 512.
    with_publish_window => publish_window: usize;
    /// Sets the largest body that is sent, in bytes, after compression. Default: 128 MiB.
    with_max_message_size => max_message_size: usize;
    /// Sets how long a private queue outlives its consumer; zero keeps it forever. Default: 30 min.
    with_transient_queues_ttl => transient_queues_ttl: Duration;
    /// Sets whether shared queues and topic exchanges survive a restart of the broker. Default: no.
    with_durable_queues => durable_queues: bool;
    /// Sets whether shared queues are declared as quorum queues, and topic exchanges durable. Default: no.
    with_quorum_queues => quorum_queues: bool;
    /// Sets whether reply and fanout queues are declared as quorum queues, and fanout exchanges durable. Default: no.
    with_transient_quorum_queues => transient_quorum_queues: bool;
    /// Sets the delivery limit that shared quorum queues are declared with; zero declares none.
    with_quorum_delivery_limit => quorum_delivery_limit: i32;
    /// Sets how many messages of a shared quorum queue the broker keeps in memory; zero sets no limit.
    with_quorum_max_memory_length => quorum_max_memory_length: u64;
    /// Sets how many bytes of a shared quorum queue the broker keeps in memory; zero sets no limit.
    with_quorum_max_memory_bytes => quorum_max_memory_bytes: u64;
    /// Sets the most unacknowledged messages of one consumer of a listener; zero sets no limit. Default: 0.
    with_max_prefetch => max_prefetch: u16;
    /// Sets the upper bound of the first wait before a reconnect; less than 100 ms counts as 100 ms. Default: 100 ms.
    with_reconnect_wait => reconnect_wait: Duration;
    /// Sets the upper bound of every wait before a reconnect; less than 100 ms counts as 100 ms. Default: 10 s.
    with_reconnect_wait_max => reconnect_wait_max: Duration;
    /// Sets the lower bound of every wait before a reconnect, also to another host. Default: 0 s.
    with_reconnect_delay => reconnect_delay: Duration;
    /// Sets the largest random addition to `reconnect_delay`, drawn for each wait. Default: 0 s.
    with_reconnect_splay => reconnect_splay: Duration;
    /// Sets whether the hosts are shuffled again whenever all were tried. Default: no, the first random order stays.
    with_shuffle_hosts => shuffle_hosts: bool;
    /// Sets the least time between two checks of the queues of listeners; zero turns the checks off. Default: 5 min.
    with_queue_checks => queue_checks: Duration;
    /// Sets the SASL mechanism of the login. Default: [`Login::AmqPlain`].
    with_login => login: Login;
    /// Sets whether connections use TLS, with the files of `tls`. Default: no, unless the scheme is `amqps`.
    with_use_tls => use_tls: bool;
    /// Sets whether shared queues and topic exchanges are deleted with their last consumer or binding. Default: no.
    with_auto_delete => auto_delete: bool;
    /// Sets whether reply and fanout queues keep their names when the process restarts. Default: no, they are random.
    with_stable_queue_names => stable_queue_names: bool;
    /// Sets whether the servers of a topic read fanouts from one stream; requires `transient_quorum_queues`.
    with_stream_fanout => stream_fanout: bool;
    /// Sets whether an existing object that differs from its declaration is an error. Default: no, it is a warning.
    with_strict => strict: bool;
}

impl AmqpConfig {
    /// Turns TLS on, with these files, which are read at every connect. A file that cannot be used is an error there.
    #[must_use]
    pub fn with_tls(mut self, tls: Tls) -> Self {
        self.use_tls = true;
        self.tls = tls;
        self
    }

    /// Sets the delivery limit that the broker gives quorum queues declared without one; zero is no limit.
    /// Default: 20 from RabbitMQ 4 on, and no limit before.
    #[must_use]
    pub fn with_broker_delivery_limit(mut self, limit: u32) -> Self {
        self.broker_delivery_limit = Some(limit);
        self
    }

    /// Makes the bound of the waits before a reconnect grow by `step` with each attempt. Default: it doubles.
    #[must_use]
    pub fn with_reconnect_backoff(mut self, step: Duration) -> Self {
        self.reconnect_backoff = Some(step);
        self
    }

    /// Sets the host part of stable queue names. Default: the host name of the system.
    #[must_use]
    pub fn with_hostname(mut self, hostname: impl Into<String>) -> Self {
        self.hostname = Some(hostname.into());
        self
    }

    /// Sets the process part of stable queue names. Default: the file name of the program.
    #[must_use]
    pub fn with_processname(mut self, processname: impl Into<String>) -> Self {
        self.processname = Some(processname.into());
        self
    }

    /// Compresses the bodies that are sent and are not compressed yet. Default: not at all.
    #[must_use]
    pub fn with_compression(mut self, compression: Compression) -> Self {
        self.compression = Some(compression);
        self
    }

    /// Sets whether the broker writes replies to its disk. Default: as it does with shared queues.
    #[must_use]
    pub fn with_persistent_replies(mut self, persistent: bool) -> Self {
        self.persistent_replies = Some(persistent);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names every field, so that one without its method does not compile.
    #[test]
    fn every_field_has_a_method_that_sets_it() {
        let second = Duration::from_secs(1);
        let set = AmqpConfig::default()
            .with_connect_timeout(second)
            .with_request_timeout(second)
            .with_confirm_timeout(second)
            .with_heartbeat(second)
            .with_publish_channels(1)
            .with_publish_window(1)
            .with_max_message_size(1)
            .with_transient_queues_ttl(second)
            .with_durable_queues(true)
            .with_quorum_queues(true)
            .with_transient_quorum_queues(true)
            .with_quorum_delivery_limit(1)
            .with_broker_delivery_limit(1)
            .with_quorum_max_memory_length(1)
            .with_quorum_max_memory_bytes(1)
            .with_max_prefetch(1)
            .with_reconnect_wait(second)
            .with_reconnect_wait_max(second)
            .with_reconnect_backoff(second)
            .with_reconnect_delay(second)
            .with_reconnect_splay(second)
            .with_shuffle_hosts(true)
            .with_queue_checks(second)
            .with_login(Login::Plain)
            .with_use_tls(false)
            .with_tls(Tls::new().with_ca_file("ca"))
            .with_auto_delete(true)
            .with_stable_queue_names(true)
            .with_hostname("h")
            .with_processname("p")
            .with_stream_fanout(true)
            .with_compression(Compression::Bzip2)
            .with_persistent_replies(true)
            .with_strict(true);
        let all = AmqpConfig {
            connect_timeout: second,
            request_timeout: second,
            confirm_timeout: second,
            heartbeat: second,
            publish_channels: 1,
            publish_window: 1,
            max_message_size: 1,
            transient_queues_ttl: second,
            durable_queues: true,
            quorum_queues: true,
            transient_quorum_queues: true,
            quorum_delivery_limit: 1,
            broker_delivery_limit: Some(1),
            quorum_max_memory_length: 1,
            quorum_max_memory_bytes: 1,
            max_prefetch: 1,
            reconnect_wait: second,
            reconnect_wait_max: second,
            reconnect_backoff: Some(second),
            reconnect_delay: second,
            reconnect_splay: second,
            shuffle_hosts: true,
            queue_checks: second,
            login: Login::Plain,
            use_tls: true,
            tls: Tls::new().with_ca_file("ca"),
            auto_delete: true,
            stable_queue_names: true,
            hostname: Some("h".into()),
            processname: Some("p".into()),
            stream_fanout: true,
            compression: Some(Compression::Bzip2),
            persistent_replies: Some(true),
            strict: true,
        };
        assert_eq!(set, all);
    }
}
