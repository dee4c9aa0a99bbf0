//! [`Stage`]: what a case or a program uses: connections, names and budgets.

use std::fmt;
use std::sync::{Arc, Mutex};

use oslo_messaging::driver::{Address, Message, PublishOptions, Source, Subscription, Transport};
use oslo_messaging::{Bus, Deadline, Result, State};
use uuid::Uuid;

use crate::foreign::Foreign;
use crate::tally::Tally;
use crate::{Budget, Clock, Disturbance, Failed, Harness, Reading, Recorder};

/// The environment of one case or program: connections to one bus, unique names, and budgets.
///
/// [`close`](Self::close) closes every connection that was opened here; the runner calls it however the case ended.
pub(crate) struct Stage {
    /// Makes the connections and disturbs them.
    harness: Box<dyn Harness>,
    /// The suffix that keeps its names apart from those of other cases and runs.
    unique: String,
    /// Closed before the connections.
    buses: Mutex<Vec<Bus>>,
    /// Every open connection, also those of buses.
    opened: Mutex<Vec<Arc<dyn Transport>>>,
    tally: Tally,
}

impl Stage {
    /// The suffix is eight hexadecimal digits of a random UUID.
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

    /// That of the harness, so a slow bus gets more time.
    #[must_use]
    pub(crate) fn budget(&self) -> Budget {
        self.harness.budget()
    }

    /// The counters of the library, while [`Tally`] is the recorder of `metrics`.
    #[must_use]
    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The clock of the harness, by which the waits of a case pass.
    #[must_use]
    pub(crate) fn clock(&self) -> Clock {
        self.harness.clock()
    }

    /// The deadline of an operation that must succeed.
    #[must_use]
    pub(crate) fn soon(&self) -> Deadline {
        Deadline::after(self.budget().arrive)
    }

    /// `what` with a suffix that no other case and no other run uses.
    #[must_use]
    pub(crate) fn name(&self, what: &str) -> String {
        format!("{what}-{}", self.unique)
    }

    /// Each call makes a list of its own.
    #[must_use]
    pub(crate) fn recorder(&self) -> Recorder {
        Recorder::new(self.budget())
    }

    /// Foreign actors follow the machine's clock alone.
    ///
    /// Fails if the harness has none, or its clock is paused.
    pub(crate) fn foreign(&self) -> std::result::Result<Foreign, String> {
        match self.harness.clock() {
            Clock::Real => self.harness.foreign(),
            Clock::Paused => Err("foreign processes do not follow a paused clock".to_owned()),
        }
    }

    /// Opens a connection of its own for each call.
    /// The stage keeps a reference, so that [`close`](Self::close) also closes what a failed case left open.
    ///
    /// Fails as [`Harness::transport`] does.
    pub(crate) async fn connect(&self) -> Result<Arc<dyn Transport>> {
        let transport = self.harness.transport().await?;
        self.opened.lock().expect("no panic while it is held").push(Arc::clone(&transport));
        Ok(transport)
    }

    /// Each bus has a connection of its own. [`close`](Self::close) closes the bus before its connection.
    ///
    /// Fails as [`Harness::transport`] does.
    pub(crate) async fn bus(&self) -> Result<Bus> {
        let bus = Bus::new(self.connect().await?);
        self.buses.lock().expect("no panic while it is held").push(bus.clone());
        Ok(bus)
    }

    /// Returns once the disturbance is in effect. A lasting one ends with [`calm`](Self::calm).
    ///
    /// Fails with the reason that the harness gives.
    pub(crate) async fn disturb(&self, what: Disturbance) -> Result<(), Failed> {
        Ok(self.harness.disturb(what).await?)
    }

    /// Cuts every connection, and waits until each one that is not closed is ready again.
    ///
    /// Fails with the reason that the harness gives, or the state of a
    /// connection that is not ready within [`Budget::arrive`].
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

    /// For a connection that the caller has closed: [`close`](Self::close) would close it again.
    pub(crate) fn forget(&self, closed: &Arc<dyn Transport>) {
        let mut opened = self.opened.lock().expect("no panic while it is held");
        opened.retain(|transport| !Arc::ptr_eq(transport, closed));
    }

    /// Ends lasting disturbances: a block of publishes or a delivery limit.
    ///
    /// Fails with the reason that the harness gives.
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

    /// Subscribes within [`Budget::arrive`]; the waits of the listener have the budgets of this stage.
    ///
    /// Fails as [`Transport::subscribe`] does.
    pub(crate) async fn read(&self, transport: &dyn Transport, subscription: Subscription) -> Result<Reading> {
        let listener = transport.subscribe(&subscription, self.soon()).await?;
        Ok(Reading::new(listener, self.budget()))
    }

    /// Publishes one message for each of `texts`, one after the other, without options.
    /// Each message has a deadline of its own.
    ///
    /// Fails with the first publish that does; the texts after it are not sent.
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

    /// Closes every connection and checks that the bus holds nothing more.
    /// Lasting disturbances end first. Buses close before their connections.
    ///
    /// Fails if closing does, or the harness reports leftovers.
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
