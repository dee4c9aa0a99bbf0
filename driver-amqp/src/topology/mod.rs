//! Declares exchanges, queues and bindings, and decides what happens if one exists with other settings.
//!
//! The broker compares every setting of a declaration with those of an existing object,
//! and closes the channel over a difference (406).
//! Objects that peers declare too must therefore have the settings of the reference.

pub(crate) mod delivery_limit;
pub(crate) mod name_lease;
pub(crate) mod stream;

use lapin::ExchangeKind as LapinKind;
use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use oslo_messaging::driver::{Binding, Exchange, ExchangeKind, Lifetime, QueueCounts, QueuePlan};
use oslo_messaging::{Deadline, Error, ErrorKind, Result};
use tokio::sync::OwnedSemaphorePermit;

use crate::brokers::TransientQueues;
use crate::config::AmqpConfig;
use crate::connection::Connection;
use crate::connection::channel::Channel;
use crate::link::Link;
use crate::link::inner::Inner;
use crate::short_string::short_string;
use crate::topology::delivery_limit::is_limited_by_itself;
use crate::topology::stream::is_stream;

/// The argument of a quorum queue that limits its deliveries.
/// RabbitMQ 4 reads -1 as no limit, older versions read it as 0.
///
/// A queue without the argument gets the default of the broker or of a policy.
const DELIVERY_LIMIT: &str = "x-delivery-limit";

/// The settings with which a queue or exchange is declared, and which an existing one must have.
/// Exclusive queues are never declared: one is locked to its connection, and would be lost with it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ObjectForm {
    /// Whether it survives a restart of the broker.
    pub(crate) durable: bool,
    /// Whether the broker deletes it with its last consumer or binding.
    pub(crate) auto_delete: bool,
    /// The broker compares them with those of an existing object.
    pub(crate) arguments: FieldTable,
}

/// What to do when an object exists with other settings: the difference and `strict` decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MismatchAction {
    /// Use the existing object, and report the difference in the health.
    Adopt,
    /// Fail with the broker's error, because the object cannot work or strict mode is on.
    Refuse,
}

/// Declares on a channel of its own, because a refused declaration closes the channel.
/// It lives for one subscription, publish or inspection. Dropping it closes its channel.
#[derive(Debug)]
pub(crate) struct Declarer<'a> {
    /// Learns from a refused declaration that transient queues are denied.
    link: &'a Link,
    /// That of the consumers, which an alarm does not block.
    connection: &'a Connection,
    /// What the broker of this link answered to the probe. It makes some declarations durable.
    transient: TransientQueues,
    /// Whether the broker limits the deliveries of quorum queues by default.
    /// False if the broker sent no version, and then no limit is lifted.
    limits_deliveries: bool,
    /// For the configuration, and the health, which lists objects that differ.
    inner: &'a Inner,
    /// For all its requests together; each one also ends after `request_timeout`.
    deadline: Deadline,
    /// `None` before the first request, and after one that failed.
    channel: Option<Channel>,
    /// Its turn to use a channel, from the first request on. After the channel, which closes first.
    turn: Option<OwnedSemaphorePermit>,
}

impl<'a> Declarer<'a> {
    /// Opens no channel yet. `deadline` is for all requests together.
    pub(crate) fn new(link: &'a Link, inner: &'a Inner, deadline: Deadline) -> Self {
        // Not the publishing connection: an alarm blocks that one, and every declaration with it.
        let (connection, transient) = (link.consuming.first(), link.transient);
        let limits_deliveries = is_limited_by_itself(link.server_version());
        Self { link, connection, transient, limits_deliveries, inner, deadline, channel: None, turn: None }
    }

