//! A publish on its way: what is sent, its caller, and whether it may still be abandoned.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use oslo_messaging::{Executed, Result};
use tokio::sync::oneshot;

use crate::link::state_machine::Generation;
use crate::publish::checked_publish::CheckedPublish;

/// A publish that waits for its turn or its confirm, with the caller that waits for the result.
#[derive(Debug)]
pub(crate) struct PublishJob {
    /// Shared with the caller, which may send it a second time.
    pub(crate) publish: Arc<CheckedPublish>,
    /// Resolves the `publish` of the caller. Closed if the caller has given up.
    pub(crate) result: oneshot::Sender<Result<()>>,
    /// Shared with the caller, and with a second attempt of the same publish.
    pub(crate) abandon_flag: Arc<AbandonFlag>,
    /// How often lapin got it. An attempt that the caller abandoned in time does not count.
    pub(crate) attempts: u32,
    /// The generation of the link on which its prerequisite was declared.
    /// At 0, or on any other link, the publisher declares it again before the send.
    pub(crate) declared: Generation,
}

/// lapin does not have the message, or the broker certainly does not.
const WAITING: u8 = 0;
/// lapin has taken the message, so the broker may have it.
const TAKEN: u8 = 1;
/// The caller has its error. Final: the message must not be given to lapin any more.
const ABANDONED: u8 = 2;

/// Decides which came first: that lapin takes a message, or that its caller gives up.
/// Exactly one of them wins, so an error that says `No` is reliable.
#[derive(Debug, Default)]
pub(crate) struct AbandonFlag(AtomicU8);

impl AbandonFlag {
    /// To be called right before lapin gets the message. Returns false
    /// if the caller has given up, and then lapin must not get it.
    pub(crate) fn mark_taken(&self) -> bool {
        self.0.compare_exchange(WAITING, TAKEN, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// To be called when the broker certainly does not have the message:
    /// it may be abandoned or sent again. It has no effect once the caller has given up.
    pub(crate) fn mark_released(&self) {
        let _ = self.0.compare_exchange(TAKEN, WAITING, Ordering::AcqRel, Ordering::Acquire);
    }

    /// The caller gives up. Returns what is known about the execution.
    /// `Maybe` if lapin took the message, otherwise `No`, and then lapin never will get it.
    pub(crate) fn abandon(&self) -> Executed {
        match self.0.swap(ABANDONED, Ordering::AcqRel) {
            TAKEN => Executed::Maybe,
            _ => Executed::No,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_abandoned_is_not_taken_and_what_was_taken_may_have_arrived() {
        let (abandoned, taken) = (AbandonFlag::default(), AbandonFlag::default());
        assert_eq!(abandoned.abandon(), Executed::No);
        assert!(!abandoned.mark_taken());
        assert!(taken.mark_taken());
        assert_eq!(taken.abandon(), Executed::Maybe);
    }

    #[test]
    fn what_was_released_can_be_abandoned_or_taken_again() {
        let abandon_flag = AbandonFlag::default();
        assert!(abandon_flag.mark_taken());
        abandon_flag.mark_released();
        assert!(abandon_flag.mark_taken());
        abandon_flag.mark_released();
        assert_eq!(abandon_flag.abandon(), Executed::No);
    }
}
