//! One channel of a subscription with a consumer per queue: what a listener reads until the channel is lost.
//!
//! The listener owns it and polls it; no task of its own reads.
//! lapin buffers deliveries up to the prefetch count.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures_util::future::{BoxFuture, join_all};
use futures_util::{FutureExt, Stream};
use lapin::Consumer;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicCancelOptions, QueueDeleteOptions};
use lapin::types::ShortString;
use oslo_messaging::driver::Origin;
use oslo_messaging::{Deadline, Error, Result};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::consume::ack_frames::Tag;
use crate::consume::consumer_channel::ConsumerChannel;
use crate::consume::consumer_plan::ConsumerPlan;
use crate::consume::delivery_order::DeliveryOrder;
use crate::consume::settler::{Command, Settler};
use crate::counters::{Counts, count};
use crate::errors::{lost, unknown};
use crate::link::Link;
use crate::link::inner::Inner;
use crate::short_string::short_string;
use crate::topology::delivery_limit::delivery_limit;

/// A delivery, and what the session knows of it that lapin does not tell.
#[derive(Debug)]
pub(crate) struct Received {
    /// The queue that it was consumed from, which basic.deliver does not name.
    pub(crate) queue: Arc<str>,
    /// As lapin parsed it, with the body.
    pub(crate) delivery: Delivery,
    /// Where it was published to, from the same delivery.
    pub(crate) origin: Arc<Origin>,
    /// When it was read from lapin, on tokio's clock.
    pub(crate) at: Instant,
    /// Why its properties could not be decoded. They are empty then.
    pub(crate) undecodable: Option<String>,
}

/// The open channel of a listener. Dropping it writes the recorded acknowledgements
/// and closes the channel; the broker requeues everything else.
pub(crate) struct Session {
    /// Shared with the settler and the recovery. It closes when the last of them drops it.
    channel: ConsumerChannel,
    /// One per queue, in the order of the subscription. Indexes in events refer to it.
    readers: Vec<Reader>,
    /// Deliveries that were read and not handed over.
    /// lapin hands deliveries over by consumer, and the broker numbers them by channel.
    order: DeliveryOrder<Received>,
    /// Receivers have clones, which work after the session is gone and then fail.
    settler: Settler,
    /// Counts dropped deliveries.
    counts: Arc<Counts>,
    /// The broker drops a message that failed more often than this. `None`: it never does.
    delivery_limit: Option<u64>,
    /// The private queues, which are deleted when the listener closes.
    /// Stable names are not in it: their queues expire.
    passing: Vec<ShortString>,
    /// The error of a failed [`cancel`](Session::cancel), which has closed the channel.
    failed: Option<Error>,
}

/// One queue of the session. It keeps its place while its consumer is lost.
struct Reader {
    /// `None` from its end until it is restored.
    consumer: Option<Consumer>,
    /// New for each consumer of the channel, because RabbitMQ 4.3 may keep that of a cancelled one.
    tag: ShortString,
    /// Shared with each delivery, so naming it costs no copy.
    queue: Arc<str>,
    /// Whether the broker has answered basic.cancel. A dropped `stop` may have sent it without that.
    cancelled: bool,
    /// The origin of the last delivery. Nearly all messages of a queue have the same, and share it.
    origin: Option<Arc<Origin>>,
}

/// A new consumer of the session in use, for the queue of `index`.
#[derive(Debug)]
pub(crate) struct RestoredConsumer {
    /// The place of its queue in the session that lost it.
    pub(crate) index: usize,
    /// It may have received deliveries already. They wait in lapin until the listener takes it over.
    pub(crate) consumer: Consumer,
    /// With the new name, if the queue was renamed.
    pub(crate) queue: ConsumerPlan,
}

