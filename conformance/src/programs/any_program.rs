//! A program of a kind that is known only when it is read.

use serde::Deserialize;

use super::{delivery, notify, rpc};

/// A program of any kind, as a file holds it: an object whose one key is the kind.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum AnyProgram {
    Rpc(rpc::Program),
    Notify(notify::Program),
    Delivery(delivery::Program),
}

#[cfg(test)]
mod tests {
    use oslo_messaging::Priority;

    use super::*;
    use crate::Disturbance;

    #[test]
    fn a_program_of_rpc_reads_back_from_its_json() {
        use rpc::{Act, Method, Program, Request, Server};
        let program = Program::new()
            .server(Server::new("t", "a").exchange("x").interface("1.0").interface_in("n", "2.1").concurrency(1))
            .server(Server::new("t", "b").at_least_once())
            .server(Server::new("t", "c").foreign())
            .foreign_sender(2)
            .act(Act::new().start(0).start(1).settle())
            .act(
                Act::new()
                    .stop(0)
                    .hurry(1)
                    .kill(1)
                    .cut(3)
                    .send(0, Request::call("t").exchange("x").server("a").namespace("n").version("2.0"))
                    .send(1, Request::call("t").method(Method::Slow).other_way_round().impatient().given_up())
                    .send(2, Request::fanout("t").method(Method::Fail).times(3))
                    .send(0, Request::cast("t").method(Method::Missing).other_way_round()),
            );
        let json = program.to_string();
        assert_eq!(serde_json::from_str::<Program>(&json).unwrap(), program, "{json}");
        assert!(!json.contains("null") && !json.contains("false") && !json.contains("[]"), "{json}");
    }

    #[test]
    fn a_program_of_notifications_reads_back_from_its_json() {
        use notify::{Act, Event, Listener, Program};
        let program = Program::new()
            .listener(Listener::new("x", "t", Priority::Info).topic("u").priority(Priority::Error).pool("p"))
            .listener(
                Listener::new("y", "t", Priority::Audit)
                    .tap()
                    .types("order.*")
                    .publisher("shop")
                    .batch(3)
                    .concurrency(1)
                    .tries(2)
                    .drops()
                    .foreign(),
            )
            .foreign_notifier(1)
            .act(Act::new().start(0).start(1).settle())
            .act(
                Act::new()
                    .stop(0)
                    .kill(1)
                    .cut(4)
                    .send(0, Event::new("x", "t", Priority::Info).event_type("order.sold").publisher("bank"))
                    .send(1, Event::new("x", "u", Priority::Warn).requeued(2).failing(1).times(3).at_once())
                    .send(0, Event::new("x", "u", Priority::Warn).bare().without_queue().slow()),
            )
            .limited_by(Disturbance::LimitFailures);
        let json = program.to_string();
        assert_eq!(serde_json::from_str::<Program>(&json).unwrap(), program, "{json}");
    }

    #[test]
    fn a_program_of_delivery_reads_back_from_its_json() {
        use delivery::{Program, Publish, Reader, Settlement};
        let program = Program::new()
            .reader(Reader::server("x", "t", "a").on(1).before_handover().window(2))
            .reader(Reader::inbox())
            .reader(Reader::queue("q"))
            .reader(Reader::queue("q").long_name(256))
            .reader(Reader::notifications("x", &[("n", "info"), ("n", "error")]))
            .reader(Reader::notifications("x", &[("n", "info")]).pool("p"))
            .reader(Reader::notifications("x", &[("n", "info")]).private())
            .open(0)
            .publish(2, Publish::topic("x", "t").by(1).mandatory())
            .publish(1, Publish::server("x", "t", "a").short_lived())
            .publish(1, Publish::fanout("t").long_lived())
            .publish(1, Publish::inbox(1).too_late())
            .publish(1, Publish::notification("x", "n", "info").ensure_queue())
            .publish(1, Publish::queue("q").header_of(300).body_of(600_000))
            .publish(1, Publish::queue("q").long_name(300))
            .poll(0, 3)
            .glance(0, 1)
            .settle(0, 1, Settlement::Acknowledge)
            .settle(0, 0, Settlement::Drop)
            .stop(0)
            .close(0)
            .forget(1)
            .hang_up(1)
            .cut()
            .wait();
        let json = program.to_string();
        assert_eq!(serde_json::from_str::<Program>(&json).unwrap(), program, "{json}");
    }

    #[test]
    fn a_file_says_which_kind_of_program_it_holds() {
        let file = format!("{{\"delivery\":{}}}", delivery::Program::new().open(0));
        assert!(matches!(serde_json::from_str(&file), Ok(AnyProgram::Delivery(_))), "{file}");
    }
}
