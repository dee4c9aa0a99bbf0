//! Messages that a fault keeps on the way.

use std::collections::BTreeMap;

use oslo_messaging::{Message, Result};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::state::BrokerState;
use crate::state::destination::Destination;
use crate::state::id::Id;

/// What ends the delay of a message before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    Due,
    /// The next message, which goes first.
    Overtaken,
}

#[derive(Debug)]
struct Parcel {
    connection: Id,
    to: Destination,
    message: Message,
    mandatory: bool,
    until: Until,
    outcome: oneshot::Sender<Result<()>>,
}

/// The messages on the way, by the time they arrive.
#[derive(Debug, Default)]
pub(crate) struct Delayed {
    parcels: BTreeMap<(Instant, Id), Parcel>,
}

impl Delayed {
    pub(crate) fn is_empty(&self) -> bool {
        self.parcels.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.parcels.len()
    }

    /// When the next one arrives.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.parcels.first_key_value().map(|((due, _), _)| *due)
    }
}

impl BrokerState {
    /// Keeps a message on the way until `due`; the receiver learns what became of it.
    pub(crate) fn delay(
        &mut self,
        connection: Id,
        to: Destination,
        message: Message,
        mandatory: bool,
        (due, until): (Instant, Until),
    ) -> oneshot::Receiver<Result<()>> {
        let (outcome, told) = oneshot::channel();
        let id = self.next_id();
        self.delayed.parcels.insert((due, id), Parcel { connection, to, message, mandatory, until, outcome });
        // Who waits for messages must now also wait for that time.
        for channel in self.channels.values() {
            self.wakes.add(&channel.mailbox);
        }
        told
    }

    /// Lets the first message on the way arrive.
    pub(crate) fn arrive_late(&mut self) {
        if let Some((_, parcel)) = self.delayed.parcels.pop_first() {
            self.unpack(parcel);
        }
    }

    /// Lets those arrive that waited to be overtaken.
    pub(crate) fn release_overtaken(&mut self) {
        if self.delayed.is_empty() {
            return;
        }
        let parcels = &mut self.delayed.parcels;
        let is_overtaken = |parcel: &Parcel| parcel.until == Until::Overtaken;
        let keys: Vec<_> = parcels.iter().filter(|(_, parcel)| is_overtaken(parcel)).map(|(key, _)| *key).collect();
        let parcels: Vec<Parcel> = keys.iter().filter_map(|key| parcels.remove(key)).collect();
        for parcel in parcels {
            self.unpack(parcel);
        }
    }

    fn unpack(&mut self, parcel: Parcel) {
        let Parcel { connection, to, message, mandatory, outcome, .. } = parcel;
        let result = self.declare_destination(connection, &to).and_then(|()| self.route(&to, message, mandatory));
        // The publisher may have given up; the message has arrived all the same.
        let _ = outcome.send(result);
    }
}
