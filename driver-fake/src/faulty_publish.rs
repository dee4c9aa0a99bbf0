//! Publishes that meet a fault: what becomes of the message, and what the publisher is answered.

use oslo_messaging::driver::{Message, PublishOptions};
use oslo_messaging::{Error, ErrorKind, Executed, Result, State};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use crate::fault::{Cut, Fault};
use crate::state::connection::{EndReason, killed};
use crate::state::delayed::Until;
use crate::state::destination::Destination;
use crate::transport::FakeTransport;

const OPERATION: &str = "publish";

impl FakeTransport {
    /// Publishes `message` under `fault`. The caller has checked that the connection works and no alarm is raised.
    ///
    /// Fails as [`Fault`] says for the fault, or as a publish does that meets none.
    pub(crate) async fn publish_with_fault(
        &self,
        fault: Fault,
        to: Destination,
        message: Message,
        options: &PublishOptions,
    ) -> Result<()> {
        let mandatory = options.mandatory;
        let connection = self.connection;
        tracing::debug!(?fault, exchange = %to.exchange.name, key = %to.key, "publish meets an injected fault");
        match fault {
            Fault::Drop => self.broker.with(|state| state.publish_discarding(connection, &to, mandatory)),
            Fault::Delay(by) => {
                let due = later(by);
                let arrived = self.broker.with(|state| {
                    state.counters.published += 1;
                    state.delay(connection, to, message, mandatory, (due, Until::Due))
                });
                self.await_arrival(arrived, due, options).await
            }
            Fault::Duplicate => self.broker.with(|state| {
                state.publish(connection, &to, message.clone(), mandatory)?;
                state.publish(connection, &to, message, mandatory)
            }),
            Fault::Reorder(within) => self.broker.with(|state| {
                state.publish_discarding(connection, &to, mandatory)?;
                state.delay(connection, to, message, mandatory, (later(within), Until::Overtaken));
                Ok(())
            }),
            Fault::Nack => {
                self.broker.with(|state| state.counters.published += 1);
                Err(Error::new(ErrorKind::Refused, OPERATION).with_executed(Executed::No).transient())
            }
            Fault::Return => self.broker.with(|state| {
                state.counters.published += 1;
                if mandatory { Err(state.returned(&to)) } else { Ok(()) }
            }),
            Fault::Disconnect(cut) => self.broker.with(|state| {
                let end = EndReason::Lost("the connection was cut during a publish".to_owned());
                if cut == Cut::BeforeSend {
                    state.disconnect(connection, &end);
                    return Err(end.error(OPERATION));
                }
                // The connection is cut before a return could reach the publisher.
                let _ = state.publish(connection, &to, message, mandatory);
                state.disconnect(connection, &end);
                Err(end.error_in_flight(OPERATION))
            }),
            Fault::Kill => self.broker.with(|state| {
                state.disconnect_all(&killed());
                Err(killed().error_in_flight(OPERATION))
            }),
        }
    }

    /// Waits until a delayed message has arrived, the publisher's deadline has passed or its connection has ended.
    ///
    /// Returns the result of routing the message, if it has arrived. Fails with `Timeout` or the end of the connection
    /// otherwise, executed `Maybe`: the message arrives all the same, also after a cancellation.
    async fn await_arrival(
        &self,
        mut arrived: oneshot::Receiver<Result<()>>,
        due: Instant,
        options: &PublishOptions,
    ) -> Result<()> {
        let mut health = self.health.clone();
        let ended = health.wait_for(|health| matches!(health.state, State::Lost { .. } | State::Closed));
        tokio::select! {
            biased;
            result = &mut arrived => result.unwrap_or(Ok(())),
            () = sleep_until(due) => {
                // Any operation applies what is due, which delivers the message.
                self.broker.with(|_| ());
                arrived.try_recv().expect("a message that is due has arrived")
            }
            () = sleep_until(options.deadline.instant()) => {
                Err(Error::timeout(OPERATION).with_executed(Executed::Maybe))
            }
            _ = ended => {
                let check = self.broker.with(|state| state.check_connection(self.connection, OPERATION));
                check.map_err(|error| error.with_executed(Executed::Maybe))
            }
        }
    }
}

/// The instant `by` from now; one that the clock cannot represent counts as a year.
fn later(by: std::time::Duration) -> Instant {
    oslo_messaging::Deadline::after(by).instant()
}
