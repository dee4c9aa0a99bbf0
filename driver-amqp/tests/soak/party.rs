//! The client and the two servers, each behind a relay of its own.

use std::sync::Arc;
use std::time::Duration;

use oslo_messaging::{Bus, Result};
use oslo_messaging_amqp::{AmqpConfig, AmqpTransport};

use super::plan::Plan;
use testkit::proxy::{Fault, Proxy};
use testkit::stage::{Stage, soon, url};
use testkit::workload::record::{FaultTarget, Queues};
use testkit::workload::rules::soak::HEARTBEAT;

/// A bus behind a relay.
#[derive(Debug)]
pub(crate) struct Party {
    relay: Proxy,
    transport: Arc<AmqpTransport>,
    pub(crate) bus: Bus,
}

/// The client, the first server and the second.
#[derive(Debug)]
pub(crate) struct Parties([Party; 3]);

impl Party {
    async fn connect(stage: &Stage, plan: &Plan) -> Result<Self> {
        let relay = Proxy::without_tapes(stage.node.port()).await;
        let query = format!("heartbeat_timeout_threshold={}", HEARTBEAT.as_secs());
        let address = url(&format!("rabbit://guest:guest@127.0.0.1:{}/{}?{query}", relay.port(), stage.vhost));
        let mut config = match plan.queues {
            Queues::Durable => AmqpConfig::durable(),
            Queues::Quorum => AmqpConfig::quorum(),
        };
        if plan.is_short() {
            // Faults come so fast that no connection lives long enough to be trusted, and the pauses would only grow.
            config.reconnect_wait_max = Duration::from_millis(500);
        }
        let transport = Arc::new(AmqpTransport::connect(&address, config, soon()).await?);
        let bus = Bus::new(Arc::clone(&transport));
        Ok(Self { relay, transport, bus })
    }
}

impl Parties {
    pub(crate) async fn connect(stage: &Stage, plan: &Plan) -> Result<Self> {
        let client = Party::connect(stage, plan).await?;
        let first = Party::connect(stage, plan).await?;
        Ok(Self([client, first, Party::connect(stage, plan).await?]))
    }

    pub(crate) fn buses(&self) -> [&Bus; 3] {
        self.0.each_ref().map(|party| &party.bus)
    }

    /// Strikes the connections of `target` with `fault`.
    pub(crate) fn strike(&self, target: FaultTarget, fault: Fault) {
        self.hurt_by(target).for_each(|party| party.relay.strike(fault));
    }

    /// How many connections each party of `target` has lost so far.
    pub(crate) fn losses(&self, target: FaultTarget) -> Vec<u64> {
        self.hurt_by(target).map(|party| party.transport.counters().losses).collect()
    }

    fn hurt_by(&self, target: FaultTarget) -> impl Iterator<Item = &Party> {
        let its = match target {
            FaultTarget::Client => 0..1,
            FaultTarget::First => 1..2,
            FaultTarget::Second => 2..3,
            FaultTarget::All => 0..3,
        };
        self.0[its].iter()
    }
}
