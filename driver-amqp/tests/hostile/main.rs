//! What a hostile peer can do: messages that no client library would write, and brokers that misbehave.
//!
//! Each attack goes on beside a service on a sound broker, which must not notice. Needs the node that
//! `OSLO_TEST_RABBIT_URL` names; `cargo xtask test` provides it.

mod message;
mod messages;
mod misbehaviour;
mod trace;
mod victim;
mod wrong;
mod wrong_broker;

use std::process::ExitCode;

use libtest_mimic::Arguments;
use peak_alloc::PeakAlloc;
use testkit::borrowed_node::BorrowedNode;
use testkit::case::{Case, live, live_alone};

/// Counts the bytes of this process.
#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// What may run beside each other.
const CASES: &[Case] = &[
    ("a_broker_that_is_wrong_before_a_login_is_reported_in_time_and_costs_no_other_bus", || {
        Box::pin(wrong::before_a_login_is_reported_in_time_and_costs_no_other_bus())
    }),
    ("a_broker_that_is_wrong_after_a_login_is_reported_in_time_and_costs_no_other_bus", || {
        Box::pin(wrong::after_a_login_is_reported_in_time_and_costs_no_other_bus())
    }),
    ("a_log_of_everything_shows_no_body_and_no_password", || Box::pin(trace::shows_no_body_and_no_password())),
    ("a_log_is_searched_for_every_form_of_a_secret", || Box::pin(trace::is_searched_for_every_form())),
];

/// What measures the memory of the process, and is alone in it.
const ALONE: &[Case] = &[
    ("hostile_messages_on_a_server_s_queue_cost_neither_the_link_nor_memory", || Box::pin(messages::to_a_server())),
    ("hostile_messages_on_a_reply_queue_cost_neither_the_link_nor_memory", || Box::pin(messages::to_a_caller())),
    ("hostile_events_become_dead_letters_and_cost_neither_the_link_nor_memory", || Box::pin(messages::to_a_listener())),
    ("hostile_dead_letters_can_be_read_and_thrown_away", || Box::pin(messages::to_dead_letters())),
];

fn main() -> ExitCode {
    // A case starts this program again as a child, to search its log.
    if let Some(ended) = trace::child() {
        return ended;
    }
    let conclusion = libtest_mimic::run(
        &Arguments::from_args(),
        CASES.iter().map(live).chain(ALONE.iter().map(live_alone)).collect(),
    );
    BorrowedNode::end();
    conclusion.exit_code()
}
