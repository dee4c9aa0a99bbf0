//! Channels: what a listener is to its broker. Consumers, their windows, and what they hold unsettled.

use std::collections::VecDeque;
use std::sync::Arc;

use oslo_messaging::{Settle, Subscription};
use tokio::time::Instant;

use crate::delivery_limit::Returned;
use crate::state::BrokerState;
use crate::state::connection::End;
use crate::state::id::{Id, IdMap};
use crate::state::mailbox::Mailbox;
use crate::state::queue::Entry;

/// One consumer of one queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ConsumerId {
    pub(crate) channel: Id,
    /// Its place among the consumers of the channel.
    pub(crate) index: usize,
}

#[derive(Debug, Clone)]
pub(crate) struct Consumer {
    pub(crate) queue: Id,
    /// Whether the queue goes when the listener is closed.
    pub(crate) owns_queue: bool,
    unsettled: usize,
}

/// A message that a consumer holds.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) consumer: usize,
    pub(crate) entry: Entry,
}

/// What becomes of a message in hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Acknowledge,
    Requeue,
    Reject,
}

/// The consumers of one subscription, and their messages.
#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) connection: Id,
    pub(crate) settle: Settle,
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) stopped: bool,
    pub(crate) consumers: Vec<Consumer>,
    /// Handed over by the broker, not yet polled.
    pub(crate) buffer: VecDeque<Delivery>,
    /// Polled and unsettled.
    in_hand: IdMap<Delivery>,
    /// How many messages each consumer may hold: RabbitMQ counts `basic.qos` with `global=false` per consumer.
    window: usize,
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
            in_hand: IdMap::default(),
            window,
            next_tag: 0,
        }
    }

    pub(crate) fn add_consumer(&mut self, queue: Id, owns_queue: bool) -> usize {
        self.consumers.push(Consumer { queue, owns_queue, unsettled: 0 });
        self.consumers.len() - 1
    }

    /// Takes a message from the broker; says whether there is room for another one.
    pub(crate) fn hand_over(&mut self, consumer: usize, mut entry: Entry) -> bool {
        Arc::make_mut(&mut entry.message).received_at = Some(Instant::now());
        self.buffer.push_back(Delivery { consumer, entry });
        let consumer = &mut self.consumers[consumer];
        consumer.unsettled += 1;
        consumer.unsettled < self.window
    }

    /// Puts `delivery` into the receiver's hand, under the tag that is returned.
    pub(crate) fn hold(&mut self, delivery: Delivery) -> Id {
        let tag = self.next_tag;
        self.next_tag += 1;
        self.in_hand.insert(tag, delivery);
        tag
    }

    /// Gives one place back to the window of `consumer`; says whether it was full.
    fn give_room(&mut self, consumer: usize) -> bool {
        let consumer = &mut self.consumers[consumer];
        consumer.unsettled -= 1;
        consumer.unsettled + 1 == self.window
    }
}

impl BrokerState {
    /// Opens a channel for `subscription`, without consumers yet.
    pub(crate) fn open_channel(&mut self, connection: Id, subscription: &Subscription) -> Id {
        let id = self.next_id();
        self.channels.insert(id, Channel::new(connection, subscription.settle, subscription.window.get().into()));
        if let Some(connection) = self.connections.get_mut(&connection) {
            connection.channels.push(id);
        }
        id
    }

    /// Settles what `channel` holds under `tag`; whether it does. While the message is in hand and the channel has not
    /// ended, only an interruption takes it away.
    pub(crate) fn settle(&mut self, channel: Id, tag: Id, verdict: Verdict) -> bool {
        let held = self.channels.get_mut(&channel).and_then(|channel| channel.in_hand.remove(&tag));
        let Some(delivery) = held else { return false };
        match verdict {
            Verdict::Acknowledge => {
                self.counters.acknowledged += 1;
                self.counters.acknowledgement_writes += 1;
            }
            Verdict::Reject => self.counters.rejected += 1,
            Verdict::Requeue => {}
        }
        let queue = self.release(channel, delivery.consumer);
        if verdict == Verdict::Requeue {
            self.put_back(queue, delivery.entry, Returned::Requeued);
        }
        self.pump(queue);
        true
    }

