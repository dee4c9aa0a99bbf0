//! The driver of `own_driver.rs` as the conformance suite sees it.

use std::sync::Arc;

use oslo_messaging::Result;
use oslo_messaging::driver::Transport;
use oslo_messaging_conformance::{Budget, Clock, Harness, async_trait};

// The example's own `main` is not run here.
#[expect(dead_code)]
#[path = "../../own_driver.rs"]
mod own_driver;

/// A hub of its own for each case.
#[derive(Debug, Default)]
pub(crate) struct OwnHub(own_driver::Hub);

#[async_trait]
impl Harness for OwnHub {
    async fn transport(&self) -> Result<Arc<dyn Transport>> {
        Ok(Arc::new(self.0.transport()))
    }

    fn budget(&self) -> Budget {
        Budget::default()
    }

    fn driver(&self) -> String {
        "own_driver".to_owned()
    }

    fn clock(&self) -> Clock {
        Clock::Paused
    }

    async fn leftovers(&self) -> Vec<String> {
        self.0.leftovers()
    }
}