/// What one [`Session::read`] found, after it read everything that was ready.
pub(crate) enum SessionEvent {
    /// At least one delivery was read. It may still wait for an earlier one of another consumer.
    Progress,
    /// The broker cancelled the consumer of this index: its queue was deleted or moved, or a message was held too long.
    Cancelled(usize),
    /// The session was stopped, and every consumer has ended.
    End,
}

impl Session {
    /// Opens a channel and starts a consumer for each of `queues`, which must exist. `window` is the prefetch count.
    ///
    /// The prefetch count applies to each consumer, because basic.qos is sent with `global` off.
    /// RabbitMQ 4.3 turns a global count into this one.
    ///
    /// Cancellation drops the channel, which ends its consumers.
    ///
    /// Fails with the broker's error; `Timeout`. Consumers that had started end with the channel.
    pub(crate) async fn open(
        link: &Arc<Link>,
        inner: &Inner,
        window: u16,
        queues: &[ConsumerPlan],
        deadline: Deadline,
    ) -> Result<Self> {
        // With the prefetch count, which holds for consumers that start later.
        let channel = ConsumerChannel::open(link, window, deadline).await?;
        let mut readers = Vec::new();
        for queue in queues {
            let consumer = channel.consume(queue, deadline).await?;
            let (tag, queue) = (consumer.tag(), queue.plan.name.as_str().into());
            readers.push(Reader { consumer: Some(consumer), tag, queue, cancelled: false, origin: None });
        }
        let passing = queues.iter().filter(|queue| queue.passing);
        Ok(Self {
            settler: Settler::start(&channel, window, &inner.counts, &inner.settlers),
            channel,
            readers,
            order: DeliveryOrder::default(),
            counts: Arc::clone(&inner.counts),
            delivery_limit: delivery_limit(&inner.config, link.server_version()),
            passing: passing.map(|queue| short_string("queue", &queue.plan.name)).collect::<Result<_>>()?,
            failed: None,
        })
    }

    /// A clone of the channel, on which the recovery restores single consumers.
    pub(crate) fn channel(&self) -> ConsumerChannel {
        self.channel.clone()
    }

    /// As far as it is known: a policy of an operator is not visible to clients.
    pub(crate) fn delivery_limit(&self) -> Option<u64> {
        self.delivery_limit
    }

    /// Where the receivers of this session send their decisions, also after the session is gone.
    pub(crate) fn settler(&self) -> &Settler {
        &self.settler
    }

    /// Puts a restored consumer in the place of the cancelled one. Its queue may have a new name.
    ///
    /// The position of the queue stays. If a private queue was renamed,
    /// its new name is deleted at the close, not the old one.
    ///
    /// Fails with `TooLarge` for a name over 255 bytes.
    pub(crate) fn put(&mut self, restored: RestoredConsumer) -> Result<()> {
        let RestoredConsumer { index, consumer, queue } = restored;
        let reader = &mut self.readers[index];
        if queue.passing && *reader.queue != *queue.plan.name {
            self.passing.retain(|name| name.as_str() != &*reader.queue);
            self.passing.push(short_string("queue", &queue.plan.name)?);
        }
        reader.queue = queue.plan.name.as_str().into();
        reader.tag = consumer.tag();
        reader.consumer = Some(consumer);
        Ok(())
    }