    /// Declares `exchange` as the configuration says. The default exchange always exists.
    ///
    /// A repeated declaration with the same settings has no effect (AMQP 0-9-1, exchange.declare).
    ///
    /// After a cancellation the exchange may exist all the same.
    ///
    /// Fails with `Topology` if an exchange of another type has its name,
    /// or in strict mode one with other settings; `Denied`; `TooLarge`.
    pub(crate) async fn exchange(&mut self, exchange: &Exchange) -> Result<()> {
        let kind = match exchange.kind {
            ExchangeKind::Default => return Ok(()),
            ExchangeKind::Topic => LapinKind::Topic,
            ExchangeKind::Fanout => LapinKind::Fanout,
        };
        let name = short_string("exchange", &exchange.name)?;
        let form = exchange_form(exchange.kind, &self.inner.config, self.transient);
        let options = ExchangeDeclareOptions {
            durable: form.durable,
            auto_delete: form.auto_delete,
            ..ExchangeDeclareOptions::default()
        };
        let channel = self.channel().await?;
        let declaring = channel.exchange_declare(name, kind, options, form.arguments);
        let declared = self.connection.ask("declare exchange", self.deadline, declaring).await;
        self.judge(declared).map_err(|error| error.with_context("exchange", &exchange.name))?;
        Ok(())
    }

    /// Declares the queue of `plan` and the exchanges of its bindings, and binds it.
    ///
    /// In the order of the reference: exchange, queue, binding.
    /// Only the unknown case turns the first two around.
    ///
    /// After a cancellation, what was declared stays.
    ///
    /// Fails as [`exchange`](Self::exchange) does; with `Topology` also
    /// if the queue exists as a stream, or is exclusive to another connection.
    pub(crate) async fn queue(&mut self, plan: &QueuePlan) -> Result<()> {
        let name = short_string("queue", &plan.name)?;
        let stream = is_stream(plan, &self.inner.config);
        let form = if stream {
            stream_form(&self.inner.config)
        } else {
            queue_form(plan.lifetime, &self.inner.config, self.transient)
        };
        // If it is unknown whether transient queues are denied, the queue is declared first: its answer
        // decides the settings of the exchange, on which all peers must agree.
        // See `transient_queues`: a denied declaration closes the connection, and the next link knows it.
        let first = self.transient == TransientQueues::Unknown;
        if first {
            self.declare_queue(&name, form.clone()).await?;
        }
        for binding in &plan.bindings {
            self.exchange(&binding.exchange).await?;
        }
        if !first {
            self.declare_queue(&name, form).await?;
        }
        self.bindings(plan).await
    }

    /// Binds the queue of `plan` again, and declares the exchanges that are missing.
    /// A check of the queues does so with each queue that exists.
    ///
    /// A binding that exists is not duplicated (AMQP 0-9-1, queue.bind).
    ///
    /// Fails with the broker's error, which names the queue and the exchange.
    pub(crate) async fn bindings(&mut self, plan: &QueuePlan) -> Result<()> {
        let name = short_string("queue", &plan.name)?;
        for binding in &plan.bindings {
            self.bind(&name, binding).await.map_err(|error| error.with_context("queue", &plan.name))?;
        }
        Ok(())
    }

    /// Looks a queue up by a passive declare; `None` if it does not exist. A queue without a running process exists.
    ///
    /// It keeps an expiring queue alive, because RabbitMQ counts it as a use.
    ///
    /// Fails with the broker's error, which names the queue, unless it says that there is none.
    pub(crate) async fn look(&mut self, name: &str) -> Result<Option<QueueCounts>> {
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let channel = self.channel().await?;
        let looking = channel.queue_declare(short_string("queue", name)?, options, FieldTable::default());
        let found = self.connection.ask("find queue", self.deadline, looking).await;
        self.keep_channel(&found);
        match found {
            Ok(queue) => Ok(Some(QueueCounts::new(queue.consumer_count().into(), queue.message_count().into()))),
            Err(error) if is_gone(&error, "queue") => Ok(None),
            Err(error) => Err(error.with_context("queue", name)),
        }
    }

