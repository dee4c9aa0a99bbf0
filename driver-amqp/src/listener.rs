//! One subscription: a channel with a consumer for each queue.

use std::collections::HashMap;
use std::future::poll_fn;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, Stream};
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicQosOptions, QueueDeleteOptions};
use lapin::types::{FieldTable, ShortString};
use lapin::{Channel, Consumer};
use oslo_messaging::{
    Address, Deadline, Error, ErrorKind, Executed, IncomingMessage, Lifetime, Listener, QueuePlan, Result, Settle,
    Subscription,
};
use tokio::sync::oneshot;

use crate::connection::Connection;
use crate::counters::{Counts, count};
use crate::errors::{translate, unknown};
use crate::incoming::AmqpIncoming;
use crate::merge::Merge;
use crate::names::short;
use crate::properties;
use crate::settler::{Command, Settler};
use crate::tasks::Tasks;
use crate::watermark::Tag;

type Batch = Vec<(Tag, (usize, Delivery))>;

/// A reader of one subscription.
pub(crate) struct AmqpListener {
    address: Address,
    connection: Arc<Connection>,
    channel: Channel,
    consumers: Vec<Reader>,
    merge: Merge<(usize, Delivery)>,
    mode: Settle,
    /// An acknowledgement on its way, with what it covers: kept here, so that a dropped `poll` loses nothing.
    writing: Option<(BoxFuture<'static, lapin::Result<()>>, Batch)>,
    settler: Settler,
    /// Keeps the settler's task until it has ended.
    _tasks: Arc<Tasks>,
    private: Vec<ShortString>,
    counts: Arc<Counts>,
    stopped: bool,
    /// Why nothing comes any more, once that is so.
    lost: Option<Error>,
}

struct Reader {
    consumer: Option<Consumer>,
    tag: ShortString,
    queue: Arc<str>,
    /// Whether the broker knows that we are done, which a `stop` that was dropped need not have reached.
    cancelled: bool,
}

/// What the consumers of a channel have for us.
enum Read {
    Progress,
    /// Every consumer has ended.
    End,
}

impl AmqpListener {
    /// Opens the channel of a subscription whose queues exist, and starts consuming.
    pub(crate) async fn open(
        connection: &Arc<Connection>,
        subscription: &Subscription,
        queues: &[QueuePlan],
        address: Address,
        counts: &Arc<Counts>,
        tasks: &Arc<Tasks>,
        deadline: Deadline,
    ) -> Result<Self> {
        let channel = connection.channel(deadline).await?;
        let window = subscription.window.get();
        connection.ask("set prefetch", deadline, channel.basic_qos(window, BasicQosOptions::default())).await?;
        let mut consumers = Vec::new();
        for (index, queue) in queues.iter().enumerate() {
            let name = short("queue", &queue.name)?;
            // The reference numbers its consumers from 1 (oslo.messaging `declare_consumer`).
            let tag = short("consumer tag", &(index + 1).to_string())?;
            let options = BasicConsumeOptions::default();
            let consume = channel.basic_consume(name, tag.clone(), options, FieldTable::default());
            let consumer = connection.ask("consume", deadline, consume).await;
            let consumer = consumer.map_err(|error| error.with("queue", &queue.name))?;
            consumers.push(Reader {
                consumer: Some(consumer),
                tag,
                queue: queue.name.as_str().into(),
                cancelled: false,
            });
        }
        let settler = Settler::start(channel.clone(), window, Arc::clone(counts), tasks);
        let private = queues.iter().filter(|queue| queue.lifetime == Lifetime::Private);
        Ok(Self {
            address,
            connection: Arc::clone(connection),
            channel,
            consumers,
            merge: Merge::default(),
            mode: subscription.settle,
            writing: None,
            settler,
            _tasks: Arc::clone(tasks),
            private: private.map(|queue| short("queue", &queue.name)).collect::<Result<_>>()?,
            counts: Arc::clone(counts),
            stopped: false,
            lost: None,
        })
    }

    /// Takes in whatever the consumers have; `Pending` only if that is nothing.
    fn read(&mut self, context: &mut Context<'_>) -> Poll<Result<Read>> {
        let mut progress = false;
        for (index, reader) in self.consumers.iter_mut().enumerate() {
            while let Some(consumer) = &mut reader.consumer {
                match Pin::new(consumer).poll_next(context) {
                    Poll::Pending => break,
                    Poll::Ready(Some(Ok(delivery))) => {
                        progress = true;
                        self.merge.push(delivery.delivery_tag, (index, delivery));
                    }
                    Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(unknown("poll", &error))),
                    Poll::Ready(None) if self.stopped => reader.consumer = None,
                    Poll::Ready(None) => return Poll::Ready(Err(self.ended(index))),
                }
            }
        }
        if progress {
            Poll::Ready(Ok(Read::Progress))
        } else if self.consumers.iter().all(|reader| reader.consumer.is_none()) {
            Poll::Ready(Ok(Read::End))
        } else {
            Poll::Pending
        }
    }

    /// lapin tells the end of a consumer once: it is kept until what came before it is handed over, and told ever after.
    fn keep_the_end(&mut self, read: Poll<Result<Read>>) -> Poll<Result<Read>> {
        if let Poll::Ready(Err(error)) = &read {
            self.lost.get_or_insert_with(|| error.clone());
        }
        match &self.lost {
            Some(error) => Poll::Ready(Err(error.clone())),
            None => read,
        }
    }

