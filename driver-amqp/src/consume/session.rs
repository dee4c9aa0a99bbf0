//! One channel of a subscription, with a consumer for each queue: what a listener reads until the channel is lost.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures_util::future::{BoxFuture, join_all};
use futures_util::{FutureExt, Stream};
use lapin::Consumer;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicCancelOptions, BasicQosOptions, QueueDeleteOptions};
use lapin::types::ShortString;
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

/// A delivery, and what is known of it.
#[derive(Debug)]
pub(crate) struct Received {
    /// The queue it came from.
    pub(crate) queue: Arc<str>,
    pub(crate) delivery: Delivery,
    /// When it was read.
    pub(crate) at: Instant,
    /// Why its properties could not be decoded, and are empty.
    pub(crate) undecodable: Option<String>,
}

/// Dropping it writes what was acknowledged and ends its channel; everything else is the broker's again.
pub(crate) struct Session {
    channel: ConsumerChannel,
    readers: Vec<Reader>,
    merge: DeliveryOrder<Received>,
    settler: Settler,
    counts: Arc<Counts>,
    /// The broker drops what failed more often than this.
    delivery_limit: Option<u64>,
    /// What is deleted with the listener.
    passing: Vec<ShortString>,
    /// Why the consumers could not be ended, and the channel was.
    failed: Option<Error>,
}

struct Reader {
    consumer: Option<Consumer>,
    tag: ShortString,
    queue: Arc<str>,
    /// Whether the broker knows that we are done, which a `stop` that was dropped need not have reached.
    cancelled: bool,
}

/// A consumer of the session that is in use, for the queue of `index`.
#[derive(Debug)]
pub(crate) struct RestoredConsumer {
    pub(crate) index: usize,
    pub(crate) consumer: Consumer,
    pub(crate) queue: ConsumerPlan,
}

/// What the consumers of a channel have for us.
pub(crate) enum SessionEvent {
    Progress,
    /// The broker has ended the consumer of this index: its queue is gone.
    Cancelled(usize),
    /// Every consumer has ended.
    End,
}

impl Session {
    /// Opens the channel of a subscription whose queues exist, and starts consuming.
    ///
    /// # Errors
    /// As the broker's.
    pub(crate) async fn open(
        link: &Arc<Link>,
        inner: &Inner,
        window: u16,
        queues: &[ConsumerPlan],
        deadline: Deadline,
    ) -> Result<Self> {
        let channel = link.consuming.channel(deadline).await?;
        link.consuming.ask("set prefetch", deadline, channel.basic_qos(window, BasicQosOptions::default())).await?;
        let place = ConsumerChannel::new(link, channel);
        let mut readers = Vec::new();
        for queue in queues {
            let consumer = place.consume(queue, deadline).await?;
            let (tag, queue) = (consumer.tag(), queue.plan.name.as_str().into());
            readers.push(Reader { consumer: Some(consumer), tag, queue, cancelled: false });
        }
        let passing = queues.iter().filter(|queue| queue.passing);
        Ok(Self {
            settler: Settler::start(&place, window, &inner.counts, &inner.settlers),
            channel: place,
            readers,
            merge: DeliveryOrder::default(),
            counts: Arc::clone(&inner.counts),
            delivery_limit: delivery_limit(&inner.config, link.server_version()),
            passing: passing.map(|queue| short_string("queue", &queue.plan.name)).collect::<Result<_>>()?,
            failed: None,
        })
    }

    pub(crate) fn channel(&self) -> ConsumerChannel {
        self.channel.clone()
    }

    pub(crate) fn delivery_limit(&self) -> Option<u64> {
        self.delivery_limit
    }

    pub(crate) fn settler(&self) -> &Settler {
        &self.settler
    }

    /// Puts a new consumer where the broker has ended one; the queue may have another name now.
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