    /// Counts one message of `consumer` as settled, which may bring the consumer back into the round of its queue.
    pub(crate) fn release(&mut self, channel: Id, consumer: usize) -> Id {
        let holder = self.channels.get_mut(&channel).expect("a channel outlives what it holds");
        let queue_id = holder.consumers[consumer].queue;
        let has_room_again = holder.give_room(consumer) && !holder.stopped;
        if let Some(queue) = self.queues.get_mut(&queue_id) {
            queue.unsettled -= 1;
            if has_room_again {
                queue.add_taker(ConsumerId { channel, index: consumer });
            }
        }
        queue_id
    }

    /// Stops the consumers of `channel`; what they hold stays theirs.
    pub(crate) fn cancel(&mut self, id: Id) {
        let Some(channel) = self.channels.get_mut(&id) else { return };
        if std::mem::replace(&mut channel.stopped, true) {
            return;
        }
        self.wakes.add(&channel.mailbox);
        let queues: Vec<Id> = channel.consumers.iter().map(|consumer| consumer.queue).collect();
        for (index, queue) in queues.into_iter().enumerate() {
            self.detach(queue, ConsumerId { channel: id, index });
        }
    }

    /// Ends `channel`: its consumers stop, and what it holds goes back to its queues, marked as redelivered.
    pub(crate) fn end_channel(&mut self, id: Id, end: &End) {
        self.cancel(id);
        let Some(channel) = self.channels.remove(&id) else { return };
        if let Some(connection) = self.connections.get_mut(&channel.connection) {
            connection.channels.retain(|other| *other != id);
        }
        channel.mailbox.end.get_or_init(|| end.clone());
        self.wakes.add(&channel.mailbox);

        let Channel { buffer, in_hand, consumers, .. } = channel;
        self.take_back(buffer.into_iter().chain(in_hand.into_values()).collect(), &consumers);
        for consumer in consumers {
            self.pump(consumer.queue);
        }
    }

    /// The queues that `id` reads.
    pub(crate) fn queues_of(&self, id: Id) -> Vec<Id> {
        let consumers = self.channels.get(&id).map(|channel| channel.consumers.as_slice()).unwrap_or_default();
        consumers.iter().map(|consumer| consumer.queue).collect()
    }

    /// Takes back what `id` holds, marked as redelivered, as if its connection had been lost and made again: its consumers
    /// go on, and what is in hand cannot be settled any more.
    pub(crate) fn interrupt_channel(&mut self, id: Id) {
        let Some(channel) = self.channels.get_mut(&id) else { return };
        let (window, stopped) = (channel.window, channel.stopped);
        let held = channel.buffer.drain(..).chain(std::mem::take(&mut channel.in_hand).into_values()).collect();
        let consumers = channel.consumers.clone();
        channel.consumers.iter_mut().for_each(|consumer| consumer.unsettled = 0);
        self.take_back(held, &consumers);
        for (index, consumer) in consumers.iter().enumerate() {
            if let Some(queue) = self.queues.get_mut(&consumer.queue)
                && consumer.unsettled >= window
                && !stopped
            {
                queue.add_taker(ConsumerId { channel: id, index });
            }
        }
    }

    /// Puts back what `consumers` held.
    fn take_back(&mut self, mut held: Vec<Delivery>, consumers: &[Consumer]) {
        // From the youngest to the oldest, each goes to the very front of its queue.
        held.sort_unstable_by_key(|delivery| std::cmp::Reverse(delivery.entry.place));
        for Delivery { consumer, entry } in held {
            let queue_id = consumers[consumer].queue;
            if let Some(queue) = self.queues.get_mut(&queue_id) {
                queue.unsettled -= 1;
            }
            self.put_back(queue_id, entry, Returned::Left);
        }
    }

    /// Ends `channel` and deletes the queues that are its own.
    pub(crate) fn close_channel(&mut self, id: Id) {
        self.cancel(id);
        let Some(channel) = self.channels.get(&id) else { return };
        let own: Vec<Id> = channel.consumers.iter().filter(|c| c.owns_queue).map(|c| c.queue).collect();
        for queue in own {
            self.delete_queue(queue);
        }
        self.end_channel(id, &End::Closed);
    }

    /// Returns `entry` to its place, to be tried again, or drops it if that exceeds the delivery limit of its queue.
    fn put_back(&mut self, queue: Id, mut entry: Entry, returned: Returned) {
        let Some(queue) = self.queues.get_mut(&queue) else { return };
        entry.redelivered = true;
        if let Some(limit) =
            self.config.delivery_limit.filter(|limit| queue.is_limited(limit) && limit.counts(returned))
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
