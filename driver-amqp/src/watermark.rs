//! Which acknowledgements to write: the contiguous prefix in one frame, what lies beyond it singly.

use std::collections::BTreeMap;

/// The number the broker gave a delivery on its channel.
pub(crate) type Tag = u64;

/// How a delivery was settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Settled {
    /// Acknowledged here, and not on the wire yet.
    Acknowledged,
    /// On the wire.
    Written,
}

/// One acknowledgement frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) tag: Tag,
    pub(crate) multiple: bool,
}

/// The settled deliveries of one channel, from the oldest that is not settled on.
#[derive(Debug)]
pub(crate) struct Watermark {
    next: Tag,
    settled: BTreeMap<Tag, Settled>,
    pending: usize,
}

impl Default for Watermark {
    fn default() -> Self {
        Self { next: 1, settled: BTreeMap::new(), pending: 0 }
    }
}

impl Watermark {
    /// Notes that `tag` is to be acknowledged.
    pub(crate) fn acknowledge(&mut self, tag: Tag) {
        if self.settled.insert(tag, Settled::Acknowledged).is_none() {
            self.pending += 1;
        }
    }

    /// Notes that `tag` was settled by a frame of its own.
    pub(crate) fn written(&mut self, tag: Tag) {
        self.settled.insert(tag, Settled::Written);
    }

    /// How many acknowledgements wait to be written.
    pub(crate) fn pending(&self) -> usize {
        self.pending
    }

    /// The frames that write everything that waits. A frame for several always names a delivery that is unsettled on the
    /// wire, since the broker closes the channel for any other.
    pub(crate) fn flush(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        let (mut last, mut count) = (None, 0);
        while let Some(settled) = self.settled.remove(&self.next) {
            if settled == Settled::Acknowledged {
                last = Some(self.next);
                count += 1;
            }
            self.next += 1;
        }
        frames.extend(last.map(|tag| Frame { tag, multiple: count > 1 }));
        for (tag, settled) in &mut self.settled {
            if *settled == Settled::Acknowledged {
                frames.push(Frame { tag: *tag, multiple: false });
                *settled = Settled::Written;
            }
        }
        self.pending = 0;
        frames
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_slow_delivery_pins_nobody() {
        let mut watermark = Watermark::default();
        for tag in [1, 2, 4, 5] {
            watermark.acknowledge(tag);
        }
        let single = |tag| Frame { tag, multiple: false };
        assert_eq!(watermark.flush(), [Frame { tag: 2, multiple: true }, single(4), single(5)]);
        watermark.acknowledge(3);
        assert_eq!(watermark.flush(), [single(3)]);
        assert_eq!(watermark.flush(), []);
    }

    proptest! {
        /// Played to a broker that is as strict as RabbitMQ: every frame names an unsettled delivery, settles nothing
        /// that was not acknowledged, and in the end nothing is left.
        #[test]
        fn every_delivery_is_settled_once_and_none_that_was_not_acknowledged(
            order in Just((1..=60_u64).collect::<Vec<_>>()).prop_shuffle(),
            requeued in prop::collection::btree_set(1..=60_u64, 0..20),
            flush_every in 1..10_usize,
        ) {
            let mut watermark = Watermark::default();
            let mut broker: BTreeSet<Tag> = (1..=60).collect();
            let mut acknowledged = BTreeSet::new();
            let play = |watermark: &mut Watermark, broker: &mut BTreeSet<Tag>, acknowledged: &BTreeSet<Tag>| {
                for Frame { tag, multiple } in watermark.flush() {
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
                    watermark.written(tag);
                    broker.remove(&tag);
                } else {
                    watermark.acknowledge(tag);
                    acknowledged.insert(tag);
                }
                if index % flush_every == 0 {
                    play(&mut watermark, &mut broker, &acknowledged)?;
                }
            }
            play(&mut watermark, &mut broker, &acknowledged)?;
            prop_assert!(broker.is_empty(), "{:?}", broker);
        }
    }
}
