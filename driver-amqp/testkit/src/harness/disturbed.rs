//! A node that is cut off, alarmed and restarted as the conformance suite likes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use oslo_messaging::driver::Transport;
use oslo_messaging::{Deadline, Result};
use oslo_messaging_conformance::{Budget, Disturbance, Harness, async_trait};
use xtask::broker::{MemoryAlarm, Node};
use xtask::profile::Profile;

use super::profile::{config, driver};
use super::relayed::Relayed;

/// The node, reached through a relay that is this harness's own.
#[derive(Debug)]
pub struct Disturbed {
    profile: Profile,
    node: Arc<Mutex<Node>>,
    relayed: Relayed,
    alarm: Mutex<Option<MemoryAlarm>>,
}

impl Disturbed {
    pub fn new(profile: Profile, node: Arc<Mutex<Node>>) -> Self {
        let relayed = Relayed::to(lock(&node).attached().port());
        Self { profile, node, relayed, alarm: Mutex::default() }
    }
}

#[async_trait]
impl Harness for Disturbed {
    async fn transport(&self) -> Result<Arc<dyn Transport>> {
        self.relayed.connect(config(self.profile), Deadline::after(self.budget().arrive)).await
    }

    fn budget(&self) -> Budget {
        Budget { arrive: Duration::from_secs(60), ..Budget::default() }
    }

    fn driver(&self) -> String {
        let broker = lock(&self.node).attached().broker();
        driver([Some(broker.as_str()), Some("disturbed"), self.profile.remark()])
    }

    fn disturbances(&self) -> &'static [Disturbance] {
        &[Disturbance::Cut, Disturbance::Block, Disturbance::Restart]
    }

    async fn disturb(&self, what: Disturbance) -> std::result::Result<(), String> {
        match what {
            Disturbance::Cut => self.relayed.cut().await,
            Disturbance::Block => {
                let node = lock(&self.node).attached().clone();
                let alarm = blocking(move || node.memory_alarm()).await.map_err(|error| error.to_string())?;
                *lock(&self.alarm) = Some(alarm);
                Ok(())
            }
            Disturbance::Restart => {
                let node = lock(&self.node).attached().clone();
                let restart = move || node.rabbitmqctl(&["stop_app"]).and_then(|_| node.rabbitmqctl(&["start_app"]));
                self.relayed.lose(async { drop(blocking(restart).await.expect("it starts again")) }).await
            }
            _ => Err(format!("nothing here can {what}")),
        }
    }

    async fn calm(&self) -> std::result::Result<(), String> {
        let alarm = lock(&self.alarm).take();
        blocking(move || drop(alarm)).await;
        Ok(())
    }
}

async fn blocking<T: Send + 'static>(act: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(act).await.expect("it does not panic")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
