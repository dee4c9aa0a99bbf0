//! Restores the broker's order of deliveries that arrive through several consumers of one channel. Pure.

use std::collections::{BTreeMap, VecDeque};

use crate::consume::ack_frames::Tag;

/// The deliveries by their tags. The broker numbers them 1, 2, 3 on each channel,
/// so a gap is a delivery that has not been read from another consumer yet.
#[derive(Debug)]
pub(crate) struct DeliveryOrder<T> {
    /// The tag of the next delivery to hand over.
    next: Tag,
    /// Those without a gap, from `next` on: nearly all, and all of a channel with one consumer.
    ready: VecDeque<T>,
    /// Those behind a gap. With `ready` never more than the prefetch counts of the channel's consumers allow.
    ahead: BTreeMap<Tag, T>,
}

impl<T> Default for DeliveryOrder<T> {
    /// For a new channel, on which the first delivery has the tag 1.
    fn default() -> Self {
        Self { next: 1, ready: VecDeque::new(), ahead: BTreeMap::new() }
    }
}

impl<T> DeliveryOrder<T> {
    /// Adds a delivery that was read from one of the consumers, in any order.
    /// The broker never uses a tag twice on one channel.
    pub(crate) fn push(&mut self, tag: Tag, delivery: T) {
        if tag != self.gap() {
            self.ahead.insert(tag, delivery);
            return;
        }
        self.ready.push_back(delivery);
        while let Some(delivery) = self.ahead.remove(&self.gap()) {
            self.ready.push_back(delivery);
        }
    }

    /// How many deliveries wait, with those behind a gap.
    pub(crate) fn len(&self) -> usize {
        self.ready.len() + self.ahead.len()
    }

    /// Takes up to `max` deliveries without a gap, with the tag of the last. `None` if the next one has not arrived.
    pub(crate) fn take(&mut self, max: usize) -> Option<(Tag, Vec<(Tag, T)>)> {
        let tags = self.next..;
        let taken: Vec<_> = tags.zip(self.ready.drain(..max.min(self.ready.len()))).collect();
        let last = taken.last()?.0;
        self.next = last + 1;
        Some((last, taken))
    }

    /// The first tag that has not arrived.
    fn gap(&self) -> Tag {
        self.next + self.ready.len() as Tag
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_delivery_waits_for_the_one_before_it() {
        let mut order = DeliveryOrder::default();
        order.push(2, "two");
        assert!(order.take(10).is_none());
        order.push(1, "one");
        assert_eq!(order.take(10), Some((2, vec![(1, "one"), (2, "two")])));
    }

    proptest! {
        #[test]
        fn whatever_the_order_of_arrival_all_come_out_once_in_order(
            order in Just((1..=40_u64).collect::<Vec<_>>()).prop_shuffle(),
            max in 1..8_usize,
        ) {
            let mut deliveries = DeliveryOrder::default();
            let mut out = Vec::new();
            for tag in order {
                deliveries.push(tag, tag);
                while let Some((last, taken)) = deliveries.take(max) {
                    prop_assert!(taken.len() <= max);
                    prop_assert_eq!(last, taken[taken.len() - 1].0);
                    out.extend(taken.into_iter().map(|(_, delivery)| delivery));
                }
            }
            prop_assert_eq!(out, (1..=40).collect::<Vec<_>>());
        }
    }
}
