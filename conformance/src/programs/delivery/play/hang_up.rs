//! Closes a transport while its readers poll.

use std::num::NonZeroUsize;
use std::sync::Arc;

use futures_util::future::join_all;
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use super::{Play, PollResult};
use crate::Failed;
use crate::programs::delivery::event::Event;

impl Play<'_> {
    /// Closes a transport while its readers poll, and opens another in its place.
    ///
    /// Fails if the other one cannot be opened. The results of the polls go to the ledger.
    pub(super) async fn hang_up(&mut self, at: usize) -> Result<(), Failed> {
        let (stage, transport) = (self.stage, Arc::clone(&self.transports[at]));
        let arrive = stage.budget().arrive;
        let readings = &self.ledger.readers;
        let of_it =
            self.listeners.iter_mut().enumerate().filter(|(reader, _)| readings[*reader].reader.transport == at);
        let polls = of_it.filter_map(|(reader, listener)| {
            let listener = listener.as_mut()?;
            Some(async move { (reader, timeout(arrive, listener.poll(NonZeroUsize::MIN)).await) })
        });
        let (polled, closed) = futures_util::join!(join_all(polls), transport.close(stage.soon()));
        for (reader, polled) in polled {
            self.hung_up(reader, polled).await;
        }
        self.over(&*transport, closed).await;
        stage.forget(&transport);
        self.transports[at] = stage.connect().await?;
        let transport = Arc::clone(&self.transports[at]);
        self.ready(&*transport).await;
        Ok(())
    }

    /// Records the result of the interrupted poll. If it returned a message that had arrived before, polls again.
    /// A listener whose last poll has ended is dropped afterwards.
    async fn hung_up(&mut self, reader: usize, mut polled: Result<PollResult, Elapsed>) {
        let Some(mut listener) = self.listeners[reader].take() else { return };
        if matches!(polled, Ok(Ok(Some(_)))) {
            self.polled(reader, 1, polled);
            polled = timeout(self.stage.budget().arrive, listener.poll(NonZeroUsize::MIN)).await;
        }
        let polled = self.given(reader, polled);
        self.note(Event::HungUp { reader, polled });
    }
}