    /// Declares a durable queue by its name, as a quorum queue if shared queues are, and without a delivery limit:
    /// a dead letter must not be dropped because it was inspected often.
    /// A queue that exists with a limit is used as it is, in strict mode too, because arguments cannot be changed.
    ///
    /// The first declaration of any peer decides the arguments.
    ///
    /// Fails as [`queue`](Self::queue) does, except over a delivery limit.
    pub(crate) async fn durable_queue(&mut self, name: &str) -> Result<()> {
        let mut form = ObjectForm { durable: true, auto_delete: false, arguments: FieldTable::default() };
        if self.inner.config.quorum_queues {
            quorum(&mut form.arguments);
        }
        let name = short_string("queue", name)?;
        if self.limits_deliveries {
            let mut unlimited = form.clone();
            unlimited.arguments.insert(DELIVERY_LIMIT.into(), AMQPValue::LongLongInt(-1));
            // Whether the virtual host gives such a queue a type that allows a limit is unknown, and a
            // classic queue allows none.
            match self.declare_queue(&name, unlimited).await {
                Err(error) if is_about_delivery_limit(&error) => {}
                declared => return declared,
            }
        }
        match self.declare_queue(&name, form).await {
            Err(error) if self.limits_deliveries && is_about_delivery_limit(&error) => Ok(()),
            declared => declared,
        }
    }

    /// Declares a queue. If it exists with other settings, repeats the declaration with the existing setting,
    /// one difference at a time: the broker reports only the first one, and a stream may be behind it.
    ///
    /// Fails with the broker's error, which names the queue, if the existing one cannot be used.
    async fn declare_queue(&mut self, name: &ShortString, mut form: ObjectForm) -> Result<()> {
        loop {
            let options = QueueDeclareOptions {
                durable: form.durable,
                auto_delete: form.auto_delete,
                ..QueueDeclareOptions::default()
            };
            let channel = self.channel().await?;
            let declaring = channel.queue_declare(name.clone(), options, form.arguments.clone());
            let declared = self.connection.ask("declare queue", self.deadline, declaring).await.map(|_| ());
            // Before it is judged: the next link must not declare what this broker denies.
            if let Err(error) = &declared {
                self.link.refused(error);
            }
            let difference = self.judge(declared).map_err(|error| error.with_context("queue", name))?;
            match difference.and_then(|text| form.adopting(&text)) {
                Some(adopted) => form = adopted,
                None => return Ok(()),
            }
        }
    }

    /// Binds `queue`. An exchange that deletes itself may have gone with its last queue since it was declared:
    /// the one of a topic whose last server stops while the next one starts. Then it is declared again.
    ///
    /// Fails with the broker's error, which names the exchange.
    async fn bind(&mut self, queue: &ShortString, binding: &Binding) -> Result<()> {
        let exchange = short_string("exchange", &binding.exchange.name)?;
        let key = short_string("routing_key", &binding.routing_key)?;
        loop {
            let channel = self.channel().await?;
            let (arguments, options) = (FieldTable::default(), QueueBindOptions::default());
            let binds = channel.queue_bind(queue.clone(), exchange.clone(), key.clone(), options, arguments);
            let bound = self.connection.ask("bind queue", self.deadline, binds).await;
            self.keep_channel(&bound);
            match bound {
                Err(error) if is_gone(&error, "exchange") => self.exchange(&binding.exchange).await?,
                bound => return bound.map_err(|error| error.with_context("exchange", &binding.exchange.name)),
            }
        }
    }

    /// The channel of the declarations, opened on demand: after a refused declaration another one.
    ///
    /// Fails with `Refused` at the channel limit; `Timeout`; `Disconnected`.
    async fn channel(&mut self) -> Result<Channel> {
        if let Some(channel) = &self.channel {
            return Ok(channel.clone());
        }
        if self.turn.is_none() {
            self.turn = Some(self.deadline.run("declare", self.link.consuming.declaring()).await?);
        }
        let channel = self.connection.channel(self.deadline).await?;
        Ok(self.channel.insert(channel).clone())
    }

