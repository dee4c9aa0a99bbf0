//! Chooses the acknowledgement frames to write:
//! one for the contiguous prefix, and one for each delivery beyond it. Pure.

use std::collections::{BTreeMap, BTreeSet};

/// The delivery tag: the broker numbers the deliveries of a channel from 1.
pub(crate) type Tag = u64;

/// One basic.ack frame. `multiple` also acknowledges every earlier delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AckFrame {
    /// A delivery that the broker still counts as unsettled.
    pub(crate) tag: Tag,
    /// Set only if the frame covers more than its own delivery.
    pub(crate) multiple: bool,
}

/// The settled deliveries of one channel, from the first unsettled one on.
/// However long that one stays unsettled, memory grows only with the acknowledgements
/// that wait and the gaps between unsettled deliveries.
#[derive(Debug)]
pub(crate) struct AckFrames {
    /// Everything before it is settled.
    next: Tag,
    /// Acknowledged by receivers, and not written yet.
    pending: BTreeSet<Tag>,
    /// Written: the first and last tag of each range. No two ranges adjoin.
    written: BTreeMap<Tag, Tag>,
}

impl Default for AckFrames {
    /// The broker numbers deliveries from 1 on each channel.
    fn default() -> Self {
        Self { next: 1, pending: BTreeSet::new(), written: BTreeMap::new() }
    }
}

impl AckFrames {
    /// Has the next flush acknowledge `tag`; nothing is written before it. A tag must be given once.
    pub(crate) fn acknowledge(&mut self, tag: Tag) {
        self.pending.insert(tag);
    }

    /// Notes that a frame of its own has settled `tag`. Joins the range with its neighbours.
    /// A requeued or rejected message is settled this way.
    pub(crate) fn written(&mut self, tag: Tag) {
        let (mut first, mut last) = (tag, tag);
        if let Some((&start, &end)) = self.written.range(..tag).next_back()
            && end + 1 == tag
        {
            first = start;
        }
        if let Some(end) = self.written.remove(&(tag + 1)) {
            last = end;
        }
        self.written.insert(first, last);
    }

    /// How many acknowledgements wait, that is, would be lost with the channel.
    pub(crate) fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Takes the frames that write every waiting acknowledgement.
    /// A `multiple` frame always names a delivery that is still unsettled
    /// for the broker, which closes the channel for any other.
    ///
    /// The frames are in the order in which they must be written: the prefix first, then the others by their tags.
    pub(crate) fn flush(&mut self) -> Vec<AckFrame> {
        let mut frames = Vec::new();
        let (mut prefix, mut count) = (None, 0);
        loop {
            if let Some(last) = self.written.remove(&self.next) {
                self.next = last + 1;
            } else if self.pending.remove(&self.next) {
                prefix = Some(self.next);
                count += 1;
                self.next += 1;
            } else {
                break;
            }
        }
        frames.extend(prefix.map(|tag| AckFrame { tag, multiple: count > 1 }));
        for tag in std::mem::take(&mut self.pending) {
            frames.push(AckFrame { tag, multiple: false });
            self.written(tag);
        }
        frames
    }

    /// How many tags and ranges are remembered, which must not exceed what the broker holds open.
    #[cfg(test)]
    fn size(&self) -> usize {
        self.pending.len() + self.written.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_slow_delivery_delays_no_other() {
        let mut acknowledgements = AckFrames::default();
        for tag in [1, 2, 4, 5] {
            acknowledgements.acknowledge(tag);
        }
        let single = |tag| AckFrame { tag, multiple: false };
        assert_eq!(acknowledgements.flush(), [AckFrame { tag: 2, multiple: true }, single(4), single(5)]);
        acknowledgements.acknowledge(3);
        assert_eq!(acknowledgements.flush(), [single(3)]);
        assert_eq!(acknowledgements.flush(), []);
    }

    /// What is remembered is what a flush may have to look at.
    #[test]
    fn a_delivery_that_stays_unsettled_makes_no_other_acknowledgement_more_expensive() {
        let mut acknowledgements = AckFrames::default();
        for tag in 2..=10_000 {
            acknowledgements.acknowledge(tag);
            assert_eq!(acknowledgements.flush(), [AckFrame { tag, multiple: false }]);
            assert!(acknowledgements.size() <= 1, "{} for one that is unsettled", acknowledgements.size());
        }
        acknowledgements.acknowledge(1);
        assert_eq!(acknowledgements.flush(), [AckFrame { tag: 1, multiple: false }]);
        assert_eq!(acknowledgements.size(), 0);
    }

    proptest! {
        /// Played to a broker that is as strict as RabbitMQ: every frame names an unsettled delivery,
        /// settles nothing that was not acknowledged, and in the end nothing is left.
        #[test]
        fn every_delivery_is_settled_once_and_none_that_was_not_acknowledged(
            order in Just((1..=60_u64).collect::<Vec<_>>()).prop_shuffle(),
            requeued in prop::collection::btree_set(1..=60_u64, 0..20),
            flush_every in 1..10_usize,
        ) {
            let mut acknowledgements = AckFrames::default();
            let mut broker: BTreeSet<Tag> = (1..=60).collect();
            let mut acknowledged = BTreeSet::new();
            let play = |acknowledgements: &mut AckFrames, broker: &mut BTreeSet<Tag>, acknowledged: &BTreeSet<Tag>| {
                for AckFrame { tag, multiple } in acknowledgements.flush() {
                    prop_assert!(broker.contains(&tag), "{} is not unsettled", tag);
                    let taken: Vec<Tag> = if multiple { broker.range(..=tag).copied().collect() } else { vec![tag] };
                    for tag in taken {
                        prop_assert!(acknowledged.contains(&tag), "{} was not acknowledged", tag);
                        broker.remove(&tag);
                    }
                }
                Ok(())
            };
            for (index, tag) in order.into_iter().enumerate() {
                if requeued.contains(&tag) {
                    acknowledgements.written(tag);
                    broker.remove(&tag);
                } else {
                    acknowledgements.acknowledge(tag);
                    acknowledged.insert(tag);
                }
                if index % flush_every == 0 {
                    play(&mut acknowledgements, &mut broker, &acknowledged)?;
                    prop_assert!(acknowledgements.size() <= broker.len(), "{} for {:?}", acknowledgements.size(), broker);
                }
            }
            play(&mut acknowledgements, &mut broker, &acknowledged)?;
            prop_assert!(broker.is_empty(), "{:?}", broker);
        }
    }
}
