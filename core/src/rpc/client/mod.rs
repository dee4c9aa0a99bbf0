//! The caller's side of RPC: calls, casts, and what is checked before either is sent.
//!
//! [`RpcClient`] checks the target and the version cap, builds the request and applies the serializer; [`call`] sends
//! it and waits for the reply. A cast ends when the broker has confirmed the request.

mod call;
pub(crate) mod call_error;
mod outgoing_request;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use tracing::Instrument;

use self::call::Call;
use self::outgoing_request::{Interface, OutgoingRequest};
use super::observe::Meter;
use super::unique_id::UniqueId;
use super::{arguments, observe};
use crate::bus::waiting_calls::CallId;
use crate::deadline::LONGEST;
use crate::driver::{Address, PublishOptions};
use crate::version::{Version, is_compatible};
use crate::{Bus, Context, Deadline, Error, ErrorKind, Executed, Payload, Result, Retry, Serializer, Target};

/// Sends calls and casts to the servers of a target.
///
/// Immutable: every setting returns a changed copy, and [`prepare`](Self::prepare) makes that explicit for one
/// message. Cheap to clone; any number of tasks may use one at once.
#[derive(Debug, Clone)]
pub struct RpcClient {
    pub(crate) bus: Bus,
    pub(crate) target: Target,
    pub(crate) timeout: Duration,
    pub(crate) monitor: Option<Duration>,
    pub(crate) retry: Retry,
    /// Parsed with each message: one that is not valid fails there, since its setter returns the client.
    version_cap: Option<String>,
    /// `None`: calls are mandatory, casts are not.
    mandatory: Option<bool>,
    serializer: Option<Arc<dyn Serializer>>,
}

impl RpcClient {
    /// A client of `target`. Nothing is sent, and no target refused, before the first message.
    #[must_use]
    pub fn new(bus: &Bus, target: Target) -> Self {
        Self {
            bus: bus.clone(),
            target,
            timeout: bus.0.timeout,
            monitor: None,
            retry: bus.0.retry,
            version_cap: None,
            mandatory: None,
            serializer: None,
        }
    }

    /// A copy to change for one message; this client stays as it is.
    #[must_use]
    pub fn prepare(&self) -> Self {
        self.clone()
    }

    /// Runs `method` on one server and returns its result.
    ///
    /// One deadline covers everything from connecting to the reply: the client's timeout, or the deadline of a
    /// context that a handler was given, whichever is earlier; [`Context::without_deadline`] lifts the latter. The
    /// request is sent again only while it certainly was not sent.
    ///
    /// # Errors
    /// [`InvalidTarget`](ErrorKind::InvalidTarget) without a topic or with fanout,
    /// [`VersionCap`](ErrorKind::VersionCap), [`Encode`](ErrorKind::Encode) if `args` do not serialise to an object,
    /// [`Undeliverable`](ErrorKind::Undeliverable) if no queue is bound, [`Remote`](ErrorKind::Remote) if the method
    /// failed, [`Timeout`](ErrorKind::Timeout), [`Decode`](ErrorKind::Decode) if the result is not an `R`, and what the
    /// driver says. [`executed`](Error::executed) says whether the method may have run.
    ///
    /// # Cancellation
    /// A dropped call disturbs no other. The method may still run; its reply is dropped.
    pub async fn call<R: DeserializeOwned>(
        &self,
        context: &Context,
        method: &str,
        args: &(impl Serialize + ?Sized),
    ) -> Result<R> {
        let (id, meter) = (CallId::fresh(), Meter::of_call());
        let span = observe::call(&self.target, method, id);
        // Pinned here: each `async fn` that takes it by value would keep room for it.
        let work = pin!(
            async {
                let interface = self.interface();
                let result = self.call_text(id, context, interface, method, Payload::arguments(args)?).await?;
                result.decode().map_err(|error| error.with_executed(Executed::Yes).with_context("method", method))
            }
            .instrument(span)
        );
        meter.ended(work.await)
    }

    /// As [`call`](Self::call), of a method in `namespace` that needs `version` of its interface, `major.minor`.
    ///
    /// For a client whose calls differ in version, as that of a service trait; [`prepare`](Self::prepare) would copy
    /// the client for each call.
    ///
    /// # Errors
    /// As [`call`](Self::call); also [`InvalidTarget`](ErrorKind::InvalidTarget) if the client's target has a namespace
    /// or a version of its own.
    ///
    /// # Cancellation
    /// As [`call`](Self::call).
    pub async fn call_at<R: DeserializeOwned>(
        &self,
        context: &Context,
        namespace: Option<&str>,
        version: &str,
        method: &str,
        args: &(impl Serialize + ?Sized),
    ) -> Result<R> {
        let (id, meter) = (CallId::fresh(), Meter::of_call());
        let span = observe::call(&self.target, method, id);
        let work = pin!(
            async {
                let interface = self.interface_at(namespace, version)?;
                let result = self.call_text(id, context, interface, method, Payload::arguments(args)?).await?;
                result.decode().map_err(|error| error.with_executed(Executed::Yes).with_context("method", method))
            }
            .instrument(span)
        );
        meter.ended(work.await)
    }