    /// Reads what the consumers have; up to the first of them that was cancelled.
    /// Once `stopped`, a consumer that ends is not reported, and the session ends with the last one.
    ///
    /// Fails if the channel is lost, and with it every delivery that was not handed over.
    pub(crate) fn read(&mut self, stopped: bool, context: &mut Context<'_>) -> Poll<Result<SessionEvent>> {
        let (mut progress, mut failed) = (false, None);
        let host = &self.channel.link.host;
        for (index, reader) in self.readers.iter_mut().enumerate() {
            while let Some(consumer) = &mut reader.consumer {
                match Pin::new(consumer).poll_next(context) {
                    Poll::Pending => break,
                    Poll::Ready(Some(Ok(delivery))) => {
                        progress = true;
                        let (channel, tag) = (self.channel.amqp.id(), delivery.delivery_tag);
                        // The frame reader reported it before lapin could read the delivery.
                        let undecodable = self.channel.connection().notices().take_undecodable(channel, tag);
                        let (queue, at) = (Arc::clone(&reader.queue), Instant::now());
                        let origin = origin(&mut reader.origin, &delivery);
                        self.order.push(tag, Received { queue, delivery, origin, at, undecodable });
                    }
                    // The other consumers are read all the same, so that the dropped deliveries
                    // are counted.
                    Poll::Ready(Some(Err(error))) => {
                        reader.consumer = None;
                        failed = failed.or_else(|| Some(unknown("poll", &error).with_context("host", host)));
                    }
                    Poll::Ready(None) => {
                        reader.consumer = None;
                        if !self.channel.is_connected() {
                            failed = failed
                                .or_else(|| Some(lost("poll", "the channel is closed").with_context("host", host)));
                        } else if !stopped && failed.is_none() {
                            // RabbitMQ 4.3 keeps a consumer that held a message too
                            // long, and delivers to it again once that message is
                            // settled.
                            let options = BasicCancelOptions { nowait: true };
                            let _ = self.channel.amqp.basic_cancel(reader.tag.clone(), options).now_or_never();
                            return Poll::Ready(Ok(SessionEvent::Cancelled(index)));
                        }
                    }
                }
            }
        }
        // lapin may report the connection as open a moment longer.
        if self.channel.link.is_given_up() {
            failed = failed.or_else(|| Some(lost("poll", "the connection is closed").with_context("host", host)));
        }
        if let Some(error) = failed {
            return Poll::Ready(Err(error));
        }
        if progress {
            return Poll::Ready(Ok(SessionEvent::Progress));
        }
        if stopped && self.readers.iter().all(|reader| reader.consumer.is_none()) {
            // The consumers ended with the stop, so none of them reports a later loss of the channel.
            if !self.channel.is_connected() {
                return Poll::Ready(Err(lost("poll", "the channel is closed").with_context("host", host)));
            }
            Poll::Ready(Ok(SessionEvent::End))
        } else {
            Poll::Pending
        }
    }

    /// Takes up to `max` deliveries in the broker's order, with the tag of the last.
    /// What is taken is the caller's to acknowledge: the session forgets it.
    /// `None` if the next delivery in order has not arrived, even if later ones have.
    pub(crate) fn take(&mut self, max: usize) -> Option<(Tag, Vec<(Tag, Received)>)> {
        self.order.take(max)
    }

