//! Channels: the broker's side of a listener. Consumers, their windows and their unsettled messages.

use std::collections::VecDeque;
use std::sync::Arc;

use oslo_messaging::driver::{Settle, Subscription};
use tokio::time::Instant;

use crate::delivery_limit::ReturnReason;
use crate::state::BrokerState;
use crate::state::connection::EndReason;
use crate::state::id::{ConsumerId, Id, IdMap};
use crate::state::mailbox::Mailbox;
use crate::state::queue::Entry;

/// One consumer of a channel. A subscription has one for each of its queues.
#[derive(Debug, Clone)]
pub(crate) struct Consumer {
    /// May be deleted before the consumer ends; the consumer then receives nothing more.
    pub(crate) queue: Id,
    /// Whether closing the listener deletes the queue: it is private.
    pub(crate) owns_queue: bool,
    /// How many of its messages are delivered and unsettled; the window bounds them.
    unsettled: usize,
}

/// A message that was delivered to a consumer and is unsettled.
#[derive(Debug)]
pub(crate) struct Delivery {
    /// Index of the consumer in its channel.
    pub(crate) consumer: usize,
    /// The message; it keeps its position in the queue, to which a requeue returns it.
    pub(crate) entry: Entry,
}

/// How a receiver settles a message. Each way frees one place in the window.
///
/// A requeued message returns to its queue; an acknowledged or rejected one is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settlement {
    Acknowledge,
    Requeue,
    Reject,
}

/// The consumers of one subscription and their unsettled messages.
#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) connection: Id,
    /// Whether polls acknowledge messages before they return them.
    pub(crate) settle: Settle,
    pub(crate) mailbox: Arc<Mailbox>,
    /// Whether its consumers are cancelled. It can still be drained and settled.
    pub(crate) stopped: bool,
    pub(crate) consumers: Vec<Consumer>,
    /// Delivered and not polled yet, oldest first.
    pub(crate) buffer: VecDeque<Delivery>,
    /// Polled and unsettled, by delivery tag.
    unsettled: IdMap<Delivery>,
    /// How many unsettled messages each consumer may have: RabbitMQ counts
    /// `basic.qos` with `global=false` per consumer.
    window: usize,
    /// Tags count up, as delivery tags of AMQP do.
    next_tag: Id,
}

impl Channel {
    fn new(connection: Id, settle: Settle, window: usize) -> Self {
        Self {
            connection,
            settle,
            mailbox: Arc::default(),
            stopped: false,
            consumers: Vec::new(),
            buffer: VecDeque::new(),
            unsettled: IdMap::default(),
            window,
            next_tag: 0,
        }
    }

    /// Returns the index of the new consumer, which stays valid: a channel keeps its consumers until it ends.
    pub(crate) fn add_consumer(&mut self, queue: Id, owns_queue: bool) -> usize {
        self.consumers.push(Consumer { queue, owns_queue, unsettled: 0 });
        self.consumers.len() - 1
    }

    /// Delivers a message to `consumer`; returns whether its window has room for another one.
    pub(crate) fn deliver(&mut self, consumer: usize, mut entry: Entry) -> bool {
        Arc::make_mut(&mut entry.message).received_at = Some(Instant::now());
        self.buffer.push_back(Delivery { consumer, entry });
        let consumer = &mut self.consumers[consumer];
        consumer.unsettled += 1;
        consumer.unsettled < self.window
    }

    /// Keeps `delivery` until it is settled under the returned tag.
    pub(crate) fn hold(&mut self, delivery: Delivery) -> Id {
        let tag = self.next_tag;
        self.next_tag += 1;
        self.unsettled.insert(tag, delivery);
        tag
    }

    /// Frees one place in the window of `consumer`; returns whether the window was full.
    fn free_place(&mut self, consumer: usize) -> bool {
        let consumer = &mut self.consumers[consumer];
        consumer.unsettled -= 1;
        consumer.unsettled + 1 == self.window
    }
}

impl BrokerState {
    /// Opens a channel for `subscription`; the caller adds its consumers.
    pub(crate) fn open_channel(&mut self, connection: Id, subscription: &Subscription) -> Id {
        let id = self.next_id();
        self.channels.insert(id, Channel::new(connection, subscription.settle, subscription.window.get().into()));
        if let Some(connection) = self.connections.get_mut(&connection) {
            connection.channels.push(id);
        }
        id
    }

    /// Settles the message under `tag` of `channel`. Returns `false` if there is none: an
    /// interruption took it back, or the channel ended.
    ///
    /// A requeued message returns to its queue marked as redelivered; acknowledged and rejected ones are gone. The
    /// freed place in the window is filled at once.
    pub(crate) fn settle(&mut self, channel: Id, tag: Id, settlement: Settlement) -> bool {
        let held = self.channels.get_mut(&channel).and_then(|channel| channel.unsettled.remove(&tag));
        let Some(delivery) = held else { return false };
        match settlement {
            Settlement::Acknowledge => {
                self.counters.acknowledged += 1;
                self.counters.acknowledgement_writes += 1;
            }
            Settlement::Reject => self.counters.rejected += 1,
            Settlement::Requeue => {}
        }
        let queue = self.release(channel, delivery.consumer);
        if settlement == Settlement::Requeue {
            self.requeue(queue, delivery.entry, ReturnReason::Requeued);
        }
        self.deliver_ready(queue);
        true
    }

