//! One call: from the request to its answer, under one deadline.
//!
//! The steps of a call: open the reply inbox, register the call, publish the request, wait for the reply. One
//! deadline covers all of them. The publish and the wait run concurrently, because a reply can arrive before the
//! confirm of its request; a request whose publish ended unconfirmed is still waited for,
//! since only the reply can show whether it arrived.
//!
//! Before the deadline, at [`INSPECT_AFTER`] of the time, the call inspects the queue of the server, so that a
//! timeout can say whether anything consumes it.

use std::future::{Future, pending};
use std::pin::{Pin, pin};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::RpcClient;
use super::outgoing_request::OutgoingRequest;
use crate::bus::inspections::Finding;
use crate::bus::waiting_calls::{Answer, CallId, PendingCall};
use crate::driver::{Address, Message, PublishOptions};
use crate::rpc::failures;
use crate::wire::CallParts;
use crate::{Deadline, Error, ErrorKind, Executed, Payload, RemoteError, Result};

/// The module under which the reference's dispatcher refuses what it does not have.
const DISPATCHER_MODULE: &str = "oslo_messaging.rpc.dispatcher";

/// The share of a call's time after which it inspects the queue of its server.
const INSPECT_AFTER: f64 = 0.8;

/// One call that is under way. It starts no task: dropping its future ends everything of it here.
pub(crate) struct Call<'a> {
    /// Gives the target, the retries, the monitor time and the bus.
    pub(crate) client: &'a RpcClient,
    /// The `_msg_id` of the request and of its reply.
    pub(crate) id: CallId,
    pub(crate) method: &'a str,
    /// Where the request goes: the topic, or one server of it.
    pub(crate) address: Address,
    /// Bounds the whole call. It also goes into the request as `_deadline`.
    pub(crate) deadline: Deadline,
    /// When the call began, before the inbox was open.
    pub(crate) started: Instant,
}

/// How far a call has come, for the error that ends it.
#[derive(Debug, Clone, Copy, Default)]
struct Phases {
    /// When the inbox was open and the request could be sent.
    connected: Option<Instant>,
    /// When the publish of the request ended, confirmed or not.
    published: Option<Instant>,
}

/// What the publisher knows of the request.
enum Sent {
    /// The broker owns it.
    Confirmed,
    /// The publish failed in a way that may have delivered the request; only a reply can show it.
    Unknown(Error),
}

