//! The RabbitMQ driver of `oslo-messaging`, on lapin.
//!
//! # What is sent
//! Every publish is confirmed by the broker; a mandatory one that no queue is bound for is told to the publisher that
//! sent it. When the broker closes a publishing channel over one message, the others are sent again if they certainly did
//! not arrive, in their order, and otherwise told `Maybe`. Publishes to one destination keep their order. Messages are
//! persistent, queues and exchanges are those of oslo.messaging's default options, so that Python peers find what they
//! expect.
//!
//! # What is received
//! Each subscription has a channel of its own. Requests are acknowledged before they are handed over, in one frame for
//! what is ready; where the receiver settles, acknowledgements are written in batches. A redelivered message of a quorum
//! queue carries the failed deliveries that the queue counted, and the limit as far as it is known
//! ([`broker_delivery_limit`](AmqpConfig::broker_delivery_limit)).
//!
//! # What an alternate exchange hides
//! Where an operator gave an exchange an `alternate-exchange`, by a policy for example, and a queue is bound to that one, the
//! broker routes there what no queue of its own takes, and returns nothing: a call without a server ends at its timeout,
//! executed `Maybe`, instead of at once as `Undeliverable`. The reference waits there as well. Leave the exchanges of RPC
//! out of such a policy.
//!
//! # When the connection is lost
//! There are two connections to one host, one for publishing and one for the rest; when one is lost, the other is ended
//! too, and both are made again, to each host of the URL in turn. Then the listeners declare, bind and consume their
//! queues under the same names, and then publishers go on. Publishes wait for that until their deadline; one that was out,
//! and not confirmed, ends at once with `Disconnected`, executed `Maybe`. What was handed over unsettled comes again,
//! marked as redelivered, and settling the first copy is refused. Where the URL names several hosts, the next one is tried
//! after a random wait of at most 250 ms. [`health`](oslo_messaging::Transport::health) tells all
//! along what the matter is, and [`Counters`] how often it was.
//!
//! # When the broker has limits
//! A limit of connections (of a virtual host, a user or a node) is a transient error: it is tried again until it passes.
//! Wrong credentials are not, since retries lock accounts; a running transport tries them after long waits. A limit of
//! channels (of a user or a node) costs the connection once. From then on what needs one more is refused with the broker's
//! words, all publishes share one channel, and the broker is asked again, on a connection of its own, at most once a minute;
//! listeners that were here first come back first. A consumer that the broker ends because a message was held longer than
//! its `consumer_timeout` is put back. What of this does not work is listed in
//! [`Health::unhealthy`](oslo_messaging::Health::unhealthy), and everything else goes on.
//!
//! # When a queue is lost and the connection is not
//! A queue that is deleted ends its consumers, which is told, and it is made again. A queue may also go without a word, and
//! with a deleted exchange go its bindings. So listeners look whether their queues are there and put back what is missing:
//! at once when a call times out or a publish finds its exchange missing, and otherwise every 5 to 10 minutes
//! ([`AmqpConfig::queue_checks`]). Of several servers that share a queue which went without a word, the first to look reads
//! it again; another one cannot see that it does not, unless a queue that it reads alone went too.
//!
//! # What it costs
//! lapin sets aside 64 of the largest frames for each connection, and a transport has two connections: 16 MiB. While it is
//! idle little of that is resident; with traffic all of it becomes so. One transport, and one `Bus`, for each process is
//! enough: clones share it.
//!
//! # Watching it
//! Beside the metrics of `oslo-messaging` there are these, each of all transports of the process together. A recorder must
//! be installed before they connect.
//!
//! | metric | what is counted |
//! |---|---|
//! | `oslo_messaging_amqp_transports{state}` | transports that are `ready`, `connecting` again, `blocked` by the broker, or `lost`; also a listener that cannot come back makes its transport `lost` |
//! | `oslo_messaging_amqp_losses_total` | connections that were lost |
//! | `oslo_messaging_amqp_reconnects_total` | connections that were made again |
//! | `oslo_messaging_amqp_recoveries_total` | listeners, or single consumers of theirs, that were put back after a loss or a cancellation |
//! | `oslo_messaging_amqp_publishes_total` | messages that were sent |
//! | `oslo_messaging_amqp_confirms_total` | messages that the broker confirmed, one way or the other |
//! | `oslo_messaging_amqp_returns_total` | messages that the broker returned as undeliverable |
//! | `oslo_messaging_amqp_settlements_dropped_total` | messages that were settled too late, and come again |
//! | `oslo_messaging_amqp_repairs_total{repair}` | frames of the broker that lapin could not have taken, by what was repaired: a `short_string` that is not UTF-8, headers nested `too_deep`, headers left out (`trimmed`) or all properties (`emptied`) |
//! | `oslo_messaging_amqp_deliveries_dropped_total` | messages that were not handed over when their channel was lost, and come again |
//! | `oslo_messaging_amqp_stream_messages_missed_total` | messages of streams that retention deleted before their listener read them |
//!
//! Returned messages are taken out of the stream before lapin sees them, so that it logs none of them.

mod attempts;
mod backoff;
mod brokers;
mod config;
mod connection;
mod connector;
mod consume;
mod counters;
mod errors;
mod frames;
mod incoming;
mod link;
mod listener;
mod peer;
mod properties;
mod publish;
mod queue_checks;
mod recovery;
mod settler_tasks;
mod short_string;
mod topology;
mod transport;

pub use config::AmqpConfig;
pub use config::login::Login;
pub use config::tls::Tls;
pub use connector::AmqpConnector;
pub use counters::Counters;
pub use transport::AmqpTransport;
