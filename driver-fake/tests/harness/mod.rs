//! The in-memory broker as the conformance suite sees it.

use std::sync::Arc;

use oslo_messaging::Result;
use oslo_messaging::driver::{Lifetime, Transport};
use oslo_messaging_conformance::{Budget, Clock, DELIVERY_LIMIT, Disturbance, Harness, async_trait};
use oslo_messaging_fake::{CountedReturns, DeliveryLimit, FakeBroker};

/// A broker of its own for each case.
#[derive(Debug, Default)]
pub(crate) struct Fake(FakeBroker);

#[async_trait]
impl Harness for Fake {
    async fn transport(&self) -> Result<Arc<dyn Transport>> {
        Ok(Arc::new(self.0.transport()))
    }

    fn budget(&self) -> Budget {
        Budget::default()
    }

    fn driver(&self) -> String {
        "oslo-messaging-fake".to_owned()
    }

    fn clock(&self) -> Clock {
        Clock::Paused
    }

    fn disturbances(&self) -> &'static [Disturbance] {
        use Disturbance::{Block, Cut, Limit, LimitFailures, Restart};
        &[Cut, Block, Restart, Limit, LimitFailures]
    }

    async fn disturb(&self, what: Disturbance) -> std::result::Result<(), String> {
        match what {
            // Everything in the fake is durable, so a restart loses what a cut does.
            Disturbance::Cut | Disturbance::Restart => self.0.faults().interrupt(),
            Disturbance::Block => self.0.faults().block("it is disturbed"),
            Disturbance::Limit => self.0.limit_deliveries(Some(DeliveryLimit::new(DELIVERY_LIMIT))),
            Disturbance::LimitFailures => {
                let limit = DeliveryLimit::new(DELIVERY_LIMIT).with_counted(CountedReturns::Failed);
                self.0.limit_deliveries(Some(limit));
            }
            _ => return Err(format!("the fake cannot {what}")),
        }
        Ok(())
    }

    async fn calm(&self) -> std::result::Result<(), String> {
        self.0.faults().unblock();
        self.0.limit_deliveries(None);
        Ok(())
    }

    async fn leftovers(&self) -> Vec<String> {
        // A private queue whose reader was dropped waits to expire, as it does on RabbitMQ.
        let held = self.0.queues().into_iter().filter(|queue| {
            queue.consumers > 0 || queue.unsettled > 0 || (queue.lifetime == Lifetime::Shared && queue.ready > 0)
        });
        held.map(|queue| format!("{queue:?}")).collect()
    }
}
