//! Who is meant: which queues there are, what feeds them and who handles what, without a clock and without a bus.
//!
//! The queue of those without a pool is called `<topic>.<priority>`, a pool's as the pool, and no exchange is in either
//! name (oslo.messaging `_drivers/amqpdriver.py`, `AMQPDriverBase.listen_for_notifications`). So an event reaches a
//! queue through any exchange to which somebody has bound it, and any member of a pool has what any other bound.

use super::Tell;
use super::program::{Listener, Reads};

/// Whether `listener`, once started, feeds its queue with events like `tell`.
pub(crate) fn binds(listener: &Listener, tell: &Tell) -> bool {
    listener.exchange == tell.exchange && listens(listener, tell)
}

/// Whether `listener` reads the queue in which the copy for `reads` of `tell` lies.
pub(crate) fn reads(listener: &Listener, reads: &Reads, tell: &Tell) -> bool {
    listener.reads == *reads && (*reads != Reads::Everybodys || listens(listener, tell))
}

/// Whether `listener` hands `tell` to its handler, if it has it.
pub(crate) fn wants(listener: &Listener, tell: &Tell) -> bool {
    let is_type = match listener.types.strip_suffix('*') {
        Some(beginning) => tell.event_type.starts_with(beginning),
        None => tell.event_type == listener.types,
    };
    let publisher = listener.publisher.as_ref().is_none_or(|name| tell.publisher.starts_with(name.as_str()));
    is_type && publisher && listener.priorities.contains(&tell.priority)
}

/// The queue in which the copy for `reads` of `tell` lies; `None` for one that goes with its reader.
pub(crate) fn queue(reads: &Reads, tell: &Tell) -> Option<String> {
    match reads {
        Reads::Everybodys => Some(format!("{}.{}", tell.topic, tell.priority)),
        Reads::Pool(name) => Some(name.clone()),
        Reads::Own => None,
    }
}

fn listens(listener: &Listener, tell: &Tell) -> bool {
    listener.topics.contains(&tell.topic) && listener.priorities.contains(&tell.priority)
}

#[cfg(test)]
mod tests {
    use oslo_messaging::Priority::{Audit, Error, Info};

    use super::*;

    #[test]
    fn a_queue_has_no_exchange_in_its_name_and_a_pool_reads_what_any_member_bound() {
        let (plain, other) = (Listener::new("x", "t", Info), Listener::new("y", "t", Info));
        let tell = Tell::new("x", "t", Info);
        assert!(binds(&plain, &tell) && !binds(&other, &tell));
        assert!([&plain, &other].into_iter().all(|listener| reads(listener, &Reads::Everybodys, &tell)));
        assert!(!reads(&plain, &Reads::Everybodys, &Tell::new("x", "t", Error)));
        let pool = Reads::Pool("p".to_owned());
        assert!(reads(&other.pool("p"), &pool, &Tell::new("x", "u", Error)) && !reads(&plain, &pool, &tell));
        assert_eq!(queue(&Reads::Everybodys, &tell).as_deref(), Some("t.info"));
        assert_eq!(queue(&pool, &tell).as_deref(), Some("p"));
    }

    #[test]
    fn priority_type_and_publisher_choose_the_handler() {
        let listener = Listener::new("x", "t", Info).priority(Audit).types("order.*").publisher("shop");
        let tell = Tell::new("y", "u", Audit);
        assert!(wants(&listener, &tell) && wants(&listener, &tell.clone().publisher("shop.2")));
        assert!(!wants(&listener, &tell.clone().event_type("order")) && !wants(&listener, &tell.publisher("bank")));
        assert!(!wants(&listener, &Tell::new("x", "t", Error)));
        assert!(wants(&listener.types("order.made"), &Tell::new("x", "t", Info)));
    }
}
