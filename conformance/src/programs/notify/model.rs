//! The reference model: which queues exist, which events reach them and which listener handles them. No clock, no bus.
//!
//! The queue of those without a pool is called `<topic>.<priority>`, a pool's as the pool, and no exchange
//! is in either name (oslo.messaging `_drivers/amqpdriver.py`, `AMQPDriverBase.listen_for_notifications`).
//! An event therefore reaches a queue through every exchange to which any listener has bound it, and a
//! member of a pool receives what any other member bound.

use super::Event;
use super::program::{Listener, Reads};

/// Whether `listener`, once started, has bound its queue to the address of `event`.
pub(crate) fn binds(listener: &Listener, event: &Event) -> bool {
    listener.exchange == event.exchange && listens(listener, event)
}

/// Whether `listener` reads the queue that holds the copy of `event` for `reads`.
pub(crate) fn reads(listener: &Listener, reads: &Reads, event: &Event) -> bool {
    listener.reads == *reads && (*reads != Reads::Shared || listens(listener, event))
}

/// Whether `listener` passes `event` to its handler: priority, type and publisher match.
pub(crate) fn wants(listener: &Listener, event: &Event) -> bool {
    let is_type = match listener.types.strip_suffix('*') {
        Some(beginning) => event.event_type.starts_with(beginning),
        None => event.event_type == listener.types,
    };
    let publisher = listener.publisher.as_ref().is_none_or(|name| event.publisher.starts_with(name.as_str()));
    is_type && publisher && listener.priorities.contains(&event.priority)
}

/// The queue that holds the copy of `event` for `reads`; `None` for a private queue, which is deleted with its reader.
pub(crate) fn queue(reads: &Reads, event: &Event) -> Option<String> {
    match reads {
        Reads::Shared => Some(format!("{}.{}", event.topic, event.priority)),
        Reads::Pool(name) => Some(name.clone()),
        Reads::Private => None,
    }
}

/// Whether topic and priority match, whatever the exchange.
fn listens(listener: &Listener, event: &Event) -> bool {
    listener.topics.contains(&event.topic) && listener.priorities.contains(&event.priority)
}

#[cfg(test)]
mod tests {
    use oslo_messaging::Priority::{Audit, Error, Info};

    use super::*;

    #[test]
    fn a_queue_has_no_exchange_in_its_name_and_a_pool_reads_what_any_member_bound() {
        let (plain, other) = (Listener::new("x", "t", Info), Listener::new("y", "t", Info));
        let event = Event::new("x", "t", Info);
        assert!(binds(&plain, &event) && !binds(&other, &event));
        assert!([&plain, &other].into_iter().all(|listener| reads(listener, &Reads::Shared, &event)));
        assert!(!reads(&plain, &Reads::Shared, &Event::new("x", "t", Error)));
        let pool = Reads::Pool("p".to_owned());
        assert!(reads(&other.pool("p"), &pool, &Event::new("x", "u", Error)) && !reads(&plain, &pool, &event));
        assert_eq!(queue(&Reads::Shared, &event).as_deref(), Some("t.info"));
        assert_eq!(queue(&pool, &event).as_deref(), Some("p"));
    }

    #[test]
    fn priority_type_and_publisher_choose_the_handler() {
        let listener = Listener::new("x", "t", Info).priority(Audit).types("order.*").publisher("shop");
        let event = Event::new("y", "u", Audit);
        assert!(wants(&listener, &event) && wants(&listener, &event.clone().publisher("shop.2")));
        assert!(!wants(&listener, &event.clone().event_type("order")) && !wants(&listener, &event.publisher("bank")));
        assert!(!wants(&listener, &Event::new("x", "t", Error)));
        assert!(wants(&listener.types("order.made"), &Event::new("x", "t", Info)));
    }
}