    /// A consumer that ends without our asking: its queue was deleted, or the connection is gone.
    fn ended(&self, index: usize) -> Error {
        let reason = if self.connection.is_connected() {
            "the broker cancelled the consumer: its queue is gone"
        } else {
            "the connection is gone"
        };
        Error::new(ErrorKind::Disconnected, "poll")
            .transient()
            .with_executed(Executed::Maybe)
            .with("reason", reason)
            .with("queue", &self.consumers[index].queue)
    }

    /// Waits until what was taken is acknowledged on the wire, and only then gives it out.
    async fn hand_over(&mut self) -> Result<Vec<Box<dyn IncomingMessage>>> {
        let Some((writing, _)) = &mut self.writing else { return Ok(Vec::new()) };
        let written = writing.await;
        let (_, batch) = self.writing.take().expect("it was there a line before, and nobody else takes it");
        written.map_err(|error| unknown("acknowledge", &error))?;
        count(&self.counts.handed_over_acknowledged, batch.len());
        Ok(batch.into_iter().map(|(_, delivery)| self.incoming(delivery, None)).collect())
    }

    fn incoming(&self, (index, delivery): (usize, Delivery), unsettled: Option<Tag>) -> Box<dyn IncomingMessage> {
        let redelivered = delivery.redelivered;
        let message = properties::message(delivery, Arc::clone(&self.consumers[index].queue));
        Box::new(match unsettled {
            Some(tag) => AmqpIncoming::unsettled(message, redelivered, tag, self.settler.clone()),
            None => AmqpIncoming::settled(message, redelivered),
        })
    }

    async fn release(&mut self, deadline: Deadline) -> Result<()> {
        let stopped = self.stop(deadline).await;
        let (done, closed) = oneshot::channel();
        // A settler that has ended has nothing left to write.
        let _ = self.settler.send("close", Command::Close(done));
        let _ = deadline.run("write acknowledgements", closed).await?;
        // Once it has ended, settling a message of this listener is refused.
        deadline.run("close", self.settler.ended()).await?;
        for queue in std::mem::take(&mut self.private) {
            let deleting = self.channel.queue_delete(queue, QueueDeleteOptions::default());
            self.connection.ask("delete queue", deadline, deleting).await?;
        }
        let closing = self.channel.close(200, "closed".into());
        deadline.run("close channel", closing).await?.map_err(|error| translate("close", &error))?;
        stopped
    }
}

#[async_trait]
impl Listener for AmqpListener {
    fn address(&self) -> &Address {
        &self.address
    }

    async fn poll(&mut self, max: NonZeroUsize) -> Result<Option<Vec<Box<dyn IncomingMessage>>>> {
        loop {
            if self.writing.is_some() {
                return self.hand_over().await.map(Some);
            }
            // Everything that is here is taken in first, so that one acknowledgement covers as much as it can.
            let read = poll_fn(|context| Poll::Ready(self.read(context))).await;
            let read = self.keep_the_end(read);
            if let Some((last, batch)) = self.merge.take(max.get()) {
                match self.mode {
                    Settle::BeforeHandover => {
                        count(&self.counts.handover_acknowledgements, 1);
                        let channel = self.channel.clone();
                        let multiple = batch.len() > 1;
                        let write = async move { channel.basic_ack(last, BasicAckOptions { multiple }).await };
                        self.writing = Some((write.boxed(), batch));
                        continue;
                    }
                    Settle::ByReceiver => {
                        count(&self.counts.handed_over_unsettled, batch.len());
                        let unsettled = batch.into_iter().map(|(tag, delivery)| self.incoming(delivery, Some(tag)));
                        return Ok(Some(unsettled.collect()));
                    }
                }
            }
            let read = match read {
                Poll::Ready(read) => read?,
                Poll::Pending => match poll_fn(|context| self.read(context)).await {
                    Ok(read) => read,
                    Err(error) => {
                        self.lost.get_or_insert(error);
                        continue;
                    }
                },
            };
            if let Read::End = read {
                return Ok(None);
            }
        }
    }

    async fn stop(&mut self, deadline: Deadline) -> Result<()> {
        self.stopped = true;
        for reader in &mut self.consumers {
            if !reader.cancelled {
                let cancel = self.channel.basic_cancel(reader.tag.clone(), BasicCancelOptions::default());
                self.connection.ask("stop", deadline, cancel).await?;
                reader.cancelled = true;
            }
        }
        Ok(())
    }

    async fn close(mut self: Box<Self>, deadline: Deadline) -> Result<()> {
        self.release(deadline).await
    }
}

/// What was acknowledged is still written; then the channel ends, and everything else is the broker's again.
impl Drop for AmqpListener {
    fn drop(&mut self) {
        let (nobody_waits, _) = oneshot::channel();
        let _ = self.settler.send("close", Command::Close(nobody_waits));
    }
}

impl std::fmt::Debug for AmqpListener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let queues: HashMap<_, _> = self.consumers.iter().map(|reader| (reader.tag.as_str(), &reader.queue)).collect();
        f.debug_struct("AmqpListener").field("address", &self.address).field("queues", &queues).finish_non_exhaustive()
    }
}