    /// As [`call`](Self::call), with arguments and result as JSON text.
    ///
    /// # Errors
    /// As [`call`](Self::call), but a result of any shape is a success, since no type decodes it.
    ///
    /// # Cancellation
    /// As [`call`](Self::call): the method may still run, and its reply is dropped.
    pub async fn call_payload(&self, context: &Context, method: &str, args: Payload) -> Result<Payload> {
        let (id, meter) = (CallId::fresh(), Meter::of_call());
        let span = observe::call(&self.target, method, id);
        let work = pin!(self.call_text(id, context, self.interface(), method, args).instrument(span));
        meter.ended(work.await)
    }

    /// A call with JSON in and out: checks the target, runs the call, and translates the result.
    async fn call_text(
        &self,
        id: CallId,
        context: &Context,
        interface: Interface<'_>,
        method: &str,
        args: Payload,
    ) -> Result<Payload> {
        let started = Instant::now();
        if self.target.fanout {
            return Err(self.invalid("call", "a call has one answer, so it cannot be a fanout"));
        }
        let address = self.checked_address(interface)?;
        let deadline = self.deadline(context);
        let request = self.request(context, interface, method, args, UniqueId::fresh())?;
        let result = Call { client: self, id, method, address, deadline, started }.run(request).await?;
        match &self.serializer {
            Some(serializer) => serializer
                .deserialize(context, result)
                .map_err(|error| error.with_executed(Executed::Yes).with_context("method", method)),
            None => Ok(result),
        }
    }

    /// Sends a request for `method` to one server, or with [`fanout`](Self::fanout) to every one; returns when the
    /// broker has confirmed it. There is no answer, and the order of casts is not guaranteed.
    ///
    /// It takes as long as the client's timeout lets it, also after the deadline of a context that a handler was given.
    ///
    /// A fanout that the bus refuses, as RabbitMQ does while one of its queues is without a leader, is sent again until
    /// its deadline. Our servers drop what they have had, by its unique id. Those of the reference do so as long as it
    /// is among the last 16 messages of theirs: a busy one may run it again.
    ///
    /// # Errors
    /// As [`call`](Self::call), except those of the method. A fanout without a server succeeds; a cast without a bound
    /// queue fails only with [`mandatory`](Self::mandatory).
    ///
    /// # Cancellation
    /// The request may still be sent, once.
    pub async fn cast(&self, context: &Context, method: &str, args: &(impl Serialize + ?Sized)) -> Result<()> {
        let (id, meter) = (UniqueId::fresh(), Meter::of_cast());
        let span = observe::cast(&self.target, method, id.as_str());
        let work = async {
            let interface = self.interface();
            self.cast_text(&id, context, interface, method, Payload::arguments(args)?).await
        };
        let work = pin!(work.instrument(span));
        meter.ended(work.await)
    }

    /// As [`cast`](Self::cast), to a method in `namespace` that needs `version` of its interface, `major.minor`.
    ///
    /// # Errors
    /// As [`cast`](Self::cast); also [`InvalidTarget`](ErrorKind::InvalidTarget) if the client's target has a namespace
    /// or a version of its own.
    ///
    /// # Cancellation
    /// As [`cast`](Self::cast).
    pub async fn cast_at(
        &self,
        context: &Context,
        namespace: Option<&str>,
        version: &str,
        method: &str,
        args: &(impl Serialize + ?Sized),
    ) -> Result<()> {
        let (id, meter) = (UniqueId::fresh(), Meter::of_cast());
        let span = observe::cast(&self.target, method, id.as_str());
        let work = async {
            let interface = self.interface_at(namespace, version)?;
            self.cast_text(&id, context, interface, method, Payload::arguments(args)?).await
        };
        let work = pin!(work.instrument(span));
        meter.ended(work.await)
    }

