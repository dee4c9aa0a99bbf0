//! Everything one case may use.

use std::fmt;
use std::sync::{Arc, Mutex};

use libtest_mimic::Failed;
use oslo_messaging::{Address, Bus, Deadline, Message, PublishOptions, Result, Source, State, Subscription, Transport};
use uuid::Uuid;

use crate::programs::Foreign;
use crate::tally::Tally;
use crate::{Budget, Clock, Disturbance, Harness, Reading, Recorder};

/// The stage of one case: connections to one bus, names nobody else uses, and budgets.
///
/// Whatever is opened here is closed when the case has ended, however it ended.
pub(crate) struct Stage {
    harness: Box<dyn Harness>,
    unique: String,
    buses: Mutex<Vec<Bus>>,
    opened: Mutex<Vec<Arc<dyn Transport>>>,
    tally: Tally,
}

impl Stage {
    pub(crate) fn new(harness: impl Harness) -> Self {
        let unique = Uuid::new_v4().simple().to_string()[..8].to_owned();
        Self {
            harness: Box::new(harness),
            unique,
            buses: Mutex::default(),
            opened: Mutex::default(),
            tally: Tally::default(),
        }
    }

    /// How long to wait here.
    #[must_use]
    pub(crate) fn budget(&self) -> Budget {
        self.harness.budget()
    }

    /// What the library counts here, if this is its recorder.
    #[must_use]
    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Which clock this runs by.
    #[must_use]
    pub(crate) fn clock(&self) -> Clock {
        self.harness.clock()
    }

    /// The deadline of an operation that must succeed.
    #[must_use]
    pub(crate) fn soon(&self) -> Deadline {
        Deadline::after(self.budget().arrive)
    }

    /// `what`, made a name that no other case and no other run uses.
    #[must_use]
    pub(crate) fn name(&self, what: &str) -> String {
        format!("{what}-{}", self.unique)
    }

    /// An empty recorder with the budgets of this stage.
    #[must_use]
    pub(crate) fn recorder(&self) -> Recorder {
        Recorder::new(self.budget())
    }

    /// The foreign actors.
    ///
    /// # Errors
    /// There are none.
    pub(crate) fn foreign(&self) -> std::result::Result<Foreign, String> {
        match self.harness.clock() {
            Clock::Real => self.harness.foreign(),
            Clock::Paused => Err("foreign processes know nothing of a paused clock".to_owned()),
        }
    }

    /// Opens a new connection.
    ///
    /// # Errors
    /// The driver's.
    pub(crate) async fn connect(&self) -> Result<Arc<dyn Transport>> {
        let transport = self.harness.transport().await?;
        self.opened.lock().expect("no panic while it is held").push(Arc::clone(&transport));
        Ok(transport)
    }

    /// Opens a new connection and makes a bus of it.
    ///
    /// # Errors
    /// The driver's.
    pub(crate) async fn bus(&self) -> Result<Bus> {
        let bus = Bus::new(self.connect().await?);
        self.buses.lock().expect("no panic while it is held").push(bus.clone());
        Ok(bus)
    }

    /// Does something to the bus.
    ///
    /// # Errors
    /// It cannot be done.
    pub(crate) async fn disturb(&self, what: Disturbance) -> Result<(), Failed> {
        Ok(self.harness.disturb(what).await?)
    }

    /// Loses every connection, and waits until each that was not closed is ready again.
    ///
    /// # Errors
    /// They cannot be lost, or one is not back in time.
    pub(crate) async fn cut(&self) -> std::result::Result<(), String> {
        self.harness.disturb(Disturbance::Cut).await?;
        let opened = self.opened.lock().expect("no panic while it is held").clone();
        for transport in opened {
            let mut health = transport.health();
            let back = health.wait_for(|health| matches!(health.state, State::Ready | State::Closed));
            if self.soon().run("be back", back).await.is_err() {
                return Err(format!("a transport still says {:?}", transport.health().borrow().state));
            }
        }
        Ok(())
    }

    /// Lets go of a connection that was closed.
    pub(crate) fn forget(&self, closed: &Arc<dyn Transport>) {
        let mut opened = self.opened.lock().expect("no panic while it is held");
        opened.retain(|transport| !Arc::ptr_eq(transport, closed));
    }

    /// Ends what lasts.
    ///
    /// # Errors
    /// It cannot be ended.
    pub(crate) async fn calm(&self) -> Result<(), Failed> {
        Ok(self.harness.calm().await?)
    }

    /// The source of `server` on `topic` of `exchange`, each made a [`name`](Self::name).
    #[must_use]
    pub(crate) fn server(&self, exchange: &str, topic: &str, server: &str) -> Source {
        Source::Server { exchange: self.name(exchange), topic: self.name(topic), server: self.name(server) }
    }

    /// The address of `topic` in `exchange`, each made a [`name`](Self::name).
    #[must_use]
    pub(crate) fn topic(&self, exchange: &str, topic: &str) -> Address {
        Address::Topic { exchange: self.name(exchange), topic: self.name(topic) }
    }

    /// Opens a listener.
    ///
    /// # Errors
    /// The driver's.
    pub(crate) async fn read(&self, transport: &dyn Transport, subscription: Subscription) -> Result<Reading> {
        let listener = transport.subscribe(&subscription, self.soon()).await?;
        Ok(Reading::new(listener, self.budget()))
    }

    /// Publishes one message for each of `texts`, one after the other, without options.
    ///
    /// # Errors
    /// The driver's.
    pub(crate) async fn publish<T: AsRef<str>>(
        &self,
        transport: &dyn Transport,
        to: &Address,
        texts: impl IntoIterator<Item = T>,
    ) -> Result<()> {
        for text in texts {
            let message = Message::new(text.as_ref().to_owned());
            transport.publish(to, message, &PublishOptions::by(self.soon())).await?;
        }
        Ok(())
    }

    /// Closes every connection and asks what the bus still holds.
    pub(crate) async fn close(&self) -> Result<(), Failed> {
        self.calm().await?;
        let buses = std::mem::take(&mut *self.buses.lock().expect("no panic while it is held"));
        for bus in buses {
            bus.close(self.soon()).await?;
        }
        let opened = std::mem::take(&mut *self.opened.lock().expect("no panic while it is held"));
        for transport in opened {
            transport.close(self.soon()).await?;
        }
        match self.harness.leftovers().await {
            leftovers if leftovers.is_empty() => Ok(()),
            leftovers => Err(format!("the bus still holds:\n{}", leftovers.join("\n")).into()),
        }
    }
}

impl fmt::Debug for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stage").field("unique", &self.unique).finish_non_exhaustive()
    }
}