    /// Takes in whatever the consumers have; `Pending` only if that is nothing.
    ///
    /// # Errors
    /// The channel is lost, and everything that was not handed over with it.
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
                        let undecodable = self.channel.link.consuming.notices().take_undecodable(channel, tag);
                        let (queue, at) = (Arc::clone(&reader.queue), Instant::now());
                        self.merge.push(tag, Received { queue, delivery, at, undecodable });
                    }
                    // What the others have had until then is taken in all the same, to be counted.
                    Poll::Ready(Some(Err(error))) => {
                        reader.consumer = None;
                        failed = failed.or_else(|| Some(unknown("poll", &error).with("host", host)));
                    }
                    Poll::Ready(None) => {
                        reader.consumer = None;
                        if !self.channel.is_connected() {
                            failed = failed.or_else(|| Some(lost("poll", "the channel is closed").with("host", host)));
                        } else if !stopped && failed.is_none() {
                            // RabbitMQ 4.3 keeps a consumer that held a message for too long, and hands messages to it
                            // again once that message is settled after all.
                            let options = BasicCancelOptions { nowait: true };
                            let _ = self.channel.amqp.basic_cancel(reader.tag.clone(), options).now_or_never();
                            return Poll::Ready(Ok(SessionEvent::Cancelled(index)));
                        }
                    }
                }
            }
        }
        // This connection may be the slower of the two to notice.
        if self.channel.link.is_given_up() {
            failed = failed.or_else(|| Some(lost("poll", "the connection is closed").with("host", host)));
        }
        if let Some(error) = failed {
            return Poll::Ready(Err(error));
        }
        if progress {
            return Poll::Ready(Ok(SessionEvent::Progress));
        }
        if stopped && self.readers.iter().all(|reader| reader.consumer.is_none()) {
            // They ended with the stop, so none of them tells of what came after it.
            if !self.channel.is_connected() {
                return Poll::Ready(Err(lost("poll", "the channel is closed").with("host", host)));
            }
            Poll::Ready(Ok(SessionEvent::End))
        } else {
            Poll::Pending
        }
    }

    /// Gives out up to `max` deliveries in the broker's order, with the tag of the last.
    pub(crate) fn take(&mut self, max: usize) -> Option<(Tag, Vec<(Tag, Received)>)> {
        self.merge.take(max)
    }

    /// An acknowledgement of `last` and, if they are several, all before it; it ends when it is written.
    pub(crate) fn acknowledge(&self, last: Tag, multiple: bool) -> BoxFuture<'static, Result<()>> {
        let ConsumerChannel { link, amqp, .. } = self.channel.clone();
        let options = BasicAckOptions { multiple };
        Box::pin(async move { link.consuming.hear("acknowledge", amqp.basic_ack(last, options)).await })
    }

    /// Ends every consumer; where one cannot be, the channel, so that nothing new arrives all the same.
    ///
    /// # Errors
    /// `Timeout`, `Disconnected`.
    pub(crate) async fn cancel(&mut self, deadline: Deadline) -> Result<()> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let consuming = &self.channel.link.consuming;
        let cancels = self.readers.iter_mut().filter(|reader| !reader.cancelled).map(|reader| async {
            let cancel = self.channel.amqp.basic_cancel(reader.tag.clone(), BasicCancelOptions::default());
            consuming.ask("stop", deadline, cancel).await?;
            reader.cancelled = true;
            Ok(())
        });
        let outcome: Result<Vec<()>> = join_all(cancels).await.into_iter().collect();
        if let Err(error) = &outcome {
            // Queued behind the cancels, for a broker that wakes up again; nobody waits for the answer.
            let _ = self.channel.amqp.close(200, "stopped".into()).now_or_never();
            self.failed = Some(error.clone());
        }
        outcome.map(drop)
    }

    /// Writes the acknowledgements that were recorded, deletes private queues, closes the channel.
    ///
    /// # Errors
    /// `Timeout`, `Disconnected`.
    pub(crate) async fn release(&mut self, deadline: Deadline) -> Result<()> {
        let (done, closed) = oneshot::channel();
        // A settler that has ended has nothing left to write.
        let _ = self.settler.send("close", Command::Close(done));
        let _ = deadline.run("write acknowledgements", closed).await?;
        // Once it has ended, settling a message of this listener is refused.
        deadline.run("close", self.settler.ended()).await?;
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        for queue in std::mem::take(&mut self.passing) {
            let deleting = self.channel.amqp.queue_delete(queue, QueueDeleteOptions::default());
            self.channel.link.consuming.ask("delete queue", deadline, deleting).await?;
        }
        let closing = self.channel.amqp.close(200, "closed".into());
        self.channel.link.consuming.ask("close channel", deadline, closing).await
    }

    /// Gives up a channel that is lost: what was not handed over comes again, and what is settled late is told so.
    pub(crate) fn abandon(mut self, reason: &Error) {
        self.give_back(reason);
        self.settler.abandon();
    }

    /// Gives up a channel that the transport closes: what was not handed over comes again, what was decided is still
    /// written, and what is settled later is told that it is closed.
    pub(crate) fn leave(mut self, reason: &Error) {
        self.give_back(reason);
    }

    /// Counts what is here and will not be handed over, also what no poll has taken in.
    fn give_back(&mut self, reason: &Error) {
        let _ = self.read(true, &mut Context::from_waker(Waker::noop()));
        tracing::debug!(%reason, dropped = self.merge.len(), "a listener dropped the deliveries of a lost channel; the broker redelivers them");
        count(&self.counts.deliveries_dropped, self.merge.len());
    }
}

/// What was acknowledged is still written; then the channel ends, and everything else is the broker's again.
impl Drop for Session {
    fn drop(&mut self) {
        let (nobody_waits, _) = oneshot::channel();
        let _ = self.settler.send("close", Command::Close(nobody_waits));
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let queues: Vec<_> = self.readers.iter().map(|reader| &reader.queue).collect();
        f.debug_struct("Session")
            .field("generation", &self.channel.link.generation)
            .field("queues", &queues)
            .finish_non_exhaustive()
    }
}