impl Call<'_> {
    /// Runs the call and returns the result as JSON.
    ///
    /// Errors: `Remote` if the method failed, `Timeout` with the phases in its context, or what the driver reports.
    ///
    /// Cancellation: the registration ends with the future;
    /// a late reply is acknowledged and dropped. The method may run.
    pub(super) async fn run(&self, request: OutgoingRequest<'_>) -> Result<Payload> {
        let mut phases = Phases::default();
        let monitored = self.client.monitor.is_some();
        let (mut pending, reply_q) = match self.client.bus.0.inbox.expect_reply(self.id, monitored, self.deadline).await
        {
            Ok(opened) => opened,
            Err(error) if error.kind() == ErrorKind::Timeout => {
                return Err(self.timed_out(phases, Executed::No).with_source(error));
            }
            Err(error) => return Err(self.named(error)),
        };
        phases.connected = Some(Instant::now());
        let message = self.message(request, &reply_q);
        let options = self.client.publish_options(&self.address, self.deadline, true);
        // Polled beside the wait for the reply, and pinned here: a future that moves into another has room in it twice.
        let publish = pin!(self.publish(message, &options));
        // The outer result is of this side, the inner one is of the method.
        self.finish(self.wait(&mut pending, publish, &reply_q, &mut phases).await?)
    }

    /// The request on the wire. A function of its own, so that the future does not keep what only this step needs.
    fn message(&self, request: OutgoingRequest<'_>, reply_q: &str) -> Message {
        let monitor = self.client.monitor.map(|interval| interval.as_secs_f64());
        let call = CallParts { msg_id: &self.id.to_string(), reply_q, monitor };
        request.into_message(Some(call), Some(self.client.bus.0.clock.unix_ms(self.deadline)))
    }

    /// Waits for the reply, the failure of the publish, the silence of a monitored server, or the deadline.
    ///
    /// The silence of a monitored call counts from the end of the publish, then from each heartbeat. The overall
    /// deadline stays the limit, as in the reference
    /// (oslo.messaging 18.3.1, `_drivers/amqpdriver.py`, `ReplyWaiter.wait`).
    ///
    /// Errors: `Timeout` for the deadline and for a silent server; what the publish failed with, if it certainly sent
    /// nothing; what the reader of the inbox ended with.
    async fn wait(
        &self,
        pending: &mut PendingCall,
        mut publish: Pin<&mut impl Future<Output = Result<Sent>>>,
        reply_q: &str,
        phases: &mut Phases,
    ) -> Result<std::result::Result<Payload, RemoteError>> {
        // One timer for both: the inspection, and then the deadline.
        let mut deadline = pin!(sleep_until(self.inspect_at()));
        // Boxed when its time has come: most calls end before, and carry no room for it.
        let (mut inspection, mut inspected) = (None::<BoxFuture<'_, ()>>, false);
        // Boxed as well: few calls are monitored.
        let mut silence = None::<BoxFuture<'_, ()>>;
        let mut sent = None;
        loop {
            tokio::select! {
                biased;
                // First, so that a reply wins over a deadline that passed in the same moment.
                answer = &mut pending.answer => return self.answered(answer.ok()),
                published = &mut publish, if sent.is_none() => {
                    let now = Instant::now();
                    phases.published = Some(now);
                    sent = Some(published?);
                    // A server cannot be silent about what it was not sent.
                    silence = self.silence_since(now);
                }
                heard = heard(&mut pending.heard), if pending.heard.is_some() => silence = self.silence_since(heard),
                () = finished(&mut silence), if silence.is_some() && sent.is_some() => {
                    return Err(self.gone_silent(*phases));
                }
                () = finished(&mut inspection), if inspection.is_some() => inspection = None,
                () = &mut deadline => {
                    if inspected || self.deadline.has_passed() {
                        return Err(self.unanswered(sent, *phases));
                    }
                    // Without a confirm the queue may not have the request yet, and its counts would mislead.
                    let confirmed = matches!(sent, Some(Sent::Confirmed));
                    (inspected, inspection) = (true, confirmed.then(|| self.inspect(reply_q).boxed()));
                    deadline.as_mut().reset(self.deadline.instant());
                }
            }
        }
    }

    /// Ends when the server of a monitored call has not been heard of for the monitor's interval after `sign`.
    fn silence_since(&self, sign: Instant) -> Option<BoxFuture<'static, ()>> {
        self.client.monitor.map(|interval| sleep_until(sign + interval).boxed())
    }

    /// Late enough that most calls have ended, early enough that the finding is there when the deadline passes.
    fn inspect_at(&self) -> Instant {
        self.started + (self.deadline.instant() - self.started).mul_f64(INSPECT_AFTER)
    }

    /// Inspects the queue of the server and the reply queue, which lets the driver notice that the latter is gone.
    ///
    /// Its own errors are ignored; the finding stays in the table of inspections.
    async fn inspect(&self, reply_q: &str) {
        let bus = &self.client.bus.0;
        let inbox = Address::Direct { queue: reply_q.to_owned() };
        for address in [&self.address, &inbox] {
            bus.inspections.inspect(bus.transport.as_ref(), address, self.deadline).await;
        }
    }

    /// Publishes the request, and repeats only attempts that certainly sent nothing.
    ///
    /// Errors: what the driver reports, once the attempt sent nothing and no further one is permitted.
    async fn publish(&self, message: Message, options: &PublishOptions) -> Result<Sent> {
        let mut first = true;
        let publish = || {
            let message = message.clone().with_expiration(self.time_to_live(std::mem::take(&mut first)));
            self.client.bus.0.transport.publish(&self.address, message, options)
        };
        match self.client.retry.run(self.deadline, publish).await {
            Ok(()) => Ok(Sent::Confirmed),
            Err(error) if error.executed() == Executed::Maybe => Ok(Sent::Unknown(error)),
            Err(error) => Err(self.named(error)),
        }
    }

    /// How long the broker may keep the request: the whole timeout the first time, later what is left of it.
    ///
    /// The first attempt carries the value that the reference writes: the timeout of the call in milliseconds.
    fn time_to_live(&self, first: bool) -> Duration {
        if first { self.deadline.instant() - self.started } else { self.deadline.remaining() }
    }

    /// What the reply inbox gave; a closed channel means that the reader is gone.
    ///
    /// Errors: what the reader of the inbox ended with; the method may have run.
    fn answered(&self, answer: Option<Answer>) -> Result<std::result::Result<Payload, RemoteError>> {
        let lost = || Error::closed("call").with_executed(Executed::Maybe);
        answer.unwrap_or_else(|| Err(lost())).map_err(|error| self.named(error))
    }

    /// Turns a remote exception into an error with what it says about the execution.
    ///
    /// Errors: `Remote`, with the exception as its source.
    fn finish(&self, answer: std::result::Result<Payload, RemoteError>) -> Result<Payload> {
        answer.map_err(|remote| {
            let executed = executed_by(&remote, &self.id.to_string());
            self.named(Error::new(ErrorKind::Remote, "call").with_executed(executed).with_source(remote))
        })
    }

    /// The timeout, with what is known: the last publish error, or what the queue of the server held.
    ///
    /// `consumers` and `ready` are of the last inspection. `queue: gone` means that the queue did not exist then.
    fn unanswered(&self, sent: Option<Sent>, phases: Phases) -> Error {
        match sent {
            Some(Sent::Unknown(cause)) => self.timed_out(phases, Executed::Maybe).with_source(cause),
            Some(Sent::Confirmed) => {
                let error = self.timed_out(phases, Executed::Maybe);
                match self.client.bus.0.inspections.latest(&self.address) {
                    Finding::Queue(queue) => {
                        error.with_context("consumers", queue.consumers).with_context("ready", queue.ready)
                    }
                    Finding::NoQueue => error.with_context("queue", "gone"),
                    Finding::Nothing => error,
                }
            }
            None => self.timed_out(phases, Executed::Maybe),
        }
    }

    /// The timeout of a monitored call whose server sent no heartbeat.
    fn gone_silent(&self, phases: Phases) -> Error {
        let interval = self.client.monitor.unwrap_or_default();
        self.timed_out(phases, Executed::Maybe)
            .with_context("reason", format_args!("no heartbeat from the server for {interval:?}"))
    }

    /// A timeout that says how long each phase took: connecting, waiting for the confirm, waiting for the reply.
    ///
    /// A phase that did not end is counted up to now; one that did not begin takes no time.
    fn timed_out(&self, phases: Phases, executed: Executed) -> Error {
        let now = Instant::now();
        // A phase that was not reached begins and ends now, so that its length is zero.
        let connected = phases.connected.unwrap_or(now);
        let published = phases.published.unwrap_or(now);
        self.named(Error::timeout("call").with_executed(executed))
            .with_context("msg_id", self.id)
            .with_context("connecting", format_args!("{:?}", connected - self.started))
            .with_context("confirming", format_args!("{:?}", published - connected))
            .with_context("waiting", format_args!("{:?}", now - published))
    }

    /// Adds method and target, without which the error of one call among many says little.
    fn named(&self, error: Error) -> Error {
        error.with_context("method", self.method).with_context("target", &self.client.target)
    }
}

