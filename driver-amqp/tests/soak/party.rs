//! Those who take part, each behind a relay of its own: a client, and two servers.

use std::sync::Arc;
use std::time::Duration;

use oslo_messaging::{Bus, Result};
use oslo_messaging_amqp::{AmqpConfig, AmqpTransport};

use super::plan::Plan;
use testkit::proxy::{Fault, Proxy};
use testkit::stage::{Stage, soon, url};
use testkit::workload::record::{Queues, Whose};

/// After how much silence a connection is given up: some freezes are longer than twice this, others are shorter.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(3);

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

    /// Has `fault` come to the connections of `whose`.
    pub(crate) fn strike(&self, whose: Whose, fault: Fault) {
        self.hurt_by(whose).for_each(|party| party.relay.strike(fault));
    }

    /// How many connections `whose` have lost so far, each.
    pub(crate) fn losses(&self, whose: Whose) -> Vec<u64> {
        self.hurt_by(whose).map(|party| party.transport.counters().losses).collect()
    }

    fn hurt_by(&self, whose: Whose) -> impl Iterator<Item = &Party> {
        let its = match whose {
            Whose::Client => 0..1,
            Whose::First => 1..2,
            Whose::Second => 2..3,
            Whose::Everybody => 0..3,
        };
        self.0[its].iter()
    }
}
