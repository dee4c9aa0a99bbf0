//! Notifications on a real RabbitMQ while a process or its broker is killed, stopped or blocked.
//!
//! Needs the node that `OSLO_TEST_RABBIT_URL` names; `cargo xtask test` provides it.

mod child;
mod killed;
mod limit;
mod moving;
mod outbox;
mod policy;
mod replay;
mod slow;

use std::process::ExitCode;

use libtest_mimic::Arguments;
use testkit::borrowed_node::BorrowedNode;
use testkit::case::{Case, live};

/// How many run at once: each waits most of the time.
const BESIDE: usize = 3;

const CASES: &[Case] = &[
    ("a_listener_of_batches_that_is_killed_loses_nothing", || Box::pin(killed::in_mid_batch())),
    ("a_listener_that_is_killed_loses_nothing", || Box::pin(killed::in_mid_event())),
    ("a_listener_that_is_dropped_gives_its_events_to_the_pool", || Box::pin(killed::dropped())),
    ("ten_thousand_events_return_at_once_while_the_broker_is_away", || Box::pin(outbox::while_the_broker_is_away())),
    ("events_that_become_too_old_are_counted_and_not_sent", || Box::pin(outbox::too_old())),
    ("a_handler_that_takes_long_stops_no_other", || Box::pin(slow::stops_no_other())),
    ("limit_an_event_of_a_classic_queue_may_be_given_back_fifty_times", || Box::pin(limit::of_a_classic_queue())),
    ("limit_an_event_of_a_quorum_queue_is_handled_or_a_dead_letter", || Box::pin(limit::of_a_quorum_queue())),
    ("limit_an_event_at_its_delivery_limit_is_a_dead_letter", || Box::pin(limit::of_a_quorum_queue_with_a_limit())),
    ("limit_events_that_a_stop_gives_back_count_once", || Box::pin(limit::of_events_that_a_stop_gives_back())),
    ("limit_dead_letters_that_are_looked_at_stay", || Box::pin(limit::of_dead_letters_that_are_looked_at())),
    ("limit_dead_letters_stay_in_a_queue_that_has_a_limit", || {
        Box::pin(limit::of_dead_letters_in_a_queue_with_a_limit())
    }),
    ("replay_an_event_is_written_to_the_disk", || Box::pin(replay::an_event_is_written_to_the_disk())),
    ("the_documented_policies_keep_the_oldest_dead_letters", || Box::pin(policy::as_documented())),
    ("moving_without_the_right_to_declare_stops_no_other_event", || Box::pin(moving::that_the_user_may_not_declare())),
    ("moving_an_event_whose_headers_fill_a_frame", || Box::pin(moving::whose_headers_fill_a_frame())),
    ("moving_an_event_on_a_broker_with_small_frames", || Box::pin(moving::on_a_broker_with_small_frames())),
    ("moving_an_event_over_a_link_with_smaller_frames", || Box::pin(moving::on_a_broker_whose_frames_became_smaller())),
];

fn main() -> ExitCode {
    // Cases start this program again as a child: the listener that is killed.
    if let Some(task) = child::Task::from_env() {
        return task.run();
    }
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(BESIDE);
    let conclusion = libtest_mimic::run(&arguments, CASES.iter().map(live).collect());
    BorrowedNode::end();
    conclusion.exit_code()
}
