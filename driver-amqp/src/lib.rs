//! The RabbitMQ driver of `oslo-messaging`, on lapin.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use oslo_messaging::config::TransportUrl;
//! use oslo_messaging::Deadline;
//! use oslo_messaging_amqp::{AmqpConfig, AmqpTransport};
//!
//! # async fn connect() -> oslo_messaging::Result<()> {
//! let url = TransportUrl::parse("rabbit://user:password@one:5672,user:password@two:5672/vhost")?;
//! let config = AmqpConfig::durable().with_heartbeat(Duration::from_secs(30));
//! let transport = AmqpTransport::connect(&url, config, Deadline::after(Duration::from_secs(30))).await?;
//! # drop(transport);
//! # Ok(())
//! # }
//! ```
//!
//! # Publishing
//! The broker confirms every publish, and a mandatory one that no queue is bound for fails for its caller.
//! When the broker closes a publishing channel because of one message,
//! the others are sent again in their order if they certainly did not arrive; otherwise they fail, executed `Maybe`.
//! Publishes to one destination keep their order. Messages are persistent, and queues
//! and exchanges are declared with the default options of oslo.messaging, so that Python peers find what they expect.
//! Only replies are not persistent where shared queues are not durable, as with the default options:
//! the broker confirms such a reply sooner, and loses it if it restarts
//! before the caller has it ([`persistent_replies`](AmqpConfig::persistent_replies)).
//!
//! # Consuming
//! Each subscription has its own channel. Requests are acknowledged before handover,
//! in one frame for all that are ready; where the receiver settles, acknowledgements are written in batches.
//! A redelivered message of a quorum queue carries the number of failed deliveries that the queue counted,
//! and the delivery limit as far as it is known ([`broker_delivery_limit`](AmqpConfig::broker_delivery_limit)).
//!
//! # Alternate exchanges
//! If an operator gives an exchange an `alternate-exchange`, for example by a policy, and a queue is bound to that one,
//! the broker routes messages there that match no queue of their own, and returns nothing.
//! A call without a server then ends at its timeout, executed `Maybe`, instead of at once as `Undeliverable`.
//! The reference waits there as well. Exclude the exchanges of RPC from such a policy.
//!
//! # A lost connection
//! A transport has two connections to one host: one for publishing and one for the rest.
//! It opens another for each 1,535 listeners: three quarters of the channels that RabbitMQ grants a connection by default.
//! When one is lost, the driver closes the others too and reconnects, to each host of the URL in turn.
//! Then the listeners declare, bind and consume their queues under the same names, and after that publishers resume.
//! A publish waits for this until its deadline;
//! one that was sent and not confirmed fails with `Disconnected`, executed `Maybe`, within 2 s.
//! Messages that were handed over and not settled are redelivered, and settling the first copy fails.
//! If the URL names several hosts, the next one is tried after a random wait of at most 250 ms.
//! [`health`](oslo_messaging::driver::Transport::health) reports the state; [`Counters`] counts losses.
//!
//! # Limits of the broker
//! A connection limit (of a virtual host, a user or a node) is a transient error, and is retried until it passes.
//! Rejected credentials are not retried while connecting, because retries lock accounts;
//! a running transport retries them after long waits.
//! A channel limit (of a user or a node) costs the connection once.
//! From then on a request for another channel fails with the broker's words, all publishes share one channel, and the
//! driver probes the limit on a separate connection at most once a minute; the oldest listeners resubscribe first.
//! A consumer that the broker cancels because a message was held longer than `consumer_timeout` is restored.
//! [`Health::unhealthy`](oslo_messaging::Health::unhealthy) lists the listeners
//! that do not work; everything else continues.
//!
//! # A lost queue on a working connection
//! When a queue is deleted, the broker cancels its consumers, and the driver declares and consumes it again.
//! A queue can also be lost without a cancellation, and a deleted exchange takes its bindings with it.
//! So listeners check their queues and restore what is missing: at once when a call times out
//! or a publish finds its exchange missing, and otherwise every 5 to 10 minutes ([`AmqpConfig::queue_checks`]).
//! If several servers share a queue that was lost without a cancellation, the first to check it consumes it again;
//! another one cannot see that it does not, unless a queue of its own was lost too.
//!
//! # Memory
//! lapin allocates 64 of the largest frames per connection: 16 MiB per transport, which become resident with traffic.
//! One transport, and one `Bus`, per process is enough: clones share it.
//!
//! # Metrics
//! In addition to the metrics of `oslo-messaging`, each summed over all transports of the process.
//! Install a recorder before the transports connect.
//!
//! | metric | counts |
//! |---|---|
//! | `oslo_messaging_amqp_transports{state}` | transports that are `ready`, reconnecting (`connecting`), `blocked` by the broker, or `lost`; a listener that cannot resubscribe makes its transport `lost` |
//! | `oslo_messaging_amqp_losses_total` | lost links (pairs of connections) |
//! | `oslo_messaging_amqp_reconnects_total` | reconnects |
//! | `oslo_messaging_amqp_recoveries_total` | listeners that resubscribed, and single consumers that were restored, after a loss or a cancellation |
//! | `oslo_messaging_amqp_publishes_total` | messages that were sent, each attempt counted |
//! | `oslo_messaging_amqp_confirms_total` | messages that the broker confirmed, by an ack or a nack |
//! | `oslo_messaging_amqp_returns_total` | messages that the broker returned as undeliverable |
//! | `oslo_messaging_amqp_settlements_dropped_total` | messages that were settled after their channel was lost; the broker redelivers them |
//! | `oslo_messaging_amqp_repairs_total{repair}` | frames of the broker that lapin cannot parse, by what was repaired: a `short_string` that is not UTF-8, headers nested `too_deep`, headers left out (`trimmed`) or all properties (`emptied`) |
//! | `oslo_messaging_amqp_deliveries_dropped_total` | messages that were received and not handed over when their channel was lost; the broker redelivers them |
//! | `oslo_messaging_amqp_stream_messages_missed_total` | messages of streams that retention deleted before their listener read them |
//!
//! The frame reader removes returned messages from the stream, so lapin does not log them.

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

/// The code of the README, which is compiled, and run where it needs no broker, with the documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