    /// Drops the channel after an error: the broker has closed it.
    fn keep_channel<T>(&mut self, outcome: &Result<T>) {
        if outcome.is_err() {
            self.channel = None;
        }
    }

    /// The broker's text if what exists differs and is used as it is.
    ///
    /// `None` if there was no error. The difference is reported in the health, once.
    ///
    /// Fails with the broker's error if the object cannot be used as it is,
    /// strict mode is on, or a delivery limit is to be lifted.
    fn judge(&mut self, declared: Result<()>) -> Result<Option<String>> {
        self.keep_channel(&declared);
        let Err(error) = declared else { return Ok(None) };
        let text = error.to_string();
        if Difference::of(&text).is_some_and(Difference::is_lifted_limit) {
            return Err(error);
        }
        if mismatch_action(error.kind(), &text, self.inner.config.strict) == MismatchAction::Refuse {
            return Err(error);
        }
        self.inner.health.warn_of_drift(text.clone());
        Ok(Some(text))
    }
}

impl ObjectForm {
    /// This form with the difference that the broker names taken over, if that can be declared again.
    /// `None` for an argument: a second declaration with another argument would only find the next difference.
    fn adopting(&self, text: &str) -> Option<Self> {
        match Difference::of(text)?.argument {
            "durable" => Some(Self { durable: !self.durable, ..self.clone() }),
            "auto_delete" => Some(Self { auto_delete: !self.auto_delete, ..self.clone() }),
            _ => None,
        }
    }
}

/// As the reference declares them under the same options (oslo.messaging `impl_rabbit.py`).
/// Where transient queues are denied, as it does under the only ones that work there:
/// a broker that denies the queues takes the exchanges, and would keep one that no peer can agree with.
///
/// A fanout exchange always deletes itself with its last queue, as that of the reference does.
fn exchange_form(kind: ExchangeKind, config: &AmqpConfig, transient: TransientQueues) -> ObjectForm {
    let fanout = kind == ExchangeKind::Fanout;
    let wanted = if fanout { config.transient_quorum_queues } else { config.durable_queues || config.quorum_queues };
    let durable = wanted || transient == TransientQueues::Denied;
    ObjectForm { durable, auto_delete: fanout || config.auto_delete, arguments: FieldTable::default() }
}

/// Shared queues are declared as the reference does.
/// A private queue belongs to this process, so it is durable and expires
/// after its consumer is gone, which every version of RabbitMQ accepts.
///
/// `auto_delete` never applies to a private queue: it would go with a lost connection, and its messages with it.
fn queue_form(lifetime: Lifetime, config: &AmqpConfig, transient: TransientQueues) -> ObjectForm {
    let mut arguments = FieldTable::default();
    match lifetime {
        Lifetime::Shared => {
            if config.quorum_queues {
                quorum(&mut arguments);
                limits(&mut arguments, config);
            }
            let durable = config.durable_queues || config.quorum_queues || transient == TransientQueues::Denied;
            ObjectForm { durable, auto_delete: config.auto_delete, arguments }
        }
        Lifetime::Private => {
            if config.transient_quorum_queues {
                quorum(&mut arguments);
            }
            if !config.transient_queues_ttl.is_zero() {
                let ttl = i64::try_from(config.transient_queues_ttl.as_millis()).unwrap_or(i64::MAX);
                arguments.insert("x-expires".into(), AMQPValue::LongLongInt(ttl));
            }
            ObjectForm { durable: true, auto_delete: false, arguments }
        }
    }
}

/// As the reference declares it. Messages older than the time that a private queue outlives its consumer are dropped.
///
/// The age is in whole seconds, at least one. Durable, because RabbitMQ has no other streams.
fn stream_form(config: &AmqpConfig) -> ObjectForm {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("stream".into()));
    if !config.transient_queues_ttl.is_zero() {
        let age = format!("{}s", config.transient_queues_ttl.as_secs().max(1));
        arguments.insert("x-max-age".into(), AMQPValue::LongString(age.into()));
    }
    ObjectForm { durable: true, auto_delete: false, arguments }
}

