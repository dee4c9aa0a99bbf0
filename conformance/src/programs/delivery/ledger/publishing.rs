//! The effect of a publish: the copies that must arrive, and the errors that are allowed.

use oslo_messaging::driver::Capability;

use super::Ledger;
use super::item::{Fate, Item};
use crate::programs::delivery::event::Outcome;
use crate::programs::delivery::publish::{Life, Publish, To};
use crate::programs::delivery::routing::plans;
use crate::programs::delivery::{Reader, rules};

/// The longest name that every driver must accept, in bytes: an AMQP 0-9-1 short string.
const LONGEST_NAME: usize = 255;

impl Ledger {
    /// Checks the result of a publish, and adds a copy to each queue that receives it.
    /// Exactly one of four things must happen: the timeout of a late publish, a refusal, a return, or success.
    /// A copy enters a queue only after success, so a publish that failed but arrived is reported as not routed.
    pub(super) fn published(&mut self, number: usize, publish: &Publish, outcome: &Outcome) {
        let what = || format!("message {number}, {publish},");
        if publish.too_late {
            self.expect(&rules::PUBLISHED, &Outcome::TimedOut, outcome, what);
            return;
        }
        if self.unsupported(publish) {
            self.expect(&rules::REFUSED, &Outcome::Unsupported, outcome, what);
            return;
        }
        if let To::Queue { bytes, .. } = &publish.to
            && self.refused(*bytes, outcome, what)
        {
            return;
        }
        self.ensure(publish);
        let inbox = match &publish.to {
            To::Inbox { reader } => self.inbox_of(*reader),
            _ => None,
        };
        let (queues, perhaps) = self.routing.route(&publish.to, inbox.as_ref());
        let returned = *outcome == Outcome::Undeliverable;
        if publish.mandatory && queues.is_empty() {
            if !returned && !perhaps {
                self.broken(&rules::RETURNED, format!("{} ended {outcome:?}", what()));
            }
        } else if returned && publish.mandatory {
            self.broken(&rules::RETURNED, format!("{} ended {outcome:?}, but queues {queues:?} are bound", what()));
        } else {
            self.expect(&rules::PUBLISHED, &Outcome::Done, outcome, what);
        }
        if *outcome != Outcome::Done {
            return;
        }
        for name in queues {
            let queue = self.queues.get_mut(&name).expect("what is bound exists");
            let fate = if publish.life == Life::Short { Fate::MayExpire } else { Fate::Comes };
            let copy = Item::new(publish.transport, fate, queue.readers == 0);
            queue.copies.insert(number, copy);
        }
    }

    /// Whether an operation failed because of its name of `bytes`. Only a name that is too long may fail.
    /// Drivers without a limit may accept such a name.
    pub(super) fn refused(&mut self, bytes: Option<usize>, outcome: &Outcome, what: impl Fn() -> String) -> bool {
        let Some(bytes) = bytes else { return false };
        let too_long = bytes > LONGEST_NAME;
        if *outcome != Outcome::Done && !(too_long && *outcome == Outcome::TooLarge) {
            self.broken(&rules::LONG_NAMES, format!("{} with a name of {bytes} bytes ended {outcome:?}", what()));
        }
        *outcome != Outcome::Done
    }

    /// Whether the publish needs a capability that the driver does not declare.
    /// If so, the publish must fail as unsupported, and no queue may receive it.
    fn unsupported(&self, publish: &Publish) -> bool {
        let needed = [
            (matches!(publish.to, To::Server { .. }), Capability::ServerAddress),
            (matches!(publish.to, To::Fanout { .. }), Capability::Fanout),
            (publish.mandatory, Capability::Mandatory),
            (publish.ensure_queue, Capability::EnsureQueue),
            (publish.life != Life::Endless, Capability::Expiration),
        ];
        needed.iter().any(|(needs, capability)| *needs && !self.capabilities.has(*capability))
    }

    /// Declares the queue that a publish declares: a durable queue always, that of a notification on request.
    /// A driver that declares the queue late loses the message: the ledger expects it from this publish on.
    fn ensure(&mut self, publish: &Publish) {
        let reader = match &publish.to {
            To::Queue { name, bytes } => {
                bytes.iter().fold(Reader::queue(name), |reader, bytes| reader.long_name(*bytes))
            }
            To::Notification { exchange, topic, priority } if publish.ensure_queue => {
                Reader::notifications(exchange, &[(topic, priority)])
            }
            _ => return,
        };
        for plan in plans(&reader.reads, "") {
            self.routing.declare(&plan);
            self.queues.entry(plan.queue).or_default().ensured_for = Some(reader.clone());
        }
    }
}
