//! [`Reading`]: a listener that is polled within the budgets of a case.

use std::num::NonZeroUsize;

use oslo_messaging::driver::{Address, IncomingMessage, Listener};
use oslo_messaging::{Deadline, Result as DriverResult};
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use crate::{Budget, Failed, Recorder};

/// A listener, polled within the budgets of a case. Dropping it drops the listener.
#[derive(Debug)]
pub(crate) struct Reading {
    /// Not shared: only this value polls it.
    listener: Box<dyn Listener>,
    budget: Budget,
}

impl Reading {
    pub(crate) fn new(listener: Box<dyn Listener>, budget: Budget) -> Self {
        Self { listener, budget }
    }

    /// The address of the listener, at which others reach it.
    #[must_use]
    pub(crate) fn address(&self) -> Address {
        self.listener.address().clone()
    }

    /// For operations without a budget of their own here, such as a stop or a cancelled poll.
    pub(crate) fn listener(&mut self) -> &mut dyn Listener {
        self.listener.as_mut()
    }

    /// Waits for exactly `count` messages. The caller settles them.
    ///
    /// Fails if they do not arrive within [`Budget::arrive`], or the listener fails or ends.
    ///
    /// Panics if a poll returns no message, or more than it was asked for.
    pub(crate) async fn take(&mut self, count: usize) -> Result<Vec<Box<dyn IncomingMessage>>, Failed> {
        let deadline = Deadline::after(self.budget.arrive);
        let mut taken = Vec::new();
        while let Some(missing) = NonZeroUsize::new(count - taken.len()) {
            let polled = deadline.run("poll", self.listener.poll(missing)).await;
            let Ok(polled) = polled else {
                let (arrive, came) = (self.budget.arrive, texts(&taken));
                return Err(format!("{count} messages were to come within {arrive:?}; these came: {came:?}").into());
            };
            let polled = polled?.ok_or("the listener ended while messages were to come")?;
            assert!((1..=missing.get()).contains(&polled.len()), "poll({missing}) gave {}", polled.len());
            taken.extend(polled);
        }
        Ok(taken)
    }

    /// Waits for one message, within [`Budget::arrive`].
    ///
    /// Fails as [`take`](Self::take) does; the caller settles the message.
    pub(crate) async fn next(&mut self) -> Result<Box<dyn IncomingMessage>, Failed> {
        Ok(self.take(1).await?.pop().expect("as many were taken as were asked for"))
    }

    /// Waits for `count` messages, acknowledges each one when it arrives, and returns their bodies as text.
    ///
    /// Fails as [`take`](Self::take) does, or if an acknowledgement fails; the text says what came before.
    pub(crate) async fn texts(&mut self, count: usize) -> Result<Vec<String>, Failed> {
        let mut read = Vec::new();
        while read.len() < count {
            let message = self.next().await.map_err(|failed| {
                format!("{} of {count} messages were read, {read:?}: {}", read.len(), failed.message())
            })?;
            read.push(text(message.as_ref()));
            message.acknowledge().await?;
        }
        Ok(read)
    }

    /// Waits for [`Budget::quiet`] and checks that nothing arrives.
    /// A message that arrives is dropped unsettled.
    ///
    /// Fails if something arrives, or the listener fails or ends.
    pub(crate) async fn quiet(&mut self) -> Result<(), Failed> {
        match timeout(self.budget.quiet, self.listener.poll(NonZeroUsize::MIN)).await {
            Err(_) => Ok(()),
            Ok(Ok(Some(messages))) => Err(format!("there was to be silence, but {:?} came", texts(&messages)).into()),
            Ok(Ok(None)) => Err("the listener ended".into()),
            Ok(Err(error)) => Err(error.into()),
        }
    }

    /// Acknowledges every message and records its text at `place`, until the handle is dropped.
    /// The task ends with the listener, or at its first error.
    pub(crate) fn record(mut self, recorder: &Recorder, place: &str) -> AbortOnDropHandle<DriverResult<()>> {
        let (recorder, place) = (recorder.clone(), place.to_owned());
        AbortOnDropHandle::new(tokio::spawn(async move {
            while let Some(messages) = self.listener.poll(NonZeroUsize::MIN).await? {
                for message in messages {
                    recorder.record(&place, text(message.as_ref()));
                    message.acknowledge().await?;
                }
                // An in-process driver that redelivers at once must not starve the case that watches the recorder.
                tokio::task::yield_now().await;
            }
            Ok(())
        }))
    }

    /// Requeues what is unsettled, within [`Budget::arrive`].
    ///
    /// Fails as [`Listener::close`] does.
    pub(crate) async fn close(self) -> DriverResult<()> {
        self.listener.close(Deadline::after(self.budget.arrive)).await
    }
}

/// The body; bytes that are not UTF-8 become U+FFFD.
pub(crate) fn text(message: &dyn IncomingMessage) -> String {
    String::from_utf8_lossy(&message.message().body).into_owned()
}

fn texts(messages: &[Box<dyn IncomingMessage>]) -> Vec<String> {
    messages.iter().map(|message| text(message.as_ref())).collect()
}