/// Adds the argument of a quorum queue, which must be durable and not exclusive: RabbitMQ refuses anything else.
fn quorum(arguments: &mut FieldTable) {
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
}

/// The broker compares all of these arguments, also those that it no longer uses.
/// A limit of zero sends no argument, as in the reference, where it means that the broker decides.
fn limits(arguments: &mut FieldTable, config: &AmqpConfig) {
    let positive = |limit| i64::try_from(limit).unwrap_or(i64::MAX);
    for (argument, limit) in [
        (DELIVERY_LIMIT, i64::from(config.quorum_delivery_limit)),
        ("x-max-in-memory-length", positive(config.quorum_max_memory_length)),
        ("x-max-in-memory-bytes", positive(config.quorum_max_memory_bytes)),
    ] {
        if limit != 0 {
            arguments.insert(argument.into(), AMQPValue::LongLongInt(limit));
        }
    }
}

/// An object with another durability or other arguments works; one of another type does not.
/// An error that names no difference is always refused.
fn mismatch_action(kind: ErrorKind, text: &str, strict: bool) -> MismatchAction {
    let difference = if kind == ErrorKind::Topology { Difference::of(text) } else { None };
    match difference {
        Some(difference) if !difference.is_unusable() && !strict => MismatchAction::Adopt,
        _ => MismatchAction::Refuse,
    }
}

/// The difference that the broker reports between a declaration and an existing object.
/// The broker reports the first difference only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Difference<'a> {
    /// The first setting that differs, by the broker's name for it.
    argument: &'a str,
    /// The two values; empty if a long name left no room for them.
    values: &'a str,
}

impl<'a> Difference<'a> {
    /// Parses `inequivalent arg '<argument>' for queue '<name>' in vhost '<name>': received <value> but current
    /// is <value>` from both ends, because the names may contain anything.
    ///
    /// `None` if the text is about something else.
    fn of(text: &'a str) -> Option<Self> {
        let (_, rest) = text.split_once("inequivalent arg '")?;
        let (argument, rest) = rest.split_once('\'')?;
        // From the end: the name of a queue may contain the same words.
        let values = rest.rsplit_once("': received ").map_or("", |(_, values)| values);
        Some(Self { argument, values })
    }

    /// Whether the object has a delivery limit, and the declaration asked for none.
    fn is_lifted_limit(self) -> bool {
        self.argument == DELIVERY_LIMIT && self.values.starts_with("the value '-1'")
    }

    /// Whether the object is of an incompatible type: an exchange that routes differently, a stream instead of a queue.
    ///
    /// In either direction: a queue where a stream is wanted cannot be read from an offset.
    fn is_unusable(self) -> bool {
        self.argument == "type" || (self.argument == "x-queue-type" && self.values.contains("the value 'stream'"))
    }
}

/// Whether the requested delivery limit was refused: the queue has another, or its type allows none.
/// RabbitMQ names the argument in both cases.
fn is_about_delivery_limit(error: &Error) -> bool {
    let text = error.to_string();
    error.kind() == ErrorKind::Topology && text.contains(&format!("arg '{DELIVERY_LIMIT}'"))
}

/// Whether the object of this kind, `queue` or `exchange`, does not exist.
/// Other texts with the same code, such as that of a queue whose node is down, do not count.
fn is_gone(error: &Error, kind: &str) -> bool {
    error.kind() == ErrorKind::Topology && error.to_string().contains(&format!("NOT_FOUND - no {kind} '"))
}

/// The error of a publish to an exchange that cannot be declared.
/// Names the exchange. An error that names one already stays as it is.
pub(crate) fn undeclared(error: Error, exchange: &Exchange) -> Error {
    if error.context().any(|(key, _)| key == "exchange") {
        error
    } else {
        error.with_context("exchange", &exchange.name)
    }
}

#[cfg(test)]
mod tests;