    /// As [`cast`](Self::cast), with the arguments as JSON text: an object.
    ///
    /// ```
    /// use oslo_messaging::{Bus, Context, Payload, RpcClient, Target};
    /// use oslo_messaging_fake::FakeBroker;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> oslo_messaging::Result<()> {
    /// let broker = FakeBroker::new();
    /// let client = RpcClient::new(&Bus::new(broker.transport()), Target::topic("depot"));
    /// client.cast_payload(&Context::new(), "refill", Payload::from_json(r#"{"shelf": 7}"#)?).await
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`cast`](Self::cast); nothing was sent if [`executed`](Error::executed) says `No`.
    ///
    /// # Cancellation
    /// As [`cast`](Self::cast): the request may still be sent, once.
    pub async fn cast_payload(&self, context: &Context, method: &str, args: Payload) -> Result<()> {
        let (id, meter) = (UniqueId::fresh(), Meter::of_cast());
        let span = observe::cast(&self.target, method, id.as_str());
        let work = pin!(self.cast_text(&id, context, self.interface(), method, args).instrument(span));
        meter.ended(work.await)
    }

    /// Casts JSON arguments. Every attempt carries the same `unique_id`, by which servers drop a repetition.
    async fn cast_text(
        &self,
        unique_id: &UniqueId,
        context: &Context,
        interface: Interface<'_>,
        method: &str,
        args: Payload,
    ) -> Result<()> {
        let address = self.checked_address(interface)?;
        // Not bounded by the deadline of the context: no caller waits for the effect of a cast.
        let deadline = Deadline::after(self.timeout);
        let message = self.request(context, interface, method, args, *unique_id)?.into_message(None, None);
        let options = self.publish_options(&address, deadline, false);
        let publish = || self.bus.0.transport.publish(&address, message.clone(), &options);
        // One server has a cast in its queue or none has; but a fanout that the bus refuses may have reached some
        // servers. They drop what they have had, as far as they remember it.
        let repeatable = |error: &Error| self.target.fanout && error.kind() == ErrorKind::Refused;
        let sent = self.retry.run_repeatable_if(deadline, publish, repeatable).await;
        sent.map_err(|error| error.with_context("method", method).with_context("target", &self.target))
    }

    /// Whether a message of `version` (`None`: without one) is within the client's version cap.
    ///
    /// # Errors
    /// [`InvalidTarget`](ErrorKind::InvalidTarget) if `version`, or the cap, is not `major.minor`.
    pub fn can_send_version(&self, version: Option<&str>) -> Result<bool> {
        let Some(cap) = &self.version_cap else { return Ok(true) };
        let version = version.map(str::parse::<Version>).transpose()?;
        Ok(is_compatible(Some(&cap.parse()?), version.as_ref()))
    }

    /// The target as it is now, with every setting that was changed on this copy.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Replaces the topic of the target, the one part without which nothing can be sent.
    #[must_use]
    pub fn topic(mut self, topic: impl Into<String>) -> Self {
        self.target.topic = Some(topic.into());
        self
    }

    /// Sends through `exchange`. A fanout has an exchange of its own and ignores it.
    #[must_use]
    pub fn exchange(mut self, exchange: impl Into<String>) -> Self {
        self.target.exchange = Some(exchange.into());
        self
    }

    /// Sends through the default exchange of the bus, as a target without an exchange does.
    #[must_use]
    pub fn without_exchange(mut self) -> Self {
        self.target.exchange = None;
        self
    }

    /// Calls methods in `namespace`: only endpoints that list exactly this name run them.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.target.namespace = Some(namespace.into());
        self
    }

    /// Calls methods of endpoints that have no namespace or also serve requests without one.
    #[must_use]
    pub fn without_namespace(mut self) -> Self {
        self.target.namespace = None;
        self
    }

    /// Asks for at least `version` of the interface, `major.minor`.
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.target.version = Some(version.into());
        self
    }

    /// Asks for no version, which servers read as 1.0.
    #[must_use]
    pub fn without_version(mut self) -> Self {
        self.target.version = None;
        self
    }

    /// Sends to the server of this name alone, through the queue that only it reads.
    #[must_use]
    pub fn server(mut self, server: impl Into<String>) -> Self {
        self.target.server = Some(server.into());
        self
    }

    /// Sends to any one server of the topic: the one that takes the request from their shared queue.
    #[must_use]
    pub fn without_server(mut self) -> Self {
        self.target.server = None;
        self
    }

    /// Sends to every server of the topic; only casts can.
    #[must_use]
    pub fn fanout(mut self) -> Self {
        self.target.fanout = true;
        self
    }

    /// Sends to one server, not to every one.
    #[must_use]
    pub fn without_fanout(mut self) -> Self {
        self.target.fanout = false;
        self
    }

    /// How long one call or cast may take in all. Default: the bus's, 60 s.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Fails a call when nothing arrived from its server for `interval`, counted from the end of its publish.
    /// The timeout stays the hard limit. The server sends a heartbeat every half of `interval`; a Python server
    /// sends none below 2 s. More than a year counts as a year.
    #[must_use]
    pub fn monitor(mut self, interval: Duration) -> Self {
        self.monitor = Some(interval.min(LONGEST));
        self
    }

    /// Asks for no heartbeats: only the timeout ends the wait for a silent server.
    #[must_use]
    pub fn without_monitor(mut self) -> Self {
        self.monitor = None;
        self
    }

    /// Refuses to send a version that a server of `version` could not serve.
    #[must_use]
    pub fn version_cap(mut self, version: impl Into<String>) -> Self {
        self.version_cap = Some(version.into());
        self
    }

    /// Lifts the version cap, so that requests of any version are sent.
    #[must_use]
    pub fn without_version_cap(mut self) -> Self {
        self.version_cap = None;
        self
    }

    /// Whether a message that no queue is bound for is an error. Default: for calls, and not for casts.
    #[must_use]
    pub fn mandatory(mut self, mandatory: bool) -> Self {
        self.mandatory = Some(mandatory);
        self
    }

    /// How often a publish that certainly did not happen is tried again, and a fanout that the bus refuses, of which
    /// some servers may have a copy. Default: the bus's.
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// Sets the translation of arguments, results and contexts. Servers must use its counterpart. Default: none.
    #[must_use]
    pub fn serializer(mut self, serializer: impl Serializer) -> Self {
        self.serializer = Some(Arc::new(serializer));
        self
    }

    /// A fanout is never mandatory: its exchange may have no queue.
    pub(crate) fn publish_options(&self, address: &Address, deadline: Deadline, by_default: bool) -> PublishOptions {
        let options = PublishOptions::by(deadline);
        let mandatory = self.mandatory.unwrap_or(by_default) && !matches!(address, Address::Fanout { .. });
        if mandatory { options.mandatory() } else { options }
    }

    /// The client's timeout, or the deadline of the context if that is earlier.
    fn deadline(&self, context: &Context) -> Deadline {
        let own = Deadline::after(self.timeout);
        context.deadline().map_or(own, |callers| callers.min(own))
    }

    /// The interface that the client's target names.
    fn interface(&self) -> Interface<'_> {
        Interface { namespace: self.target.namespace.as_deref(), version: self.target.version.as_deref() }
    }

    /// An interface that the caller names, so that the target must name none.
    fn interface_at<'a>(&self, namespace: Option<&'a str>, version: &'a str) -> Result<Interface<'a>> {
        if self.target.namespace.is_some() || self.target.version.is_some() {
            return Err(self.invalid("send", "each method has its namespace and version, so the target has none"));
        }
        Ok(Interface { namespace, version: Some(version) })
    }

    /// The address of the target, if version and version cap permit the message.
    fn checked_address(&self, interface: Interface<'_>) -> Result<Address> {
        if let Some(version) = interface.version {
            version.parse::<Version>()?;
        }
        if !self.can_send_version(interface.version)? {
            return Err(Error::new(ErrorKind::VersionCap, "send")
                .with_context("version", interface.version.unwrap_or("none"))
                .with_context("version_cap", self.version_cap.as_deref().unwrap_or("none")));
        }
        self.target.address(&self.bus.0.default_exchange)
    }

    /// The request, except for what only a call has.
    ///
    /// Errors: what the serializer returns; executed is `No`, whatever its kind, since nothing was sent.
    fn request<'a>(
        &'a self,
        context: &Context,
        interface: Interface<'a>,
        method: &'a str,
        args: Payload,
        unique_id: UniqueId,
    ) -> Result<OutgoingRequest<'a>> {
        let (args, context) = self.serialize(context, args).map_err(|error| error.with_executed(Executed::No))?;
        Ok(OutgoingRequest { client: self, interface, method, args, context, unique_id })
    }

    /// Translates each argument, with the context as it is, and then the context.
    fn serialize(&self, context: &Context, args: Payload) -> Result<(Payload, Context)> {
        let Some(serializer) = &self.serializer else { return Ok((args, context.clone())) };
        let args = arguments::map(&args, |value| serializer.serialize(context, value))?;
        Ok((args, serializer.serialize_context(context)?))
    }

    fn invalid(&self, operation: &'static str, reason: &str) -> Error {
        Error::new(ErrorKind::InvalidTarget, operation)
            .with_context("reason", reason)
            .with_context("target", &self.target)
    }
}
