//! Restores the broker's order of deliveries that arrive through several consumers of one channel. Pure.

use std::collections::BTreeMap;

use crate::consume::ack_frames::Tag;

/// The deliveries by their tags. The broker numbers them 1, 2, 3 on each channel, so a gap is a delivery that has
/// not been read from another consumer yet.
#[derive(Debug)]
pub(crate) struct DeliveryOrder<T> {
    /// The tag of the next delivery to hand over.
    next: Tag,
    /// Never more than the prefetch counts of the channel's consumers allow.
    arrived: BTreeMap<Tag, T>,
}

impl<T> Default for DeliveryOrder<T> {
    /// For a new channel, on which the first delivery has the tag 1.
    fn default() -> Self {
        Self { next: 1, arrived: BTreeMap::new() }
    }
}

impl<T> DeliveryOrder<T> {
    /// Adds a delivery.
    /// The same tag twice would replace the delivery, and the broker never does that on one channel.
    pub(crate) fn push(&mut self, tag: Tag, delivery: T) {
        self.arrived.insert(tag, delivery);
    }

    /// How many deliveries wait, with those behind a gap.
    pub(crate) fn len(&self) -> usize {
        self.arrived.len()
    }

    /// Takes up to `max` deliveries without a gap, with the tag of the last. `None` if the next one has not
    /// arrived.
    pub(crate) fn take(&mut self, max: usize) -> Option<(Tag, Vec<(Tag, T)>)> {
        let mut taken = Vec::new();
        while taken.len() < max {
            // A gap: the delivery is still with another consumer of the channel.
            let Some(delivery) = self.arrived.remove(&self.next) else { break };
            taken.push((self.next, delivery));
            self.next += 1;
        }
        Some((taken.last()?.0, taken))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_delivery_waits_for_the_one_before_it() {
        let mut merge = DeliveryOrder::default();
        merge.push(2, "two");
        assert!(merge.take(10).is_none());
        merge.push(1, "one");
        assert_eq!(merge.take(10), Some((2, vec![(1, "one"), (2, "two")])));
    }

    proptest! {
        #[test]
        fn whatever_the_order_of_arrival_all_come_out_once_in_order(
            order in Just((1..=40_u64).collect::<Vec<_>>()).prop_shuffle(),
            max in 1..8_usize,
        ) {
            let mut merge = DeliveryOrder::default();
            let mut out = Vec::new();
            for tag in order {
                merge.push(tag, tag);
                while let Some((last, taken)) = merge.take(max) {
                    prop_assert!(taken.len() <= max);
                    prop_assert_eq!(last, taken[taken.len() - 1].0);
                    out.extend(taken.into_iter().map(|(_, delivery)| delivery));
                }
            }
            prop_assert_eq!(out, (1..=40).collect::<Vec<_>>());
        }
    }
}
