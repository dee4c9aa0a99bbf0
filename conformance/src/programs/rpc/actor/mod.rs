//! Actors: each server and each sender of a program is one, in this process or a foreign one.

pub(super) mod process_actor;
pub(super) mod rust_actor;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::history::{Log, Outcome};
use super::{Request, Server};
use crate::{Failed, Stage};

/// A command to an actor. As JSON it is one line, which a foreign process reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Command {
    /// Start the server; record each execution with `place` as its index.
    Start { place: usize, server: Server },
    /// Stop the server; answer when it has ended.
    Stop,
    /// Stop the server within that time and answer then, even if methods still run.
    Hurry { within_ms: u64 },
    /// Drop the server as if it had crashed.
    Kill,
    /// Answer when every execution so far is recorded.
    Tell,
    /// Send the request with `number` and `nap_ms` as arguments. Answer when the cast is confirmed or the
    /// call answered, or drop it after `give_up_ms`.
    Send { number: usize, request: Request, nap_ms: u64, timeout_ms: u64, give_up_ms: Option<u64> },
}

/// One actor. Commands may run concurrently.
#[async_trait]
pub(crate) trait Actor: fmt::Debug + Send + Sync {
    /// Runs a command and returns its outcome. The names in `command` are those on the bus.
    async fn perform(&self, command: Command) -> Outcome;
}

/// Creates the actors of one implementation; a mixed program uses two sources.
#[async_trait]
pub(crate) trait ActorSource: fmt::Debug + Send + Sync {
    /// A new actor, which records executions in `log`.
    async fn hire(&self, stage: &Stage, log: &Log) -> Result<Arc<dyn Actor>, Failed>;
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::programs::rpc::history::Run;

    #[test]
    fn commands_and_outcomes_are_lines_of_json() {
        let start = Command::Start { place: 1, server: Server::new("t", "a").exchange("x").interface_in("n", "1.0") };
        let send =
            Command::Send { number: 7, request: Request::call("t"), nap_ms: 100, timeout_ms: 300, give_up_ms: None };
        for command in [start, Command::Stop, Command::Kill, Command::Tell, send] {
            let line = serde_json::to_string(&command).unwrap();
            assert_eq!(serde_json::from_str::<Command>(&line).unwrap(), command, "{line}");
            assert!(!line.contains('\n'));
        }
        let returned: Outcome = serde_json::from_value(json!({"returned": {"server": 1, "number": 7}})).unwrap();
        assert_eq!(returned, Outcome::Returned { server: 1, number: 7 });
        let run = json!({"server": 1, "number": 7, "method": "answer", "redelivered": false});
        assert_eq!(serde_json::from_value::<Run>(run).unwrap().number, 7);
    }
}
