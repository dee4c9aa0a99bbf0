//! The service that the tests call.

use std::sync::Mutex;

use oslo_messaging::{Context, Failure};

/// Machines that can be started again.
#[oslo_messaging::service(namespace = "base", version = "1.3")]
pub(crate) trait Compute {
    /// Starts the machine `id` again.
    async fn reboot(
        &self,
        context: Context,
        id: u64,
        #[serde(default)]
        #[rpc(since = "1.2")]
        hard: bool,
        #[serde(default = "no_reason", rename = "why")]
        #[rpc(since = "1.3", below = "drop")]
        reason: String,
    ) -> Result<String, Failure>;

    /// Every host removes what it does not need.
    #[rpc(cast)]
    async fn tidy(&self, context: Context) -> Result<(), Failure>;

    /// What the host has done, with a wire name that is a method of the client.
    #[rpc(since = "1.1", name = "timeout")]
    async fn done(&self, context: Context) -> Result<Vec<String>, Failure>;
}

/// The default of an argument.
pub(crate) fn no_reason() -> String {
    "none given".to_owned()
}

/// Remembers what it was asked.
#[derive(Debug, Default)]
pub(crate) struct Host {
    done: Mutex<Vec<String>>,
}

impl Compute for Host {
    async fn reboot(&self, context: Context, id: u64, hard: bool, reason: String) -> Result<String, Failure> {
        let user: String = context.get("user").unwrap_or_default();
        let done = format!("{} reboot of {id} for {user}: {reason}", if hard { "hard" } else { "soft" });
        self.done.lock().unwrap().push(done.clone());
        Ok(done)
    }

    async fn tidy(&self, _: Context) -> Result<(), Failure> {
        self.done.lock().unwrap().push("tidy".to_owned());
        Ok(())
    }

    async fn done(&self, _: Context) -> Result<Vec<String>, Failure> {
        Ok(self.done.lock().unwrap().clone())
    }
}