    /// Counts one message of `consumer` as settled, which may make the consumer
    /// available to its queue again. Returns the queue.
    ///
    /// Called once for each settled delivery.
    pub(crate) fn release(&mut self, channel: Id, consumer: usize) -> Id {
        let holder = self.channels.get_mut(&channel).expect("a channel outlives its unsettled messages");
        let queue_id = holder.consumers[consumer].queue;
        let has_room_again = holder.free_place(consumer) && !holder.stopped;
        if let Some(queue) = self.queues.get_mut(&queue_id) {
            queue.unsettled -= 1;
            if has_room_again {
                queue.add_available(ConsumerId { channel, index: consumer });
            }
        }
        queue_id
    }

    /// Stops the consumers of a channel, as `basic.cancel` does. Their unsettled messages can still be settled.
    ///
    /// A second call has no effect. Private queues start to expire.
    pub(crate) fn cancel(&mut self, id: Id) {
        let Some(channel) = self.channels.get_mut(&id) else { return };
        if std::mem::replace(&mut channel.stopped, true) {
            return;
        }
        self.wake_ups.add(&channel.mailbox);
        let queues: Vec<Id> = channel.consumers.iter().map(|consumer| consumer.queue).collect();
        for (index, queue) in queues.into_iter().enumerate() {
            self.detach(queue, ConsumerId { channel: id, index });
        }
    }

    /// Ends a channel: its consumers stop, and its unsettled messages return to their queues, marked
    /// as redelivered. Private queues start to expire.
    ///
    /// Waiting polls and later settlements fail with the error of `end`. A second call has no effect.
    pub(crate) fn end_channel(&mut self, id: Id, end: &EndReason) {
        self.cancel(id);
        let Some(channel) = self.channels.remove(&id) else { return };
        if let Some(connection) = self.connections.get_mut(&channel.connection) {
            connection.channels.retain(|other| *other != id);
        }
        channel.mailbox.end.get_or_init(|| end.clone());
        self.wake_ups.add(&channel.mailbox);

        let Channel { buffer, unsettled, consumers, .. } = channel;
        self.requeue_all(buffer.into_iter().chain(unsettled.into_values()).collect(), &consumers);
        for consumer in consumers {
            self.deliver_ready(consumer.queue);
        }
    }

    /// The queue of each consumer, in the order in which they were added.
    ///
    /// Empty if the channel has ended.
    pub(crate) fn queues_of(&self, id: Id) -> Vec<Id> {
        let consumers = self.channels.get(&id).map(|channel| channel.consumers.as_slice()).unwrap_or_default();
        consumers.iter().map(|consumer| consumer.queue).collect()
    }

    /// Requeues the unsettled messages of a channel, marked as redelivered, as if its connection was lost and restored:
    /// the consumers continue, and the polled messages cannot be settled any more.
    ///
    /// Does not deliver: the caller first interrupts every channel, so that no message returns
    /// to a channel that is about to be interrupted.
    pub(crate) fn interrupt_channel(&mut self, id: Id) {
        let Some(channel) = self.channels.get_mut(&id) else { return };
        let (window, stopped) = (channel.window, channel.stopped);
        let held = channel.buffer.drain(..).chain(std::mem::take(&mut channel.unsettled).into_values()).collect();
        let consumers = channel.consumers.clone();
        channel.consumers.iter_mut().for_each(|consumer| consumer.unsettled = 0);
        self.requeue_all(held, &consumers);
        for (index, consumer) in consumers.iter().enumerate() {
            if let Some(queue) = self.queues.get_mut(&consumer.queue)
                && consumer.unsettled >= window
                && !stopped
            {
                queue.add_available(ConsumerId { channel: id, index });
            }
        }
    }

    /// Requeues `held`, marked as redelivered. Under a delivery limit each counts as a failed delivery.
    ///
    /// `consumers` are passed separately, because the channel may be removed already.
    fn requeue_all(&mut self, mut held: Vec<Delivery>, consumers: &[Consumer]) {
        // Youngest first: each one then goes to the front of its queue without a search.
        held.sort_unstable_by_key(|delivery| std::cmp::Reverse(delivery.entry.position));
        for Delivery { consumer, entry } in held {
            let queue_id = consumers[consumer].queue;
            if let Some(queue) = self.queues.get_mut(&queue_id) {
                queue.unsettled -= 1;
            }
            self.requeue(queue_id, entry, ReturnReason::ConsumerLost);
        }
    }

    /// Ends a channel and deletes its private queues.
    ///
    /// The order matters: a deleted queue takes its unsettled messages with it, so they are not requeued.
    pub(crate) fn close_channel(&mut self, id: Id) {
        self.cancel(id);
        let Some(channel) = self.channels.get(&id) else { return };
        let own: Vec<Id> = channel.consumers.iter().filter(|c| c.owns_queue).map(|c| c.queue).collect();
        for queue in own {
            self.delete_queue(queue);
        }
        self.end_channel(id, &EndReason::Closed);
    }

    /// Returns `entry` to its position, marked as redelivered, or drops it if
    /// that exceeds the delivery limit of its queue.
    ///
    /// Counts the failed delivery first, if `reason` counts under the limit.
    fn requeue(&mut self, queue: Id, mut entry: Entry, reason: ReturnReason) {
        let Some(queue) = self.queues.get_mut(&queue) else { return };
        entry.redelivered = true;
        if let Some(limit) = self.config.delivery_limit.filter(|limit| queue.is_limited(limit) && limit.counts(reason))
        {
            entry.failed += 1;
            if entry.failed > limit.failures {
                self.counters.over_limit += 1;
                return;
            }
        }
        queue.put(entry);
        self.counters.requeued += 1;
    }
}
