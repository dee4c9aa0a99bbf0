//! A publish that meets a fault.

use oslo_messaging::{Error, ErrorKind, Executed, Message, PublishOptions, Result, State};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use crate::fault::{Cut, Fault, killed};
use crate::state::connection::End;
use crate::state::delayed::Until;
use crate::state::destination::Destination;
use crate::transport::FakeTransport;

const OPERATION: &str = "publish";

impl FakeTransport {
    /// Does to `message` what `fault` says. The connection works and no alarm is raised.
    pub(crate) async fn publish_under(
        &self,
        fault: Fault,
        to: Destination,
        message: Message,
        options: &PublishOptions,
    ) -> Result<()> {
        let mandatory = options.mandatory;
        let connection = self.connection;
        tracing::debug!(?fault, exchange = %to.exchange.name, key = %to.key, "a publish meets a fault");
        match fault {
            Fault::Drop => self.broker.with(|state| state.pretend(connection, &to, mandatory)),
            Fault::Delay(by) => {
                let due = later(by);
                let told = self.broker.with(|state| {
                    state.counters.published += 1;
                    state.delay(connection, to, message, mandatory, (due, Until::Due))
                });
                self.arrival(told, due, options).await
            }
            Fault::Duplicate => self.broker.with(|state| {
                state.publish(connection, &to, message.clone(), mandatory)?;
                state.publish(connection, &to, message, mandatory)
            }),
            Fault::Reorder(within) => self.broker.with(|state| {
                state.pretend(connection, &to, mandatory)?;
                state.delay(connection, to, message, mandatory, (later(within), Until::Overtaken));
                Ok(())
            }),
            Fault::Nack => {
                self.broker.with(|state| state.counters.published += 1);
                Err(Error::new(ErrorKind::Refused, OPERATION).transient())
            }
            Fault::Return => self.broker.with(|state| {
                state.counters.published += 1;
                if mandatory { Err(state.returned(&to)) } else { Ok(()) }
            }),
            Fault::Disconnect(cut) => self.broker.with(|state| {
                let end = End::Lost("the connection was cut during a publish".to_owned());
                if cut == Cut::BeforeSend {
                    state.disconnect(connection, &end);
                    return Err(end.error(OPERATION));
                }
                // Had it been returned, the publisher would not have heard of it.
                let _ = state.publish(connection, &to, message, mandatory);
                state.disconnect(connection, &end);
                Err(end.error_under_way(OPERATION))
            }),
            Fault::Kill => self.broker.with(|state| {
                state.disconnect_all(&killed());
                Err(killed().error_under_way(OPERATION))
            }),
        }
    }

    /// Waits until a message on the way has arrived, its deadline has passed or the connection has ended.
    async fn arrival(
        &self,
        mut told: oneshot::Receiver<Result<()>>,
        due: Instant,
        options: &PublishOptions,
    ) -> Result<()> {
        let mut health = self.health.clone();
        let ended = health.wait_for(|health| matches!(health.state, State::Lost { .. } | State::Closed));
        tokio::select! {
            biased;
            outcome = &mut told => outcome.unwrap_or(Ok(())),
            () = sleep_until(due) => {
                // Whoever looks first lets it arrive.
                self.broker.with(|_| ());
                told.try_recv().expect("what is due has arrived")
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

/// The instant that lies `by` from now; one that the clock cannot express counts as a year.
fn later(by: std::time::Duration) -> Instant {
    oslo_messaging::Deadline::after(by).instant()
}