/// When the next heartbeat arrives, or the first half of a two-message reply (`Waiter::partial` in
/// `bus/waiting_calls.rs`). Pending for ever if the call is not monitored.
async fn heard(heard: &mut Option<watch::Receiver<Instant>>) -> Instant {
    let Some(heard) = heard else { return pending().await };
    match heard.changed().await {
        Ok(()) => *heard.borrow_and_update(),
        // The call has ended, and its answer is there.
        Err(_) => pending().await,
    }
}

/// Waits for `future`; without one it is pending for ever, so that its branch of a `select!` never wins.
async fn finished(future: &mut Option<BoxFuture<'_, ()>>) {
    match future {
        Some(future) => future.await,
        None => pending().await,
    }
}

/// What a failure says about the execution. A server that refused a request or its arguments did not run the method;
/// but a method may raise the same exception itself,
/// or pass on the refusal of a server that it called, and the two look alike.
///
/// The reference refuses with `NoSuchMethod` and `UnsupportedVersion` of `rpc/dispatcher.py`, and with the
/// `TypeError` that Python raises for wrong arguments.
fn executed_by(remote: &RemoteError, msg_id: &str) -> Executed {
    if let Some(executed) = failures::executed(remote, msg_id) {
        return executed;
    }
    match (remote.module(), remote.class()) {
        // What both sides raise for arguments that the method does not take.
        (DISPATCHER_MODULE, "NoSuchMethod" | "UnsupportedVersion") | ("builtins", "TypeError") => Executed::Maybe,
        _ => Executed::Yes,
    }
}
