//! Who plays a program: one actor for each server and each sender, ours or a foreign process.

pub(crate) mod process;
pub(super) mod process_actor;
pub(super) mod rust_actor;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use libtest_mimic::Failed;
use serde::{Deserialize, Serialize};

use super::history::{Log, Outcome};
use super::{Request, Server};
use crate::Stage;

/// What an actor is asked to do. As JSON it is one line, so that an actor may be a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Command {
    /// Serve, and note each execution as one of the server at `place`.
    Start { place: usize, server: Server },
    /// Stop serving; answer when everything has ended.
    Stop,
    /// Stop serving within that time, and answer then, whatever has ended.
    Hurry { within_ms: u64 },
    /// Vanish as a server that has crashed.
    Kill,
    /// Answer when everything is noted that happened at you before.
    Tell,
    /// Send, with `number` and `nap_ms` as arguments, and wait for what the kind of the request waits for, or give it up
    /// after `give_up_ms`.
    Send { number: usize, request: Request, nap_ms: u64, timeout_ms: u64, give_up_ms: Option<u64> },
}

/// Somebody who does what a program says. It may be asked several things at once.
#[async_trait]
pub(crate) trait Actor: fmt::Debug + Send + Sync {
    /// Does it and says how it ended. The names in `command` are those of the bus.
    async fn perform(&self, command: Command) -> Outcome;
}

/// Where actors come from.
#[async_trait]
pub(crate) trait Troupe: fmt::Debug + Send + Sync {
    /// A new actor, which notes in `log` what runs at it.
    async fn hire(&self, stage: &Stage, log: &Log) -> Result<Arc<dyn Actor>, Failed>;
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::programs::rpc::history::Run;

    #[test]
    fn what_an_actor_is_asked_and_says_is_a_line_of_json() {
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
