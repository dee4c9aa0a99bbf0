//! Polls everything that is due, and settles each message as its number says.

use std::num::NonZeroUsize;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep, timeout};

use super::{Play, bus};
use crate::programs::delivery::event::{Event, Got, Polled};
use crate::programs::delivery::ledger::Phase;
use crate::programs::delivery::program::Settlement;

/// A poll of the comparison takes up to this many messages.
const MANY: NonZeroUsize = NonZeroUsize::new(50).expect("50 is not 0");

impl Play<'_> {
    /// Polls and settles until nothing is due, or `Budget::arrive` has passed.
    /// Polls only open readers: stopped ones are drained at the end of the program.
    /// At most 100 rounds with messages; the comparison reports what is missing then.
    pub(super) async fn gather(&mut self) {
        let (begun, budget) = (Instant::now(), self.stage.budget());
        // Endless redelivery ends here; the comparison reports it.
        let mut rounds = 0;
        while self.ledger.is_due() && begun.elapsed() < budget.arrive && rounds < 100 {
            let readings = &self.ledger.readers;
            let open = |reader: &usize| readings.get(*reader).is_some_and(|reading| reading.phase == Phase::Open);
            let listeners = self.listeners.iter_mut().enumerate().filter(|(reader, _)| open(reader));
            let polls = listeners.filter_map(|(reader, listener)| {
                let listener = listener.as_mut()?;
                Some(async move { (reader, timeout(budget.quiet / 10, listener.poll(MANY)).await) })
            });
            let mut came = 0;
            for (reader, polled) in join_all(polls).await {
                came += self.polled(reader, MANY.get(), polled).unwrap_or(0);
            }
            rounds += came.min(1);
            if came == 0 {
                // Polls of ended listeners return at once; without a sleep a paused clock would not advance.
                sleep(budget.quiet / 10).await;
            }
            self.settle_by_number().await;
        }
    }

    /// The same messages are settled in the same way on both drivers.
    async fn settle_by_number(&mut self) {
        for held in std::mem::take(&mut self.hand) {
            let came_before = self.came_before(held.token);
            let settlement = bus::number_of(held.message.message()).map(|number| settlement(number, came_before));
            self.settle(held, settlement.unwrap_or(Settlement::Acknowledge)).await;
        }
    }

    /// Whether the message under `token` was delivered before from its queue.
    /// Counted for each queue: a copy of the same message in another queue is another delivery.
    fn came_before(&self, token: usize) -> bool {
        let came = self.observed.iter().flat_map(|observed| match &observed.event {
            Event::Polled { polled: Polled::Messages(messages), .. } => messages.iter().zip(&observed.queues).collect(),
            _ => Vec::new(),
        });
        let came: Vec<(&Got, _)> = came.collect();
        let Some((this, queue)) = came.iter().find(|(got, _)| got.token == token) else { return false };
        came.iter().any(|(got, of)| got.token < token && got.number == this.number && of == queue)
    }
}

/// How to settle a message: a quarter of the numbers each way, and a redelivered one is acknowledged.
/// The acknowledgement of the second delivery keeps a requeued message from coming for ever.
fn settlement(number: usize, came_before: bool) -> Settlement {
    match number % 4 {
        _ if came_before => Settlement::Acknowledge,
        1 => Settlement::Requeue,
        2 => Settlement::Reject,
        3 => Settlement::Drop,
        _ => Settlement::Acknowledge,
    }
}