    /// Writes an acknowledgement of `last` and, if `multiple`, of all before it. The future ends when it is written.
    ///
    /// Nothing is queued before the first poll.
    ///
    /// Fails if the channel or its connection is lost, so the broker redelivers the messages.
    pub(crate) fn acknowledge(&self, last: Tag, multiple: bool) -> BoxFuture<'static, Result<()>> {
        let channel = self.channel.clone();
        let options = BasicAckOptions { multiple };
        Box::pin(async move { channel.connection().hear("acknowledge", channel.amqp.basic_ack(last, options)).await })
    }

    /// Cancels every consumer. If that fails, closes the channel, so that no further message arrives either way.
    ///
    /// Fails with `Timeout` or `Disconnected`. Every later call returns the same error.
    ///
    /// After a cancellation, a cancel that was sent stays sent; the next call repeats those that were not answered.
    pub(crate) async fn cancel(&mut self, deadline: Deadline) -> Result<()> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let connection = self.channel.connection();
        let cancels = self.readers.iter_mut().filter(|reader| !reader.cancelled).map(|reader| async {
            let cancel = self.channel.amqp.basic_cancel(reader.tag.clone(), BasicCancelOptions::default());
            connection.ask("stop", deadline, cancel).await?;
            reader.cancelled = true;
            Ok(())
        });
        let outcome: Result<Vec<()>> = join_all(cancels).await.into_iter().collect();
        if let Err(error) = &outcome {
            // Queued behind the cancels, for a broker that resumes later. The answer is not awaited.
            let _ = self.channel.amqp.close(200, "stopped".into()).now_or_never();
            self.failed = Some(error.clone());
        }
        outcome.map(drop)
    }

    /// Writes the recorded acknowledgements, deletes the private queues and closes the channel.
    ///
    /// Fails with `Timeout` or `Disconnected`, also if an earlier [`cancel`](Self::cancel) failed.
    ///
    /// A cancellation leaves what was not done to the drop, and private queues to their expiry.
    pub(crate) async fn release(&mut self, deadline: Deadline) -> Result<()> {
        let (done, closed) = oneshot::channel();
        // A settler that has ended has nothing left to write.
        let _ = self.settler.send("close", Command::Close(done));
        let connection = self.channel.connection();
        let _ = connection.run_until(deadline, "write acknowledgements", closed).await?;
        // From here on, settling a message of this listener fails with `Closed`.
        connection.run_until(deadline, "close", self.settler.ended()).await?;
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        // Taken: if a deletion fails, the others expire instead of being tried again.
        for queue in std::mem::take(&mut self.passing) {
            let deleting = self.channel.amqp.queue_delete(queue, QueueDeleteOptions::default());
            connection.ask("delete queue", deadline, deleting).await?;
        }
        let closing = self.channel.amqp.close(200, "closed".into());
        connection.ask("close channel", deadline, closing).await
    }

    /// Gives up a lost channel: the broker redelivers what was not handed over,
    /// and later settlements fail with `Disconnected`.
    pub(crate) fn abandon(mut self, reason: &Error) {
        self.count_dropped(reason);
        self.settler.abandon();
    }

    /// Gives up a channel because the transport closes: recorded decisions are still written,
    /// the broker redelivers what was not handed over, and later settlements fail with `Closed`.
    pub(crate) fn leave(mut self, reason: &Error) {
        self.count_dropped(reason);
    }

    /// Counts the deliveries that are dropped, with those that no poll has read yet.
    /// Reads once more, because lapin may have buffered deliveries that no poll has seen.
    fn count_dropped(&mut self, reason: &Error) {
        let _ = self.read(true, &mut Context::from_waker(Waker::noop()));
        tracing::debug!(%reason, dropped = self.order.len(), "a listener dropped the deliveries of a lost channel; the broker redelivers them");
        count(&self.counts.deliveries_dropped, self.order.len());
    }
}

/// Where `delivery` was published to: `last` if that is the same, which it then becomes.
/// Nearly all deliveries of a queue therefore share one allocation.
fn origin(last: &mut Option<Arc<Origin>>, delivery: &Delivery) -> Arc<Origin> {
    let (exchange, routing_key) = (delivery.exchange.as_str(), delivery.routing_key.as_str());
    if let Some(origin) = last
        && origin.exchange == exchange
        && origin.routing_key == routing_key
    {
        return Arc::clone(origin);
    }
    Arc::clone(last.insert(Arc::new(Origin::new(exchange, routing_key))))
}

/// Recorded acknowledgements are still written. Then the channel closes, and the broker requeues everything else.
impl Drop for Session {
    /// A command needs no runtime here, so a session may be dropped anywhere.
    fn drop(&mut self) {
        let (nobody_waits, _) = oneshot::channel();
        let _ = self.settler.send("close", Command::Close(nobody_waits));
    }
}

impl std::fmt::Debug for Session {
    /// Names the link by its generation; deliveries are left out, because their bodies may be confidential.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let queues: Vec<_> = self.readers.iter().map(|reader| &reader.queue).collect();
        f.debug_struct("Session")
            .field("generation", &self.channel.link.generation)
            .field("queues", &queues)
            .finish_non_exhaustive()
    }
}
